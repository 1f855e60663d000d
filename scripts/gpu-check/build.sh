#!/usr/bin/env bash
# Builds an archive that checks gojepa on a machine with a GPU and PyTorch, and no Go: see docs/using.md. It needs pip, for timm.
# Usage: scripts/gpu-check/build.sh OUT.tar.gz
set -euo pipefail
if [ $# -ne 1 ] || [ "$1" = --help ]; then
	echo "usage: scripts/gpu-check/build.sh OUT.tar.gz" >&2
	exit 2
fi
out=$(realpath -m "$1")
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/env.sh
. scripts/env.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The archive has the folders of the repository, so that its scripts find each other as they do there.
top=$work/gojepa-gpu-check
mkdir -p "$top/train" "$top/scripts/golden" "$top/scripts/bench"
go test -c -ldflags '-s -w' -o "$top/train/train.test" ./train
go build -ldflags '-s -w' -o "$top/train/train" ./cmd/train
for binary in "$top/train/train.test" "$top/train/train"; do
	# A RPATH would come before LD_LIBRARY_PATH and hide the libraries there; a RUNPATH comes after it.
	if readelf -d "$binary" | grep -q '(RPATH)'; then
		echo "build.sh: $(basename "$binary") has a RPATH, which would hide the PyTorch of the other machine: expected a RUNPATH" >&2
		exit 1
	fi
done
libs=${CGO_LDFLAGS##*-rpath,}
include=${libs%% *}/../include
for file in torch/csrc/api/include/torch/version.h torch/headeronly/version.h; do
	if [ -f "$include/$file" ]; then
		sed -n 's/.*define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9][0-9]*\).*/\2/p' "$include/$file"
	fi
done | head -n 3 | paste -sd. >"$top/torch-version"
cp -r train/testdata "$top/train/"
cp scripts/golden/common.py scripts/golden/objective.py scripts/golden/parity.py "$top/scripts/golden/"
cp scripts/bench/step.py "$top/scripts/bench/"
cp scripts/gpu-check/run.sh scripts/gpu-check/run.py "$top/"
# Machines with PyTorch often lack timm, which is pure Python.
timm=$(grep '^timm==' scripts/python/requirements.txt)
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --target "$top/python" "$timm"
tar -C "$work" -czf "$out" gojepa-gpu-check
size=$(stat -c %s "$out")
if [ "$size" -ge 64000000 ]; then
	rm "$out"
	echo "build.sh: the archive has $size bytes: expected fewer than 64000000" >&2
	exit 1
fi
echo "$out: $size bytes, for PyTorch $(cat "$top/torch-version")"
