"""The order of updates: the same for all owners, every block once a sweep, reversed in turn or drawn anew."""
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coro_sor.order import ORDERS, Order

same_every_time = settings(derandomize=True, deadline=None, max_examples=100)

BASE = np.array([0, 3, 1, 4, 2])


def order(kind, seed=0, base=BASE):
    return Order(kind, seed, base)


@same_every_time
@given(st.sampled_from(ORDERS), st.integers(0, 2 ** 40), st.permutations(range(7)), st.integers(1, 10 ** 9))
def test_every_block_comes_once_in_a_sweep_and_its_rank_is_its_place(kind, seed, base, sweep):
    made = order(kind, seed, base)
    blocks, rank = made.blocks(sweep), made.rank(sweep)
    assert sorted(blocks) == list(range(7))
    assert [blocks[place] for place in rank] == list(range(7))
    assert all(type(number) is int for number in blocks + rank)


@pytest.mark.parametrize('kind', ORDERS)
def test_all_owners_agree_whatever_they_have_asked_for_before(kind):
    ahead, behind, back = (order(kind, seed=7) for _ in range(3))
    expected = [ahead.blocks(sweep) for sweep in range(1, 40)]
    assert [behind.blocks(max(1, sweep - 3)) and behind.blocks(sweep) for sweep in range(1, 40)] == expected
    assert [back.blocks(sweep) for sweep in range(39, 0, -1)] == expected[::-1]


@pytest.mark.parametrize('sweep', [1, 2, 3, 100])
def test_cyclic_is_the_base_order_forward_in_every_sweep(sweep):
    made = order('cyclic')
    assert made.blocks(sweep) == BASE.tolist() and not made.backward(sweep) and made.pieces(sweep, 0, 5) is None


@pytest.mark.parametrize('sweep', [1, 3, 101])
def test_symmetric_is_the_base_order_and_its_reverse_in_turn(sweep):
    made = order('symmetric')
    assert made.blocks(sweep) == BASE.tolist() and not made.backward(sweep)
    assert made.blocks(sweep + 1) == BASE[::-1].tolist() and made.backward(sweep + 1)
    assert made.pieces(sweep, 0, 5) is made.pieces(sweep + 1, 0, 5) is None


def test_shuffled_differs_from_sweep_to_sweep_and_from_seed_to_seed():
    base = np.arange(64)
    found = [order('shuffled', seed, base).blocks(sweep) for seed in range(3) for sweep in range(1, 20)]
    assert all(one != other for one, other in itertools.combinations(found, 2))
    assert not any(order('shuffled').backward(sweep) for sweep in range(1, 5))


def test_shuffled_brings_every_block_to_every_place_about_equally_often():
    made = order('shuffled', 3, np.arange(4))
    places = np.array([made.rank(sweep) for sweep in range(1, 2001)])
    counts = np.array([np.bincount(places[:, block], minlength=4) for block in range(4)])
    assert (abs(counts - 500) < 100).all()      # five standard deviations


def test_shuffled_permutes_the_base_order():
    straight, turned = order('shuffled', 5, np.arange(5)), order('shuffled', 5, BASE)
    assert turned.blocks(9) == BASE[straight.blocks(9)].tolist()


def test_shuffled_pieces_come_once_each_and_differ_from_sweep_to_sweep_and_from_block_to_block():
    made = order('shuffled', 1)
    found = [made.pieces(sweep, block, 30) for sweep in range(1, 10) for block in range(5)]
    assert all(sorted(pieces) == list(range(30)) for pieces in found)
    assert all(one != other for one, other in itertools.combinations(found, 2))
    assert found == [order('shuffled', 1).pieces(sweep, block, 30) for sweep in range(1, 10) for block in range(5)]
    assert found[0] != order('shuffled', 2).pieces(1, 0, 30)


def test_one_piece_needs_no_order():
    assert order('shuffled').pieces(1, 0, 1) is None


def test_a_long_run_fills_no_memory():
    made = order('shuffled')
    for sweep in range(1, 1000):
        made.rank(sweep)
    assert len(made._cached) < 10
