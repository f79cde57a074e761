#!/usr/bin/env bash
# bash tools/demo.sh [--data FILE] [--out DIR] [--seed N]
#
# Set up, make synthetic data (or take the data sets that a YAML names), pre-train SimMIM, then
# evaluate the pre-trained and a random-init backbone on detection, segmentation and tracking with
# the same budget, and write the report. Without GPU about eight minutes on two cores.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
data=
out=$root/demo_out
seed=0
usage() { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --data) [ $# -ge 2 ] || usage; data=$2; shift 2 ;;
    --out) [ $# -ge 2 ] || usage; out=$2; shift 2 ;;
    --seed) [ $# -ge 2 ] || usage; seed=$2; shift 2 ;;
    *) usage ;;
  esac
done

bash "$root/tools/setup.sh"
. "$root/tools/environment.sh"
mimbench() { "$PYTHON" -m mim_backbones.cli "$@"; }
step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
SECONDS=0
mkdir -p "$out"
run=$out/seed$seed

if [ -z "$data" ]; then
  step 'synthetic data'
  mimbench synth "$out/data" --size small
  data=$out/data
fi

step 'pre-training: SimMIM'
"$PYTHON" "$root/tools/train.py" "$root/configs/pretrain/simmim_demo.py" --data "$data" \
  --work-dir "$run/pretrain" --resume \
  --cfg-options randomness.seed="$seed" train_dataloader.sampler.seed="$seed"
checkpoint=$(cat "$run/pretrain/last_checkpoint")

step 'detection, segmentation, tracking: SimMIM and random init'
mimbench eval "simmim=$checkpoint" random --tasks detection,segmentation,tracking --tier smoke \
  --data "$data" --seed "$seed" --out "$run/results" --jobs 2

step 'report'
mimbench reconstruct "$checkpoint" "$("$PYTHON" "$root/tools/data_root.py" "$data" pretrain)" \
  --out "$run/reconstruction.png"
mimbench report "$run/results" --out "$run/report" --picture "Masked reconstruction=$run/reconstruction.png"
step 'done'
