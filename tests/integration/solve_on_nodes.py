"""A process that solves on nodes and prints what came out: solve_on_nodes.py SECRET_FILE SECONDS N NODE ...

It prints a line when it begins to iterate, and at the end one of JSON.
"""
import json
import os
import sys

import numpy as np

import coro_sor
from coro_sor.problems import poisson2d, random_dense


def tell_when_it_iterates(record):
    if record.phase == 'iterate' and not told:
        told.append(True)
        print('iterating', flush=True)


told = []

if __name__ == '__main__':
    secret_file, seconds, n = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    if seconds:     # as long as that: nothing converges to that threshold
        A, options = poisson2d(n), dict(rtol=1e-300, time_limit=seconds)
    else:
        A, options = random_dense(n, 0), {}
    b = np.ones(len(A))
    solution = coro_sor.solve(A, b, nodes=sys.argv[4:], secret_file=secret_file, observe=tell_when_it_iterates,
                              blocks=len(sys.argv) - 4, schedule='async', **options)
    true = float(np.linalg.norm(b - (A.matvec(solution.x) if seconds else A @ solution.x)))
    print(json.dumps({'status': str(solution.status), 'residual_norm': solution.residual_norm, 'true': true,
                      'workers': solution.report['workers'], 'failure': solution.report['failure']}), flush=True)
    os._exit(0)
