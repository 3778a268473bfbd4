"""Thousands of strangers at the ports of a running solve."""
import resource
import socket
import threading

import pytest

import coro_sor
from coro_sor.problems import poisson2d
from processes import node_pids, ports_of

CONNECTIONS, BURST = 5000, 500


def open_and_abandon(ports, said):
    """A burst of connections to each port in turn; none is closed before all are there."""
    for number in range(CONNECTIONS // BURST):
        burst = []
        try:
            for _ in range(BURST):
                burst.append(socket.create_connection(('127.0.0.1', ports[number % len(ports)]), timeout=20))
                burst[-1].sendall(said)
        except OSError:     # closed out already
            pass
        finally:
            for sock in burst:
                sock.close()
            opened.append(len(burst))


opened = []


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[0] < BURST + 200, reason='too few descriptors')
@pytest.mark.parametrize('said', [b'', b'half a challenge', bytes(64)], ids=['nothing', 'half', 'a false proof'])
def test_five_thousand_abandoned_connections_do_not_stop_a_running_solve(said):
    A, stop = poisson2d(64), threading.Event()
    opened.clear()
    with coro_sor.Cluster(workers=2) as cluster:
        ports = sorted(ports_of(node_pids(cluster._local.pid)))
        assert len(ports) == 3
        crowd = threading.Thread(target=open_and_abandon, args=(ports, said))

        def observe(record):
            if record.phase == 'iterate' and not crowd.ident:
                crowd.start()
            if crowd.ident and not crowd.is_alive():
                stop.set()
                raise KeyboardInterrupt     # it has lived through all of them

        with pytest.raises(KeyboardInterrupt):
            cluster.solve(A, [1.0] * len(A), rtol=1e-300, omega=1e-3, look_interval=1e9, exchange='messages',
                          schedule='async', blocks=2, observe=observe)
        assert stop.is_set() and sum(opened) > CONNECTIONS * 0.9
        assert cluster.solve(A, [1.0] * len(A), omega=1.8).converged
