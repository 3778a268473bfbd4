"""The sweeper: all schedules, orders and ways of exchange give the x that they define, whatever happens when."""
import numpy as np
import pytest

from coro_sor.arrangement import arrange
from coro_sor.order import Order
from coro_sor.partition import halo
from owners import World, sparse_of, x_by_rows

OMEGA = 1.3


def matrix(n, seed=0, density=1.0, symmetric=True):
    """A random matrix of n rows for which SOR converges, with about so many entries."""
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((n, n)) < density, rng.uniform(-1, 1, (n, n)), 0.0)
    if symmetric:
        A = np.tril(A, -1)
        A = A + A.T
    np.fill_diagonal(A, 0.0)
    np.fill_diagonal(A, 1.2 * np.abs(A).sum(axis=1) + rng.uniform(1, 2, n))
    return A


def one_way(n):
    """Later rows read earlier ones, which read nobody: who writes does not hear of who reads by reading."""
    A = np.tril(matrix(n, 5), 0)
    A[2, n - 1] = 0.5
    return A


def grid(side):
    """The 5-point Laplacian."""
    line = 2 * np.eye(side) - np.eye(side, k=1) - np.eye(side, k=-1)
    return np.kron(line, np.eye(side)) + np.kron(np.eye(side), line)


# ---- the reference

def rows_of(A, bounds, sparse):
    """For each block its rows in the order of updates, in the pieces of 64 that a shuffle of dense rows exchanges."""
    found = []
    for lo, hi in zip(bounds[:-1], bounds[1:]):
        if sparse:
            rows = sparse_of(A)[lo:hi].copy()
            reads = halo(rows, sorted({0, lo, hi, len(A)}), lo, hi)
            outside = np.concatenate([np.empty(0, dtype=np.int64)] + [read.indices() for read in reads.values()])
            found.append([(lo + arrange(rows, lo, [(0, hi - lo)], outside).order).tolist()])
        else:
            found.append([list(range(at, min(at + 64, hi))) for at in range(lo, hi, 64)])
    return found


def reference(A, b, bounds, schedule, sweeps, kind='cyclic', seed=0, sparse=False, turn=0, sequence=None):
    """x after so many sweeps of SOR row by row in the explicit order."""
    blocks, made = rows_of(A, bounds, sparse), []
    order = Order(kind, seed, np.arange(len(blocks)) if sequence is None else np.array(sequence))
    for sweep in range(turn + 1, turn + sweeps + 1):
        made.append([])
        for block in order.blocks(sweep):
            pieces = blocks[block]
            rows = [row for piece in order.pieces(sweep, block, len(pieces)) or range(len(pieces))
                    for row in pieces[piece]]
            hidden = np.delete(np.arange(len(A)), rows) if schedule == 'sync' else []
            made[-1].append((rows[::-1] if order.backward(sweep) else rows, hidden))
    return x_by_rows(A, b, np.zeros(len(A)), OMEGA, made)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * np.abs(expected).max())


def solved(A, b, bounds, owners, schedule, sweeps, run=World.run, turn=0, **options):
    """The World after so many sweeps of all owners."""
    world = World(A, b, bounds, owners, **options)
    world.freeze(schedule)
    world.resume(sweeps, OMEGA, turn=turn)
    run(world)
    return world


# ---- the exact schedules

BOUNDS = [0, 11, 19, 30, 40]
SPLITS = [[0, 40], [0, 11, 30, 40], BOUNDS]


@pytest.mark.parametrize('owners', SPLITS, ids=str)
@pytest.mark.parametrize('kind', ['cyclic', 'symmetric', 'shuffled'])
@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
@pytest.mark.parametrize('shared', [False, True], ids=['messages', 'shared'])
def test_exact_schedules_give_the_x_of_the_reference_after_every_sweep(owners, kind, schedule, sparse, shared):
    A, b = matrix(40, 1, 0.2 if sparse else 1.0), np.arange(40.0) - 7
    for sweeps in (2, 5):
        world = solved(A, b, BOUNDS, owners, schedule, sweeps, order=kind, seed=3, sparse=sparse, shared=shared)
        close(world.x(), reference(A, b, BOUNDS, schedule, sweeps, kind, 3, sparse))
        assert all(owner.sweeper.finished == sweeps for owner in world.owners)
        assert sum(owner.sweeper.updates for owner in world.owners) == sweeps * 40


