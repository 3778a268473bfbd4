"""Two hosts on this machine: network namespaces joined by a cable, with addresses of their own."""
import contextlib
import os
import signal
import subprocess

import pytest

CABLE = 'cable'
PREFIX = 'coro-sor'


class Host:
    """A network namespace."""

    def __init__(self, name, address):
        self.name, self.address = name, address

    def popen(self, command, **options):
        """`subprocess.Popen` of `command` on this host."""
        return subprocess.Popen(['ip', 'netns', 'exec', self.name, *command], **options)

    def run(self, command, **options):
        """`subprocess.run` of `command` on this host; its output as text."""
        return subprocess.run(['ip', 'netns', 'exec', self.name, *command], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **options)

    def pids(self):
        """Processes that run on this host."""
        return [int(pid) for pid in _ip('netns', 'pids', self.name).split()]


class Pair:
    """Two hosts `a` and `b`, and the cable between them."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def unplug(self):
        """Nothing gets through from now on."""
        _ip('-n', self.a.name, 'link', 'set', CABLE, 'down')

    def plug_in(self):
        """Undo `unplug`."""
        _ip('-n', self.a.name, 'link', 'set', CABLE, 'up')

    def limit(self, rate):
        """Carry at most `rate` each way, such as '10mbit'."""
        for host in (self.a, self.b):
            _checked('tc', '-n', host.name, 'qdisc', 'replace', 'dev', CABLE, 'root', 'tbf', 'rate', rate,
                     'burst', '32kbit', 'latency', '400ms')


@contextlib.contextmanager
def pair_of_hosts():
    """Make a `Pair`; at the end whatever runs on the hosts is killed and they are gone.

    Skips the test where this is not permitted.
    """
    _remove_leftovers()
    names = [f'{PREFIX}-{os.getpid()}-{letter}' for letter in 'ab']
    hosts = [Host(name, f'10.77.0.{number}') for number, name in enumerate(names, 1)]
    try:
        try:
            _lay_cable(hosts)
        except (OSError, subprocess.CalledProcessError) as problem:
            pytest.skip(f'network namespaces cannot be made here: {getattr(problem, "stderr", None) or problem}')
        yield Pair(*hosts)
    finally:
        for name in names:
            _remove(name)


@pytest.fixture
def two_hosts():
    with pair_of_hosts() as pair:
        yield pair


def _lay_cable(hosts):
    a, b = hosts
    for host in hosts:
        _ip('netns', 'add', host.name)
    _ip('link', 'add', CABLE, 'netns', a.name, 'type', 'veth', 'peer', 'name', CABLE, 'netns', b.name)
    for host in hosts:
        _ip('-n', host.name, 'addr', 'add', f'{host.address}/24', 'dev', CABLE)
        for device in ('lo', CABLE):
            _ip('-n', host.name, 'link', 'set', device, 'up')


def _ip(*arguments):
    return _checked('ip', *arguments)


def _checked(*command):
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


def _remove(name):
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        for pid in Host(name, '').pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        _ip('netns', 'del', name)


def _remove_leftovers():
    """Of test runs that were killed."""
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        for line in _ip('netns', 'list').splitlines():
            name = line.split()[0]
            owner = name.split('-')[2] if name.startswith(PREFIX + '-') else None
            if owner and not os.path.exists(f'/proc/{owner}'):
                _remove(name)
