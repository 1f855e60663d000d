#!/bin/sh
# Makes the Python environment of the checks against PyTorch in the folder .venv, about 5 GB, unless it is there with
# the packages of requirements.txt. PYTHON chooses the interpreter.
set -eu

fail() {
	echo "gojepa: $1." >&2
	exit 1
}

here=$(CDPATH='' cd -P "$(dirname "$0")" && pwd -P)
venv=$(CDPATH='' cd -P "$here/../.." && pwd -P)/.venv
stamp=$venv/requirements.txt # a copy, written last
python=${PYTHON:-python3}

if cmp -s "$here/requirements.txt" "$stamp"; then
	exit 0
fi
command -v "$python" >/dev/null ||
	fail "$python was not found: install Python 3.11 or later, or set PYTHON to one"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
	fail "$python is older than 3.11: install Python 3.11 or later and set PYTHON to it"
free=$(df -Pk "$(dirname "$venv")" | awk 'NR == 2 { print int($4 / 1048576) }')
[ "$free" -ge 8 ] ||
	fail "the Python environment of the checks needs 8 GB of disk space and $(dirname "$venv") has $free GB: make room"

rm -f "$stamp"
"$python" -m venv --clear "$venv" ||
	fail "$python could not make a virtual environment: install its venv module (on Debian and Ubuntu: apt-get install python3-venv)"
"$venv/bin/python" -m pip install --no-cache-dir --disable-pip-version-check -r "$here/requirements.txt" ||
	fail "pip could not install scripts/python/requirements.txt: see above, and run it again"
cp "$here/requirements.txt" "$stamp"
