#!/usr/bin/env bash
# Make the environment mimbench runs in. Safe to run again: a second run finds nothing to do.
#
#   bash tools/setup.sh                             .venv with the default stack, nothing compiled
#   MIMBENCH_VENV=DIR bash tools/setup.sh           another place
#   MIMBENCH_STACK=upstream bash tools/setup.sh     upstream's mm packages, in .venv-upstream
#   MIMBENCH_BUILD_OPS=1 bash tools/setup.sh        also compile mmcv's ops (about 8 min on 2 cores)
#   MIMBENCH_PYTHON=python3.12 bash tools/setup.sh  the interpreter of a new environment
set -euo pipefail

fail() {
    echo "setup.sh: error: $*" >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
started=$SECONDS
stack=${MIMBENCH_STACK:-onedl}
case $stack in
    onedl) venv=${MIMBENCH_VENV:-$root/.venv} mmcv=onedl-mmcv ;;
    upstream) venv=${MIMBENCH_VENV:-$root/.venv-upstream} mmcv=mmcv ;;
    *) fail "MIMBENCH_STACK is '$stack'; it must be onedl (the default) or upstream" ;;
esac
python=$venv/bin/python
stamp=$venv/mimbench-setup.txt # line 1: what the environment is; line 2: the inputs, when complete
log=$venv/mimbench-setup.log
wanted=$root/tools/constraints/$stack.txt

supported() { # the pinned numpy has wheels for these
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

choose_python() {
    local candidate found=none
    for candidate in ${MIMBENCH_PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        supported "$candidate" && { echo "$candidate"; return; }
        command -v "$candidate" >/dev/null && found=$("$candidate" --version 2>&1)
    done
    fail "Python 3.10 to 3.13 is needed; found: $found." \
        "Install one, or name it: MIMBENCH_PYTHON=/path/to/python3 bash tools/setup.sh"
}

create() {
    local base
    base=$(choose_python)
    "$base" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$base has no venv module; on Debian or Ubuntu: apt install python3-venv"
    "$base" -m venv "$venv" || fail "cannot make an environment in $venv; set MIMBENCH_VENV"
}

pip() { # quiet, with everything it says in the log
    "$python" -m pip --disable-pip-version-check --no-input "$@" >>"$log" 2>&1 || {
        tail -n 15 "$log" >&2
        fail "pip $1 failed; the whole output is in $log"
    }
}

if [ ! -e "$venv/pyvenv.cfg" ]; then
    [ -z "$(ls -A "$venv" 2>/dev/null)" ] ||
        fail "$venv has files and is no virtual environment; choose another MIMBENCH_VENV"
    create
fi
supported "$python" ||
    fail "the Python of $venv is missing or not 3.10 to 3.13; delete that folder and run again"

built='' # compiled ops, once there, stay
if [ -e "$stamp" ]; then
    read -r found_stack built _ <"$stamp"
    [ "$found_stack" = "$stack" ] ||
        fail "$venv holds the $found_stack stack; give $stack its own MIMBENCH_VENV"
fi
build_ops=${MIMBENCH_BUILD_OPS:-0}
[ "$built" = ops ] && ops=ops || ops=$([ "$build_ops" = 1 ] && echo ops || echo no-ops)

inputs=$(cd "$root" && cat tools/setup.sh tools/constraints/*.txt pyproject.toml |
    "$python" -c 'import hashlib, sys; print(
        hashlib.sha256(sys.stdin.buffer.read()).hexdigest(), sys.version.split()[0], sys.argv[1]
    )' "$root")
if [ "$(cat "$stamp" 2>/dev/null)" = "$stack $ops"$'\n'"$inputs" ]; then
    echo "mimbench: $venv is up to date ($stack stack)"
    exit
fi

echo "mimbench: installing the $stack stack into $venv"
echo "$stack ${built:-no-ops}" >"$stamp"
: >"$log"
unset MMCV_WITH_OPS # built in isolation mmcv sees no torch and skips its ops; 0 would rename it

pip install --constraint "$wanted" pip
# torch first, with what its build needs (a CUDA build brings its libraries). The rest is listed in
# full and installed as listed: resolving would add opencv-python, which fights the headless one
# over the folder cv2 and does not import without libGL.
pip install --constraint "$wanted" torch torchvision
pip install --no-deps --build-constraint "$root/tools/constraints/base.txt" --requirement "$wanted"
if [ "$ops" = ops ] && [ "$built" != ops ]; then
    echo "mimbench: compiling mmcv's ops"
    pip install --constraint "$wanted" ninja
    # No isolation: the ops are compiled against this torch. No cache: a wheel with ops must not
    # serve an environment without, nor the other way round.
    MMCV_WITH_OPS=1 MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)} pip install --no-deps \
        --no-build-isolation --no-cache-dir --force-reinstall --no-binary "$mmcv" \
        --constraint "$wanted" "$mmcv"
fi
pip install --no-deps --build-constraint "$root/tools/constraints/base.txt" --editable "$root"

# torchvision's wheel for CUDA does not import on a CPU torch, nor does timm then. mim_backbones
# stands in; here it does so from the start of every Python, before anybody imports timm alone.
site=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
rm -f "$site/mimbench_standins.pth"
"$python" -c 'import torchvision' 2>>"$log" ||
    echo "import importlib.util as u; u.find_spec('mim_backbones') and __import__('mim_backbones')" \
        >"$site/mimbench_standins.pth"

versions=$("$python" -c 'import cv2, platform, torch
print(f"Python {platform.python_version()}, torch {torch.__version__}")' 2>>"$log") ||
    fail "the environment was installed but torch or cv2 does not import; see $log"
printf '%s\n%s\n' "$stack $ops" "$inputs" >"$stamp"
echo "mimbench: ready in $((SECONDS - started)) s: $versions; source $venv/bin/activate"
