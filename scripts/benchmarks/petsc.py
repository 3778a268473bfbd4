"""PETSc as a rival: where it is, and how its programs in scripts/peers are run."""
import glob
import json
import os
import shutil
import subprocess
import sys

import numpy as np

from benchmarks.bench import PEERS

__all__ = ['HOW', 'Petsc', 'write_system']

HOW = ('PETSc is not here and is left out; `apt-get install python3-petsc4py` brings it for /usr/bin/python3, '
       'with mpirun')
_FOLDERS = '/usr/lib/petscdir/*/*-real/lib/python3/dist-packages'     # where Debian has it
_ASK = 'from petsc4py import PETSc; print("%d.%d.%d" % PETSc.Sys.getVersion())'


class Petsc:
    """Runs peers; says how to get PETSc where there is none.

    Attributes
    ----------
    version : str or None
        None where there is none.
    """

    def __init__(self):
        self.version = None
        # Open MPI refuses to run for root, as a container's user is, without these; others ignore them.
        self._environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT='1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM='1')
        candidates = [(sys.executable, {})]
        for folder in sorted(glob.glob(_FOLDERS), reverse=True):
            root = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
            candidates.append(('/usr/bin/python3', {'PYTHONPATH': folder, 'PETSC_DIR': root}))
        for python, more in candidates if shutil.which('mpirun') else ():
            found = subprocess.run([python, '-c', _ASK], env=dict(self._environment, **more), text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            if found.returncode == 0:
                self.version, self._python = found.stdout.strip(), python
                self._environment.update(more)
                break
        print('PETSc %s' % self.version if self.version else HOW)

    def run(self, ranks, peer, *arguments):
        """The JSON that a program of scripts/peers prints last, on so many ranks."""
        command = ['mpirun', '-n', str(ranks), self._python, os.path.join(PEERS, peer), *map(str, arguments)]
        done = subprocess.run(command, env=self._environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              stdin=subprocess.DEVNULL)
        if done.returncode:
            sys.exit('%s failed:\n%s' % (' '.join(command), done.stderr))
        return json.loads(done.stdout.splitlines()[-1])


def write_system(problem, folder):
    """Write a sparse system for the peers: its rows (CSR) and b, one array a file; returns the rows."""
    rows = problem.all_rows()
    for name, values in (('indptr', rows.indptr), ('indices', rows.indices), ('data', rows.data), ('b', problem.b)):
        np.save(os.path.join(folder, name + '.npy'), values)
    return rows
