#!/usr/bin/env bash
# bash tools/soak.sh [--minutes M] [--seed N]
#
# Kills trainings until M minutes [7] are over, before each of their operations on files and at
# random, and reads hostile files within 60 s and 4 GiB. Prints counts, and ends with 1 where a
# training did not end as the undisturbed one to the last bit, or a process outlived its trainer.
# About M + 4 minutes on two cores, at most M + 8.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
minutes=7
seed=$RANDOM
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit ;;
    --minutes) [ $# -ge 2 ] || { usage >&2; exit 2; }; minutes=$2; shift 2 ;;
    --seed) [ $# -ge 2 ] || { usage >&2; exit 2; }; seed=$2; shift 2 ;;
    *) usage >&2; exit 2 ;;
  esac
done
. "$root/tools/environment.sh"
export OMP_NUM_THREADS=1
failed=0
step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
SECONDS=0
step 'hostile files'
timeout 180 "$PYTHON" -m pytest -q -W ignore tests/mim_backbones/checkpoints/safe || failed=1
step 'killed before each operation on files'
timeout 180 "$PYTHON" -m tests.soak.faults --layout 'one kept and the best' || failed=1
step "random kills, seed $seed"
timeout $((60 * minutes + 120)) "$PYTHON" -m tests.soak.kills --minutes "$minutes" --seed "$seed" || failed=1
step 'done'
exit $failed
