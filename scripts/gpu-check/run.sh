#!/bin/sh
# Checks gojepa on this machine's GPU, beside its PyTorch: ./run.sh --help. PYTHON names the interpreter that has it.
set -eu
here=$(CDPATH='' cd -P "$(dirname "$0")" && pwd -P)
python=${PYTHON:-python3}
if ! command -v "$python" >/dev/null; then
	echo "run.sh: $python was not found: set PYTHON to the Python that has PyTorch" >&2
	exit 1
fi
exec "$python" "$here/run.py" "$@"
