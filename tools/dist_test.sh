#!/usr/bin/env bash
# tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# One node takes a port that is free. Several: NNODES, NODE_RANK, MASTER_ADDR and PORT as torchrun
# wants them. Without GPUs the processes share the CPU's cores and talk through gloo.
set -euo pipefail
if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then sed -n '2,4s/^# \{0,1\}//p' "$0"; exit; fi
[ $# -ge 3 ] || { echo "usage: tools/dist_test.sh CONFIG CHECKPOINT GPUS [ARGUMENTS]" >&2; exit 2; }
CONFIG=$1
CHECKPOINT=$2
GPUS=$3
case $GPUS in ""|*[!0-9]*|0) echo "dist_test.sh: error: GPUS='$GPUS' is no number of processes" >&2; exit 2 ;; esac
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/tools/environment.sh"
cores=$(nproc)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores > GPUS ? cores / GPUS : 1))}
exec "$PYTHON" "$root/tools/processes.py" --nproc_per_node="$GPUS" \
  "$root/tools/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