@pytest.mark.parametrize('kind', ['cyclic', 'symmetric', 'shuffled'])
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
def test_in_ordered_the_bits_of_x_depend_neither_on_the_owners_nor_on_the_exchange(kind, sparse):
    A, b = matrix(40, 2, 0.2 if sparse else 1.0), np.arange(40.0) - 7
    found = [solved(A, b, BOUNDS, owners, 'ordered', 5, order=kind, seed=9, sparse=sparse, shared=shared).x()
             for owners in SPLITS for shared in (False, True)]
    assert all((x == found[0]).all() for x in found)


@pytest.mark.parametrize('kind', ['cyclic', 'symmetric', 'shuffled'])
@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
def test_the_rows_of_sparse_blocks_are_swept_colour_by_colour(schedule, kind):
    A, b = grid(20), np.arange(400.0)
    bounds, (first, *_) = [0, 140, 270, 400], rows_of(A, [0, 140, 270, 400], True)
    assert first[0] != sorted(first[0])
    expected = reference(A, b, bounds, schedule, 3, kind, 5, sparse=True)
    for owners in ([0, 400], [0, 140, 400], bounds):
        for shared in (False, True):
            world = solved(A, b, bounds, owners, schedule, 3, order=kind, seed=5, sparse=True, shared=shared)
            close(world.x(), expected)


@pytest.mark.parametrize('owners', SPLITS, ids=str)
def test_a_shuffle_reaches_into_the_blocks_of_dense_rows(owners):
    A, b = matrix(400, 3), np.ones(400)
    bounds = [10 * bound for bound in BOUNDS]
    world = solved(A, b, bounds, [10 * owner for owner in owners], 'ordered', 3, order='shuffled', seed=1)
    close(world.x(), reference(A, b, bounds, 'ordered', 3, 'shuffled', 1))
    assert not np.allclose(world.x(), reference(A, b, bounds, 'ordered', 3, 'cyclic'), rtol=0, atol=1e-9)


@pytest.mark.parametrize('kind', ['cyclic', 'symmetric', 'shuffled'])
def test_one_block_of_dense_rows_is_swept_in_the_same_order_whatever_the_exchange(kind):
    A, b = matrix(300, 3), np.ones(300)
    expected = reference(A, b, [0, 300], 'ordered', 3, kind, 1)
    for options in ({'exchange': 'messages'}, {'exchange': 'shared'}, {'exchange_every': 70}):
        world = solved(A, b, [0, 300], [0, 300], 'ordered', 3, order=kind, seed=1, panel_nonzeros=30_000, **options)
        close(world.x(), expected)


@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
@pytest.mark.parametrize('sequence', [[3, 1, 0, 2], [1, 3, 2, 0]], ids=str)
def test_the_base_order_of_the_blocks_is_free(schedule, sequence):
    A, b = matrix(40, 4, 0.3), np.arange(40.0)
    for owners in SPLITS:
        world = solved(A, b, BOUNDS, owners, schedule, 4, order='symmetric', sequence=sequence, sparse=True)
        close(world.x(), reference(A, b, BOUNDS, schedule, 4, 'symmetric', sparse=True, sequence=sequence))


