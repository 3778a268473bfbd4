#!/usr/bin/env python3
"""Runs the README's test command on every Python from 3.9 to 3.13 found here, each in a fresh virtual environment.

    python scripts/test_every_python.py [--only 3.9,3.13] [-- arguments for pytest]

It looks for pythonX.Y on the path and in pyenv's folder. The output of each goes to a file that the table names. The
exit status is 0 if all passed.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VERSIONS = ('3.9', '3.10', '3.11', '3.12', '3.13')
_ASK = 'import sys, ensurepip; print("%d.%d" % sys.version_info[:2])'


def find_pythons():
    """Paths of interpreters by version; the first that works of each."""
    pyenv = os.environ.get('PYENV_ROOT') or os.path.expanduser('~/.pyenv')
    found = {}
    for version in VERSIONS:
        candidates = [shutil.which('python' + version)]
        candidates += sorted(glob.glob(os.path.join(pyenv, 'versions', version + '*', 'bin', 'python' + version)))
        for path in filter(None, candidates):
            # Where another version is chosen, pyenv's own pythonX.Y is there but does not work.
            answer = subprocess.run([path, '-c', _ASK], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            if answer.stdout.strip() == version:
                found[version] = path
                break
    return found


def readme_command():
    """The line of the README that installs with the extra `test` and runs pytest."""
    with open(os.path.join(ROOT, 'README.md')) as file:
        commands = [line.strip() for line in file if re.match(r'\s*pip install .*test.*&& *pytest', line)]
    if not commands:
        sys.exit('README.md has no line "pip install … && pytest"')
    return commands[0]


def run_tests(path, log, arguments):
    """Run them with the Python at `path`; returns whether they passed, and their last line."""
    with tempfile.TemporaryDirectory() as folder, open(log, 'w') as output:
        environment = dict(os.environ, PATH=os.path.join(folder, 'bin') + os.pathsep + os.environ['PATH'],
                           VIRTUAL_ENV=folder, PIP_DISABLE_PIP_VERSION_CHECK='1')
        environment.pop('PYTHONPATH', None)
        command = ' '.join([readme_command(), *map(_quoted, arguments)])
        status = subprocess.call([path, '-m', 'venv', folder], stdout=output, stderr=output) or \
            subprocess.call(command, shell=True, cwd=ROOT, env=environment, stdout=output, stderr=output)
    with open(log, errors='replace') as output:
        lines = [line.strip('= \n') for line in output if line.strip()]
    return status == 0, lines[-1] if lines else ''


def _quoted(argument):
    return "'" + argument.replace("'", "'\\''") + "'"


def main():
    parser = argparse.ArgumentParser(description='Run the tests on every Python that is found here.')
    parser.add_argument('--only', metavar='X.Y,X.Y', help='versions')
    parser.add_argument('arguments', nargs='*', help='for pytest')
    chosen = parser.parse_args()
    pythons = find_pythons()
    wanted = chosen.only.split(',') if chosen.only else VERSIONS
    logs = tempfile.mkdtemp(prefix='coro_sor_tests_')
    rows = []
    for version in wanted:
        if version not in pythons:
            rows.append((version, 'not found', 0.0, ''))
            continue
        print('Python %s: %s' % (version, pythons[version]), flush=True)
        log, began = os.path.join(logs, version + '.log'), time.monotonic()
        passed, last = run_tests(pythons[version], log, chosen.arguments)
        rows.append((version, 'passed' if passed else 'FAILED', time.monotonic() - began, last))
    print('\n%-7s %-10s %9s  %s' % ('Python', 'tests', 'seconds', 'last line'))
    for row in rows:
        print('%-7s %-10s %9.0f  %s' % row)
    print('\noutput: %s' % logs)
    tested = [row for row in rows if row[1] != 'not found']
    return 0 if tested and all(row[1] == 'passed' for row in tested) else 1


if __name__ == '__main__':
    sys.exit(main())
