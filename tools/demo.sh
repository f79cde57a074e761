#!/usr/bin/env bash
# bash tools/demo.sh [--method simmim|beitv2] [--data FILE] [--out DIR] [--seed N] [--trainings N]
#
# Set up, make synthetic data (or take the data sets that a YAML names), pre-train SimMIM or BEiT v2
# (first its tokenizer, whose teacher is a small ViT with random weights), then evaluate the
# pre-trained and a random-init backbone on detection, segmentation and tracking with the same
# budget, and write the report. --trainings: fine-tunings of each, from --seed on [1]; with one the
# report calls no difference clear, three are worth the wait.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
data=
out=$root/demo_out
seed=0
trainings=1
method=simmim
help() { sed -n '2,8s/^# \{0,1\}//p' "$0"; }
usage() { help >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --method) [ $# -ge 2 ] || usage; method=$2; shift 2 ;;
    --data) [ $# -ge 2 ] || usage; data=$2; shift 2 ;;
    --out) [ $# -ge 2 ] || usage; out=$2; shift 2 ;;
    --seed) [ $# -ge 2 ] || usage; seed=$2; shift 2 ;;
    --trainings) [ $# -ge 2 ] || usage; trainings=$2; shift 2 ;;
    --help|-h) help; exit ;;
    *) usage ;;
  esac
done
case $method in simmim|beitv2) ;; *) usage ;; esac

bash "$root/tools/setup.sh"
. "$root/tools/environment.sh"
mimbench() { "$PYTHON" -m mim_backbones.console.cli "$@"; }
step() { printf '\n== %s (%ds)\n' "$1" "$SECONDS"; }
SECONDS=0
mkdir -p "$out"
run=$out/seed$seed
[ "$method" = simmim ] || run=$out/$method/seed$seed

if [ -z "$data" ]; then
  step 'synthetic data'
  mimbench synth "$out/data" --size small
  data=$out/data
fi

images=$("$PYTHON" "$root/tools/data_root.py" "$data" pretrain)

# train RECIPE FOLDER [OPTIONS]: trains into $run/FOLDER, going on where it was stopped.
train() {
  "$PYTHON" "$root/tools/train.py" "$root/configs/pretrain/$1.py" --data "$data" \
    --work-dir "$run/$2" --resume \
    --cfg-options randomness.seed="$seed" train_dataloader.sampler.seed="$seed" "${@:3}"
}

if [ "$method" = beitv2 ]; then
  step 'tokenizer: VQ-KD, its teacher a small ViT with random weights'
  train vqkd_demo tokenizer
  tokenizer=$(cat "$run/tokenizer/last_checkpoint")
  step 'pre-training: BEiT v2 on the tokens'
  train beitv2_demo pretrain model.target.tokenizer.checkpoint="$tokenizer"
else
  step 'pre-training: SimMIM'
  train simmim_demo pretrain
fi
checkpoint=$(cat "$run/pretrain/last_checkpoint")

step "detection, segmentation, tracking: $method and random init"
seeds=()
for ((i = seed; i < seed + trainings; i++)); do seeds+=(--seed "$i"); done
mimbench eval "$method=$checkpoint" random --tasks detection,segmentation,tracking --tier smoke \
  --data "$data" "${seeds[@]}" --out "$run/results" --jobs 2

step 'report'
if [ "$method" = beitv2 ]; then
  mimbench analyze tokens "$checkpoint" "$tokenizer" "$images"
  mimbench analyze codebook "$tokenizer" "$images" --out "$run/codebook.png"
  picture="What the codes stand for=$run/codebook.png"
else
  mimbench reconstruct "$checkpoint" "$images" --out "$run/reconstruction.png"
  picture="Masked reconstruction=$run/reconstruction.png"
fi
mimbench report "$run/results" --out "$run/report" --picture "$picture"
step 'done'