@pytest.mark.parametrize('kind', ['symmetric', 'shuffled'])
def test_the_order_goes_on_where_the_sweeps_before_the_epoch_have_left_it(kind):
    A, b = matrix(40, 6), np.arange(40.0)
    whole = solved(A, b, BOUNDS, [0, 19, 40], 'ordered', 5, order=kind, seed=4)
    parts = solved(A, b, BOUNDS, [0, 19, 40], 'ordered', 3, order=kind, seed=4)
    parts.freeze('ordered')
    parts.resume(2, OMEGA, turn=3)
    parts.run()
    close(parts.x(), whole.x())
    close(whole.x(), reference(A, b, BOUNDS, 'ordered', 5, kind, 4))


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
@pytest.mark.parametrize('shared', [False, {1, 2}, True], ids=['messages', 'mixed', 'shared'])
def test_late_lost_and_repeated_messages_change_no_bit_in_exact_schedules(seed, schedule, sparse, shared):
    A, b = matrix(40, seed, 0.15 if sparse else 1.0, symmetric=False), np.arange(40.0) - 7
    kind = ('cyclic', 'symmetric', 'shuffled')[seed % 3]
    options = dict(order=kind, seed=seed, sparse=sparse, shared=shared, limit=3)
    expected = solved(A, b, BOUNDS, BOUNDS, schedule, 6, **options).x()
    world = solved(A, b, BOUNDS, BOUNDS, schedule, 6, lambda world: world.run_at_random(seed), **options)
    assert (world.x() == expected).all()
    close(expected, reference(A, b, BOUNDS, schedule, 6, kind, seed, sparse))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('schedule', ['sync', 'ordered'])
@pytest.mark.parametrize('shared', [False, True], ids=['messages', 'shared'])
def test_who_is_read_by_others_and_reads_little_does_not_run_away_from_its_readers(seed, schedule, shared):
    A, b = one_way(40), np.arange(40.0)
    world = solved(A, b, BOUNDS, BOUNDS, schedule, 9, lambda world: world.run_at_random(seed, 0.0),
                   sparse=True, shared=shared)
    close(world.x(), reference(A, b, BOUNDS, schedule, 9, sparse=True))


# ---- async

@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
def test_values_by_message_and_through_shared_memory_give_the_same_x_in_async(sparse):
    A, b = matrix(260, 7, 0.1 if sparse else 1.0), np.ones(260)
    found = []
    for shared in (False, {0}, True):
        world = World(A, b, [0, 70, 130, 260], [0, 130, 260], sparse=sparse, shared=shared, whole_blocks=False,
                      exchange='shared', exchange_every=20)
        world.freeze('async')
        world.resume(5, OMEGA)
        world.run(steps=1)
        found.append(world.x())
    assert (found[0] == found[1]).all() and (found[0] == found[2]).all()


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
@pytest.mark.parametrize('shared', [False, {0}, True], ids=['messages', 'mixed', 'shared'])
def test_async_converges_whatever_is_late_lost_or_repeated(seed, sparse, shared):
    A, b = matrix(40, seed, 0.2 if sparse else 1.0), np.arange(40.0)
    world = World(A, b, BOUNDS, BOUNDS, sparse=sparse, shared=shared, whole_blocks=False,
                  order=('cyclic', 'symmetric', 'shuffled')[seed % 3])
    for epoch in range(12):
        world.freeze('async')
        for owner in world.owners:
            largest, squares, _ = owner.holding.residual()
            expected = (b - A @ world.x())[owner.holding.start:owner.holding.stop]
            assert largest * np.sqrt(squares) == pytest.approx(np.linalg.norm(expected), rel=1e-6, abs=1e-10)
        world.resume(10)
        world.run_at_random(100 * seed + epoch, 0.1)
    assert np.linalg.norm(b - A @ world.x()) < 1e-6 * np.linalg.norm(b)


@pytest.mark.parametrize('bound', [1, 2, 4])
@pytest.mark.parametrize('shared', [False, True], ids=['messages', 'shared'])
def test_bounded_async_never_runs_further_ahead_than_its_bound(bound, shared):
    A, b = matrix(40, 8), np.ones(40)
    world = World(A, b, BOUNDS, BOUNDS, shared=shared, max_staleness=bound, whole_blocks=False)
    world.freeze('async')
    world.resume(50, OMEGA)
    while world.step(0):
        pass
    assert world.owners[0].sweeper.finished == bound
    world.run_at_random(3, 0.0)
    assert all(owner.sweeper.finished == 50 for owner in world.owners)
    assert all(owner.sweeper.staleness_largest <= bound for owner in world.owners)


