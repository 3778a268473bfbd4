"""What the coordinator knows of a node: which worker processes it has, whatever order its directory's news come in."""
import pytest

from coro_sor import __version__
from coro_sor.gathering import Node, Place
from coro_sor.node_messages import ChildLost, ChildStarted, NodeInfo


def info(*children, version=__version__):
    return NodeInfo(0, 'host', 51347, tuple((port, pid, None) for port, pid in children), 2, version, 'host')


@pytest.fixture
def node():
    made = Node('n', ('host', 51347))
    made.take(info((5, 50), (6, 60)), 1.0)
    return made


def places(node):
    return [(place.location[1], place.pid) for place in node.places()]


def test_the_workers_are_those_that_the_directory_lists(node):
    assert node.places() == [Place('n', ('host', 5), 50), Place('n', ('host', 6), 60)]
    assert node.heard == 1.0 and node.has(Place('n', ('host', 5), 50)) and not node.has(Place('n', ('host', 5), 51))


def test_a_loss_is_final_though_an_older_list_comes_later(node):
    node.take(ChildLost(0, 'host', 5, 50, 'signal SIGKILL'), 2.0)
    node.take(info((5, 50), (6, 60)), 3.0)
    assert places(node) == [(6, 60)] and node.heard == 3.0


def test_a_worker_that_was_started_counts_at_once_but_not_after_its_loss(node):
    node.take(ChildStarted(0, 'host', 7, 70), 2.0)
    assert places(node) == [(5, 50), (6, 60), (7, 70)]
    node.take(ChildLost(0, 'host', 7, 70, 'exit status 1'), 3.0)
    node.take(ChildStarted(0, 'host', 7, 70), 4.0)
    assert places(node) == [(5, 50), (6, 60)]


def test_a_port_may_be_used_again_by_another_process(node):
    node.take(ChildLost(0, 'host', 5, 50, 'signal SIGKILL'), 2.0)
    node.take(ChildStarted(0, 'host', 5, 51), 3.0)
    assert places(node) == [(5, 51), (6, 60)]


def test_a_loss_that_comes_late_does_not_strike_off_a_successor_at_the_same_port(node):
    node.take(info((5, 51)), 2.0)
    node.take(ChildLost(0, 'host', 5, 50, 'signal SIGKILL'), 3.0)
    assert places(node) == [(5, 51)]


def test_a_node_of_another_version_has_no_usable_worker():
    other = Node('n', ('host', 51347))
    assert not other.usable
    other.take(info((5, 50), version='0'), 1.0)
    assert not other.usable and other.places() == []
    assert 'runs coro_sor 0' in other.unfit()


def test_a_node_without_workers_says_so():
    empty = Node('n', ('host', 51347))
    empty.take(info(), 1.0)
    assert empty.unfit() == 'node n has no worker process ready'
