"""A sparse system from files, as each rank of PETSc wants it."""
import os

import numpy as np
from petsc4py import PETSc

__all__ = ['load', 'local_forward']


def load(folder):
    """A and b of the files indptr.npy, indices.npy, data.npy (CSR of all rows) and b.npy.

    Returns
    -------
    A : PETSc.Mat
        The rows are shared out as PETSc does it.
    b : PETSc.Vec
    """
    def mapped(name):
        return np.load(os.path.join(folder, name + '.npy'), mmap_mode='r')

    rhs = mapped('b')
    b = PETSc.Vec().createMPI(len(rhs), comm=PETSc.COMM_WORLD)
    lo, hi = b.getOwnershipRange()
    b.setArray(np.array(rhs[lo:hi]))
    indptr = np.array(mapped('indptr')[lo:hi + 1])
    first, last = indptr[0], indptr[-1]
    csr = ((indptr - first).astype(PETSc.IntType), np.array(mapped('indices')[first:last], dtype=PETSc.IntType),
           np.array(mapped('data')[first:last]))
    A = PETSc.Mat().createAIJ(((hi - lo, len(rhs)), (hi - lo, len(rhs))), csr=csr, comm=PETSc.COMM_WORLD)
    A.assemble()
    return A, b


def local_forward(A, b, x, omega, sweeps):
    """So many sweeps of SOR: point by point within a rank, with the last sweep's values of the others."""
    A.SOR(b, x, omega=omega, sortype=PETSc.Mat.SORType.LOCAL_FORWARD_SWEEP, its=sweeps, lits=1)
