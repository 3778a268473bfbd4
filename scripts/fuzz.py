#!/usr/bin/env python3
"""Feeds made-up input to whatever reads what others wrote, and reports all but a value or a clean refusal.

    python scripts/fuzz.py npz --inputs 200000 --seed 1       one target
    python scripts/fuzz.py all --inputs 5000                  each of them
    python scripts/fuzz.py npz --seed 1 --only 4711           one input again, with its traceback
    python scripts/fuzz.py npz --seconds 60 --atheris         led by the branches that inputs take, where it installs

Inputs are valid ones, mutated in their structure, in their bytes, or in both. Input k depends on seed and k only.
A find is an exception that is no refusal, a warning, a crash, more than 5 seconds, or more than 1 GiB of memory; it is
written to a file in --finds, with the command that replays it. The exit status is 1 where there is one.
"""
import os

os.environ.update(OPENBLAS_NUM_THREADS='1', OMP_NUM_THREADS='1', MKL_NUM_THREADS='1')   # read when numpy is imported

import argparse  # noqa: E402
import sys  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from fuzzing import running, targets  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description='Feed made-up input to whatever reads what others wrote.')
    parser.add_argument('target', choices=[*targets.NAMES, 'all'])
    parser.add_argument('--inputs', type=int, default=10000, metavar='N', help='of each target (default: 10000)')
    parser.add_argument('--seed', type=int, default=0, metavar='S')
    parser.add_argument('--seconds', type=float, metavar='T', help='end after so long')
    parser.add_argument('--only', type=int, metavar='K', help='try input K alone, here')
    parser.add_argument('--finds', default='finds', metavar='FOLDER', help='where finds go (default: ./finds)')
    parser.add_argument('--atheris', action='store_true', help='let atheris make the inputs')
    chosen = parser.parse_args()
    names = targets.NAMES if chosen.target == 'all' else [chosen.target]
    if chosen.atheris:
        running.with_atheris(names[0], chosen.seconds)
    if chosen.only is not None:
        return running.once(names[0], chosen.seed, chosen.only)
    found = 0
    for name in names:
        done = running.run(name, chosen.seed, chosen.inputs, chosen.seconds, chosen.finds)
        print(done, flush=True)
        found += len(done.finds)
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
