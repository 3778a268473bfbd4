"""Slows a process down: it is stopped most of the time, until the standard input here is closed.

    python slow_down.py PID RUNNING STOPPED

RUNNING and STOPPED are seconds: 0.005 and 0.02 leave it a fifth of its speed. It runs when this ends.
"""
import os
import select
import signal
import sys


def main(pid, running, stopped):
    def closed(seconds):
        return bool(select.select([sys.stdin], [], [], seconds)[0])

    signal.signal(signal.SIGTERM, lambda *unused: sys.exit(1))
    try:
        ending = False
        while not ending:
            os.kill(pid, signal.SIGSTOP)
            ending = closed(stopped)
            os.kill(pid, signal.SIGCONT)
            ending = ending or closed(running)
    finally:
        os.kill(pid, signal.SIGCONT)


if __name__ == '__main__':
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
