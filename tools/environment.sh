# Sourced by the other scripts: PYTHON is the interpreter that tools/setup.sh made, else python3.
MIMBENCH_VENV=${MIMBENCH_VENV:-$root/.venv}
if [ -x "$MIMBENCH_VENV/bin/python" ]; then PYTHON=$MIMBENCH_VENV/bin/python; else PYTHON=${PYTHON:-python3}; fi
