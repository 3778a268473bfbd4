"""Run the seeded campaign of the tests for many more seeds: ``python scripts/run_campaign.py --runs 20000``.

Prints how to replay each run that fails, and at the end how many of how many failed; the exit status is 1 if any did.
"""
from __future__ import annotations

import argparse
import os
import sys
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHARES = (6, 2, 3, 1)      # of the four kinds of runs, in the order of `kinds`


def main():
    """Run them in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--runs', type=int, default=1000, metavar='N')
    parser.add_argument('--first', type=int, default=0, metavar='SEED', help='seed to begin with (default: %(default)s)')
    chosen = parser.parse_args()
    sys.path[:0] = [ROOT, os.path.join(ROOT, 'tests', 'simulation')]
    import test_campaign
    kinds = (test_campaign.test_whatever_befalls_workers_and_machines_every_run_ends_and_tells_the_truth,
             test_campaign.test_a_partition_that_heals_within_the_patience_or_a_stall_costs_time_only,
             test_campaign.test_killed_workers_cost_time_only_where_their_supervisors_live,
             test_campaign.test_workers_whose_coordinator_is_gone_free_all_that_they_have)
    turns = [kind for kind, share in zip(kinds, SHARES) for _ in range(share)]
    failed, began = 0, time.monotonic()
    for run in range(chosen.runs):
        seed, kind = chosen.first + run, turns[run % len(turns)]
        try:
            kind.check(seed)
        except Exception:       # the others are worth running all the same
            failed += 1
            print('failed: PYTHONPATH=.:tests/simulation python -c "import test_campaign as t; t.%s.check(%d)"\n%s'
                  % (kind.__name__, seed, traceback.format_exc(limit=-2)), flush=True)
        if run % 1000 == 999:
            print('%d runs, %d failed, %.0f s' % (run + 1, failed, time.monotonic() - began), flush=True)
    print('%d of %d runs failed' % (failed, chosen.runs))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
