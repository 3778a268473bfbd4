"""Which ordering blocks wait for which, and the speed-up of exactly ordered sweeps."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.csr import from_triplets
from coro_sor.partition import deal, split_rows
from coro_sor.wavefront import WAKE, BlockGraph, block_graph, ordering_blocks, pass_seconds, speed_up, worth

same_every_time = settings(derandomize=True, deadline=None, max_examples=80)


def sparse(pattern):
    """SparseRows with ones where an array of bool is True."""
    rows, columns = np.nonzero(pattern)
    return from_triplets(len(pattern), rows, columns, np.ones(len(rows)))


def grid(m):
    """The five-point pattern on m x m points."""
    number = np.arange(m * m).reshape(m, m)
    one = np.concatenate([number[:, :-1].ravel(), number[:-1].ravel()])
    other = np.concatenate([number[:, 1:].ravel(), number[1:].ravel()])
    rows = np.concatenate([number.ravel(), one, other])
    return from_triplets(m * m, rows, np.concatenate([number.ravel(), other, one]), np.ones(len(rows)))


def graph_of(rows, blocks):
    return block_graph([(0, rows)], split_rows(rows.n, blocks))


def chain(blocks):
    return np.abs(np.subtract.outer(np.arange(blocks), np.arange(blocks))) == 1


def random_graph(rng, blocks, density):
    upper = np.triu(rng.random((blocks, blocks)) < density, 1)
    return upper | upper.T


def brute_force(graph, weights, worker_of, sequences, delay, sweeps):
    """When each sweep ended: a clock that is moved from event to event, and passes that start once nothing is missing.

    All quantities are whole numbers, so that the clock is exact.
    """
    done = {}
    queues = {worker: [(sweep, block) for sweep in range(sweeps) for block in sequences[sweep % len(sequences)]
                       if worker_of[block] == worker] for worker in set(worker_of)}
    busy_until = dict.fromkeys(queues, 0)
    now = 0
    while any(queues.values()):
        for worker, queue in queues.items():
            if queue and busy_until[worker] <= now and _nothing_missing(*queue[0], graph, worker_of, sequences, delay,
                                                                        done, now):
                sweep, block = queue.pop(0)
                done[sweep, block] = busy_until[worker] = now + weights[block]
        now += 1
    return [max(done[sweep, block] for block in range(len(weights))) for sweep in range(sweeps)]


def _nothing_missing(sweep, block, graph, worker_of, sequences, delay, done, now):
    sequence = list(sequences[sweep % len(sequences)])
    for other in np.flatnonzero(graph[block]).tolist():
        version = sweep if sequence.index(other) < sequence.index(block) else sweep - 1
        late = 0 if worker_of[other] == worker_of[block] else delay
        if version >= 0 and ((version, other) not in done or done[version, other] + late > now):
            return False
    return True


@same_every_time
@given(st.integers(1, 25), st.integers(1, 8), st.floats(0, 0.3), st.integers(0, 2**32 - 1))
def test_blocks_are_neighbours_where_either_reads_from_the_other(n, blocks, density, seed):
    rng = np.random.default_rng(seed)
    pattern = rng.random((n, n)) < density
    bounds = np.concatenate(([0], np.sort(rng.integers(0, n + 1, blocks - 1)), [n]))
    cuts = np.concatenate(([0], np.sort(rng.integers(0, n + 1, rng.integers(0, 4))), [n])).tolist()
    rows = sparse(pattern)
    found = block_graph(((lo, rows[lo:hi]) for lo, hi in zip(cuts[:-1], cuts[1:])), bounds)
    for i in range(blocks):
        for j in range(blocks):
            mine, others = slice(bounds[i], bounds[i + 1]), slice(bounds[j], bounds[j + 1])
            assert found[i, j] == (i != j and bool(pattern[mine, others].any() or pattern[others, mine].any()))


def test_the_graph_grows_with_the_rows_seen():
    rows, found = sparse(np.tri(6, dtype=bool)), BlockGraph([0, 2, 4, 6])
    assert not found.graph.any()
    found.add(0, rows[0:3])
    assert found.graph.tolist() == [[False, True, False], [True, False, False], [False, False, False]]
    found.add(3, rows[3:6])
    assert (found.graph == ~np.eye(3, dtype=bool)).all()


@same_every_time
@given(st.integers(1, 9), st.integers(1, 4), st.floats(0, 1), st.integers(0, 3), st.integers(1, 2),
       st.integers(0, 2**32 - 1))
def test_the_simulation_agrees_with_a_clock_moved_step_by_step(blocks, workers, density, delay, period, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, blocks, density)
    weights = rng.integers(1, 5, blocks)
    worker_of = rng.integers(0, workers, blocks).tolist()
    sequences = [rng.permutation(blocks).tolist() for _ in range(period)]
    ends = brute_force(graph, weights.tolist(), worker_of, sequences, delay, 8)
    found = speed_up(graph, weights, worker_of, sequences, delay)
    assert found == pytest.approx(4 * weights.sum() / (ends[7] - ends[3]), rel=1e-12)
    assert found <= len(set(worker_of)) + 1e-12


@same_every_time
@given(st.integers(1, 30), st.integers(1, 8), st.floats(0, 0.5), st.floats(0, 3), st.integers(0, 2**32 - 1))
def test_a_few_sweeps_show_what_many_show(blocks, workers, density, delay, seed):
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, blocks, density) | chain(blocks)
    weights = np.exp(rng.normal(size=blocks))
    worker_of = deal(blocks, workers)
    long = speed_up(graph, weights, worker_of, delay=delay, sweeps=100)
    assert speed_up(graph, weights, worker_of, delay=delay) == pytest.approx(long, rel=0.02)


@pytest.mark.parametrize('blocks, workers, expected', [(2, 2, 1), (3, 2, 1.5), (4, 2, 2), (16, 2, 2), (8, 8, 4),
                                                       (16, 8, 8), (16, 1, 1)])
def test_a_grid_is_a_pipeline_from_two_blocks_a_worker_on(blocks, workers, expected):
    assert speed_up(graph_of(grid(32), blocks), np.ones(blocks), deal(blocks, workers)) == pytest.approx(expected)


def test_a_randomly_numbered_graph_is_serial():
    rng = np.random.default_rng(0)
    rows = sparse(random_graph(rng, 500, 0.02))
    for workers in (2, 8):
        assert speed_up(graph_of(rows, 16), np.ones(16), deal(16, workers)) == pytest.approx(1)


def test_unrelated_blocks_wait_for_nobody_and_the_largest_share_counts():
    graph = np.zeros((4, 4), dtype=bool)
    assert speed_up(graph, [1, 1, 1, 1], [0, 1, 2, 3], delay=100) == pytest.approx(4)
    assert speed_up(graph, [1, 1, 1, 3], [0, 1, 2, 3]) == pytest.approx(2)


def test_the_order_of_a_sweep_decides():
    """Two colours on a ring: each after the other all at once, or one after another."""
    ring = chain(8)
    ring[0, 7] = ring[7, 0] = True
    worker_of = np.repeat(np.arange(4), 2)
    assert speed_up(ring, np.ones(8), worker_of, [0, 2, 4, 6, 1, 3, 5, 7]) == pytest.approx(4)
    assert speed_up(ring, np.ones(8), worker_of) < 3


def test_symmetric_sweeps_are_serial_on_a_chain():
    forward = np.arange(16)
    found = speed_up(chain(16), np.ones(16), deal(16, 2), [forward, forward[::-1]])
    assert found == pytest.approx(1)


def test_a_delay_is_hidden_by_several_blocks_a_worker_and_makes_two_blocks_slower_than_one_worker():
    assert speed_up(chain(2), np.ones(2), [0, 1], delay=1) == pytest.approx(0.5)
    assert speed_up(chain(16), np.ones(16), deal(16, 2), delay=1) == pytest.approx(2)


def test_small_sparse_systems_get_one_block_and_large_ones_a_power_of_two():
    assert [ordering_blocks(n, 5 * n, False) for n in (10, 20_000, 63_999)] == [1, 1, 1]
    assert [ordering_blocks(m * m, 5 * m * m, False) for m in (256, 512, 1024, 2048, 8192)] == [4, 16, 32, 64, 64]
    assert ordering_blocks(2, 10_000_000, False) == 2


@same_every_time
@given(st.integers(1, 10**8), st.integers(1, 100))
def test_sparse_blocks_are_never_small_and_grow_in_number_with_the_system(n, mean):
    blocks = ordering_blocks(n, n * mean, False)
    assert blocks <= ordering_blocks(n, 2 * n * mean, False) <= 64
    assert blocks == 1 or n * mean / blocks > 50_000 and blocks & (blocks - 1) == 0


@same_every_time
@given(st.integers(1, 200_000))
def test_dense_blocks_have_about_512_rows_and_an_even_number(n):
    blocks = ordering_blocks(n, n * n, True)
    assert blocks == 1 if n <= 512 else blocks % 2 == 0
    assert n <= 512 or 256 <= n // blocks <= 768
    assert n < 4096 or 400 <= n / blocks <= 640


def test_a_pass_takes_a_time_for_each_nonzero_and_one_for_itself():
    assert np.diff(pass_seconds(np.array([0, 80_000, 160_000]))) == pytest.approx([88e-6] * 2)
    assert pass_seconds(0) == pytest.approx(10e-6)
    assert pass_seconds(10**6, dense=True) < pass_seconds(10**6)


def test_small_systems_are_worth_fewer_workers():
    assert [worth(nonzeros, False, 8) for nonzeros in (1, 300_000, 400_000, 10**6, 10**8)] == [1, 1, 2, 5, 8]
    assert worth(500**2, True, 2) == 1 and worth(4000**2, True, 2) == 2


@same_every_time
@given(st.integers(4, 10**7))
def test_two_workers_that_are_worth_it_are_faster_than_one_on_a_grid(thousands):
    n, nonzeros = thousands * 200, thousands * 1000
    blocks = ordering_blocks(n, nonzeros, False)
    if worth(nonzeros, False, 2) == 2:
        seconds = pass_seconds(np.full(blocks, nonzeros / blocks))
        assert speed_up(chain(blocks), seconds, deal(blocks, 2), delay=WAKE) > 1.25
