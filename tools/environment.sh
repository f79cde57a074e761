# Sourced by the other scripts: PYTHON is the interpreter that tools/setup.sh made, else python3.
if [ "${MIMBENCH_STACK:-onedl}" = upstream ]; then name=.venv-upstream; else name=.venv; fi
MIMBENCH_VENV=${MIMBENCH_VENV:-$root/$name}
# A data worker shares the cores with the threads that compute: waiting threads must not spin.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
if [ -x "$MIMBENCH_VENV/bin/python" ]; then PYTHON=$MIMBENCH_VENV/bin/python; else PYTHON=${PYTHON:-python3}; fi
