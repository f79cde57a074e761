#!/usr/bin/env bash
# bash tools/test.sh [--fast] [arguments of pytest]
# Set-up, ruff, mypy on the pure parts, pytest. --fast leaves out real trainings and whole commands.
# MIMBENCH_SHARED=FOLDER adds the tests on golden tensors and real photos.
set -euo pipefail
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then sed -n '2,4s/^# \{0,1\}//p' "$0"; exit; fi
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
fast=()
if [ "${1:-}" = --fast ]; then fast=(-m 'not slow'); shift; fi
if [ -n "${MIMBENCH_SHARED:-}" ]; then
    shared=$(cd "$MIMBENCH_SHARED" && pwd) # a folder that is not there ends here, by name
    export MIMBENCH_SHARED=$shared
fi
bash tools/setup.sh
. tools/environment.sh
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
# A process for each core: a test takes one thread, and real trainings are many.
exec "$PYTHON" -m pytest -n "${MIMBENCH_TEST_PROCESSES:-auto}" --dist worksteal "${fast[@]}" --durations=5 "$@"
