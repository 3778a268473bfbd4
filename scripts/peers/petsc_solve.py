"""The time of PETSc's solve.

    mpirun -n RANKS python3 petsc_solve.py FOLDER METHOD OMEGA RTOL MAX_SWEEPS

FOLDER: see petsc_system.py. Every METHOD ends when ||b - A x|| <= RTOL ||b||, from x = 0:
``richardson``  KSP richardson with PC sor, which computes the residual in every iteration;
``batches``     SOR as fast as PETSc can: the residual is computed after every 20 sweeps only;
``multigrid``   KSP cg with PC gamg (OMEGA is not used; MAX_SWEEPS limits iterations).
Prints JSON: ``seconds`` from x = 0 to the end, ``setup`` seconds before, ``sweeps`` or iterations, ``residual``
relative to ||b||, ``converged``.
"""
import json
import math
import sys
import time

from petsc4py import PETSc
from petsc_system import load, local_forward

BATCH = 20
SOLVERS = {'richardson': ('richardson', 'sor'), 'multigrid': ('cg', 'gamg')}


def residual_norm(A, b, x, r):
    A.mult(x, r)
    r.aypx(-1.0, b)
    return r.norm()


def krylov(A, b, method, omega, rtol, limit):
    """Returns x, sweeps, and seconds of the set-up and of the solve."""
    kind, preconditioner = SOLVERS[method]
    options = PETSc.Options()
    options['pc_sor_omega'] = omega
    options['pc_sor_local_forward'] = True
    comm, x = PETSc.COMM_WORLD, b.duplicate()
    comm.barrier()
    began = time.perf_counter()
    ksp = PETSc.KSP().create(comm)
    ksp.setOperators(A)
    ksp.setType(kind)
    ksp.getPC().setType(preconditioner)
    ksp.setNormType(PETSc.KSP.NormType.UNPRECONDITIONED)
    ksp.setTolerances(rtol=rtol, atol=0.0, max_it=limit)
    # Without a monitor Richardson with SOR skips its test of convergence and does `limit` sweeps (KSPRICHARDSON).
    ksp.setMonitor(lambda *unused: None)
    ksp.setFromOptions()
    ksp.setUp()
    comm.barrier()
    started = time.perf_counter()
    x.set(0.0)
    ksp.solve(b, x)
    comm.barrier()
    return x, ksp.getIterationNumber(), started - began, time.perf_counter() - started


def batches(A, b, omega, rtol, limit):
    """As `krylov`."""
    comm, x, r = PETSc.COMM_WORLD, b.duplicate(), b.duplicate()
    threshold, sweeps = rtol * b.norm(), 0
    comm.barrier()
    began = time.perf_counter()
    x.set(0.0)
    norm = math.inf
    # Not a number ends it too: no comparison is true of it.
    while sweeps < limit and (sweeps == 0 or threshold < norm < math.inf):
        local_forward(A, b, x, omega, BATCH)
        sweeps += BATCH
        norm = residual_norm(A, b, x, r)
    comm.barrier()
    return x, sweeps, 0.0, time.perf_counter() - began


def main(folder, method, omega, rtol, limit):
    A, b = load(folder)
    if method == 'batches':
        x, sweeps, setup, seconds = batches(A, b, omega, rtol, limit)
    else:
        x, sweeps, setup, seconds = krylov(A, b, method, omega, rtol, limit)
    residual = residual_norm(A, b, x, b.duplicate()) / b.norm()
    if PETSc.COMM_WORLD.rank == 0:
        # What a Krylov method updates differs from the true residual by rounding.
        print(json.dumps({'seconds': seconds, 'setup': setup, 'sweeps': sweeps, 'converged': residual <= 1.01 * rtol,
                          'residual': residual if math.isfinite(residual) else None}))


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
