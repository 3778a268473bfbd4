#!/bin/sh
# Stop the worker processes of this machine; --help lists the options. $PYTHON chooses the Python.
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd) || exit
PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "${PYTHON:-python3}" -m coro_sor.service stop "$@"
