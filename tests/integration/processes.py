"""What runs and listens on this machine, read from /proc, and waiting for conditions."""
import os
import sys
import time

import pytest


def wait_until(condition, what, limit=20.0):
    """Return the first true value of `condition()`; fail the test after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f'not within {limit} s: {what}')
        time.sleep(0.02)


def environment():
    """This process's, such that a Python started with it finds the same packages."""
    return dict(os.environ, PYTHONPATH=os.pathsep.join(map(os.path.abspath, sys.path)))


def is_alive(pid):
    """Whether process `pid` runs; one that only has not been waited for does not."""
    try:
        with open(f'/proc/{pid}/stat', encoding='ascii', errors='replace') as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid):
    """Process ids of the living children of `pid`."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            with open(f'/proc/{name}/stat', encoding='ascii', errors='replace') as file:
                parent = int(file.read().rpartition(')')[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid and is_alive(name):
            found.append(int(name))
    return found


def group_pids(leader):
    """Process ids of the living members of the process group that `leader` leads or led."""
    found = []
    for name in filter(str.isdigit, os.listdir('/proc')):
        try:
            group = os.getpgid(int(name))
        except ProcessLookupError:
            continue
        if group == leader and is_alive(name):
            found.append(int(name))
    return found


def node_pids(pid):
    """A supervisor's process id and its children's."""
    return [pid, *children_of(pid)]


def listening_ports():
    """TCP ports at which somebody listens on this machine."""
    with open('/proc/net/tcp', encoding='ascii') as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return {int(row[1].rpartition(':')[2], 16) for row in rows if row[3] == '0A'}


def ports_of(pids):
    """TCP ports at which the processes `pids` listen."""
    inodes = set()
    for pid in pids:
        for descriptor in os.listdir(f'/proc/{pid}/fd'):
            try:
                inodes.add(os.readlink(f'/proc/{pid}/fd/{descriptor}'))
            except FileNotFoundError:
                continue
    with open('/proc/net/tcp', encoding='ascii') as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return {int(row[1].rpartition(':')[2], 16) for row in rows if row[3] == '0A' and f'socket:[{row[9]}]' in inodes}
