#!/usr/bin/env bash
# bash tools/test.sh [--fast] [arguments of pytest]
# Set-up, ruff, mypy on the pure parts, pytest. --fast leaves out real trainings and whole commands.
# MIMBENCH_SHARED=FOLDER adds the tests on golden tensors and real photos.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
fast=()
if [ "${1:-}" = --fast ]; then fast=(-m 'not slow'); shift; fi
[ -z "${MIMBENCH_SHARED:-}" ] || export MIMBENCH_SHARED=$(cd "$MIMBENCH_SHARED" && pwd)
bash tools/setup.sh
. tools/environment.sh
"$PYTHON" -m ruff check .
"$PYTHON" -m ruff format --check .
"$PYTHON" -m mypy
exec "$PYTHON" -m pytest "${fast[@]}" --durations=5 "$@"