def test_free_async_runs_ahead_of_everybody():
    world = World(matrix(40, 8), np.ones(40), BOUNDS, BOUNDS, whole_blocks=False)
    world.freeze('async')
    world.resume(50, OMEGA)
    while world.step(0):
        pass
    sweeper = world.owners[0].sweeper
    assert sweeper.done and sweeper.finished == 50 and sweeper.staleness_largest == 50
    assert sweeper.statistics() == {'row_updates': 50 * 11, 'mean_staleness': 25.5, 'largest_staleness': 50}


@pytest.mark.parametrize('shared', [False, True], ids=['messages', 'shared'])
@pytest.mark.parametrize('ahead', [0, 3, 30])
def test_the_staleness_is_that_of_the_values_each_sweep_has_begun_with(shared, ahead):
    """Also where many sweeps are handed over together, and the others go on meanwhile."""
    world = World(matrix(40, 8), np.ones(40), BOUNDS, [0, 19, 40], shared=shared, whole_blocks=False)
    world.freeze('async')
    world.resume(50, OMEGA)
    mine, other = world.owners[0].sweeper, world.owners[1].sweeper
    panels = sum(len(each) for each in world.owners[1].holding.panels.values())

    def other_sweeps(count):
        for _ in range(count * panels):
            world.step(1, 1)
            world.deliver_all()

    def before(*step):
        mine.before(*step)
        return True

    def after(*step):
        mine.after(*step, {1: world.owners[0].outgoings[1].current})
        if step[0] == world.owners[0].holding.blocks[-1]:
            other_sweeps(1)
        return True
    other_sweeps(ahead)
    while mine.finished < 20:
        tasks = [task for task in mine.next_step() if task[2] <= 20]
        assert len(tasks) > 2 or mine.finished == 0
        mine.finish_step(world.owners[0].holding.sweep(tasks, before, after), 1e-3)
    assert other.finished == 20 + ahead
    told = mine.statistics()
    assert (told['mean_staleness'], told['largest_staleness']) == (1 - ahead, 1 - ahead)


def test_without_others_there_is_no_staleness():
    world = solved(matrix(40, 8), np.ones(40), BOUNDS, [0, 40], 'async', 3, whole_blocks=False)
    told = world.owners[0].sweeper.statistics()
    assert (told['mean_staleness'], told['largest_staleness']) == (0, 0)


def test_in_async_own_blocks_see_each_others_newest_values():
    A, b = matrix(40, 9), np.arange(40.0)
    world = solved(A, b, BOUNDS, [0, 40], 'async', 3, whole_blocks=False)
    close(world.x(), reference(A, b, BOUNDS, 'ordered', 3))


# ---- freezes

@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('schedule', ['async', 'sync', 'ordered'])
@pytest.mark.parametrize('sparse', [False, True], ids=['dense', 'sparse'])
@pytest.mark.parametrize('shared', [False, {0}, True], ids=['messages', 'mixed', 'shared'])
def test_after_a_freeze_at_any_moment_all_see_one_x_and_go_on_from_it(seed, schedule, sparse, shared):
    A, b = matrix(40, seed, 0.2 if sparse else 1.0), np.arange(40.0)
    world = World(A, b, BOUNDS, [0, 19, 30, 40], sparse=sparse, shared=shared, limit=4,
                  order=('cyclic', 'symmetric', 'shuffled')[seed % 3])
    for epoch in range(15):
        world.freeze(schedule)
        x = world.x()
        for owner in world.owners:
            for other, read in owner.reads.items():
                assert (owner.holding.x[owner.holding.keys[other]] == x[read.key]).all()
            largest, squares, energy = owner.holding.residual()
            part = slice(owner.holding.start, owner.holding.stop)
            r = (b - A @ x)[part]
            assert largest * np.sqrt(squares) == pytest.approx(np.linalg.norm(r), rel=1e-6, abs=1e-10)
            assert energy == pytest.approx(-0.5 * x[part] @ (b[part] + r), rel=1e-9, abs=1e-9)
        world.resume(6, turn=epoch)
        world.happen(20 * seed + epoch, 0.1, 10 + 20 * epoch)
    world.freeze(schedule)
    world.resume(60)
    world.run()
    assert np.linalg.norm(b - A @ world.x()) < 1e-8 * np.linalg.norm(b)
