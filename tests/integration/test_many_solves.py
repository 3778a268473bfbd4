"""A hundred solves in a row take no more memory, threads or open files than thirty."""
import gc
import os

import numpy as np
import pytest

from coro_sor.problems import poisson2d, random_dense
from processes import node_pids, wait_until
from runs import local_cluster, memory_of, tidy  # noqa: F401  (a fixture)

MEMORY = 3 << 20


def used(pids):
    """(open files, threads) of each process."""
    return [(len(os.listdir(f'/proc/{pid}/fd')), len(os.listdir(f'/proc/{pid}/task'))) for pid in pids]


@pytest.mark.timeout(120)
def test_a_hundred_solves_in_a_row_take_nothing_that_they_do_not_give_back(tidy):  # noqa: F811
    systems = [poisson2d(24), random_dense(150, 1)]
    with local_cluster(tidy) as cluster:
        pids = [os.getpid(), *node_pids(cluster._local.pid)]
        for number in range(101):
            A = systems[number // 3 % 2]
            b = np.random.default_rng(number).standard_normal(len(A))
            assert cluster.solve(A, b, blocks=2, schedule=('async', 'sync', 'ordered')[number % 3]).converged
            if number == 30:
                gc.collect()
                resources, memory = used(pids), [memory_of(pid) for pid in pids]
        gc.collect()
        wait_until(lambda: all(now <= before + 1 for one, other in zip(used(pids), resources)
                               for now, before in zip(one, other)), 'no more open files and threads than before')
        assert pids == [os.getpid(), *node_pids(cluster._local.pid)]
        grown = [memory_of(pid) - before for pid, before in zip(pids, memory)]
        assert max(grown) < MEMORY, grown
