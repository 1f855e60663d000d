#!/usr/bin/env bash
# Runs the commands of docs/guide.md on real files of each kind, for a few steps: the guide must not promise what fails.
# Usage: scripts/guide.sh DATA, which has eurosat/ and formats/
set -euo pipefail
cd "$(dirname "$0")/.."
data=$(cd "$1" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

commands=$(scripts/commands.sh docs/guide.md 15)
# Folders of images, where they stand for themselves; what is written; and lengths.
commands=$(sed -E "
	s#(--data|--test|path:) xrays\b#\1 $data/formats/dicom#g
	s#(--test-data|--test) othertiles\b#\1 $data/eurosat/validation#g
	s#(--data|--train) tiles\b#\1 $data/eurosat/validation#g
	s#--data bands\b#--data $data/formats/npy#g
	s#--data fields\b#--data $data/formats/fits#g
	s#\b(runs/|views\.png|(features|fields)\.npy|near\.png|pictures|sweep\.yaml|bands\.torchscript)#$out/\1#g
	s#--steps [0-9]+#--steps 2#; s#steps: [0-9]+#steps: 2#
" <<<"$commands")
echo "$commands"
bash -euo pipefail -c ". scripts/env.sh; $commands"
for file in views.png near.png features.npy pictures/pca.png bands.torchscript runs/fields/encoder.safetensors; do
	test -s "$out/$file"
done
test "$(grep -c '"state": "finished"' "$out/runs/xrays/sweep.json")" -eq 6
rm -f features.gaussianity.png
