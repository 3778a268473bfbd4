"""The time of a sweep of PETSc's SOR.

    mpirun -n RANKS python3 petsc_sweep.py FOLDER SWEEPS OMEGA

FOLDER: see petsc_system.py. Prints JSON with ``seconds`` of one sweep.
"""
import json
import sys
import time

from petsc4py import PETSc
from petsc_system import load, local_forward


def main(folder, sweeps, omega):
    comm = PETSc.COMM_WORLD
    A, b = load(folder)
    x = b.duplicate()
    x.set(0.0)
    local_forward(A, b, x, omega, 2)        # the first one copies the diagonal
    comm.barrier()
    began = time.perf_counter()
    local_forward(A, b, x, omega, sweeps)
    comm.barrier()
    if comm.rank == 0:
        print(json.dumps({'seconds': (time.perf_counter() - began) / sweeps}))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
