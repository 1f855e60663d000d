#!/usr/bin/env bash
# Runs the commands of README.md, on a folder of images and for a few steps: README.md must not promise what fails.
# Usage: scripts/readme.sh FOLDER, which has a folder of images for each class
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(cd "$1" && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

commands=$(scripts/commands.sh README.md 3)
commands=${commands//FOLDER/$folder}
commands=${commands//TESTS/$folder}
commands=${commands//runs\/mine/$out/mine}
commands=${commands//runs\/sweep/$out/sweep}
commands=${commands//sweep.yaml/$out/sweep.yaml}
commands=${commands//features.npy/$out/features.npy}
commands=${commands//mine.torchscript/$out/mine.torchscript}
commands=${commands//near.png/$out/near.png}
commands=${commands//views.png/$out/views.png}
commands=${commands//captions.csv/$out/captions.csv}
commands=${commands//tokenizer.json/$out/tokenizer.json}
commands=${commands//--steps 1000/--steps 2}
commands=${commands//steps: 1000/steps: 2}
printf '%s\n' path,caption 'a.png,"A small pleural effusion, on the left."' 'b.png,No effusion.' >"$out/captions.csv"
echo "$commands"
bash -euo pipefail -c "$commands"
test -s "$out/features.npy"
test -s "$out/mine.torchscript"
test -s "$out/views.png"
test -s "$out/near.png"
test -s "$out/mine/pictures/pca.png"
test "$(grep -c '"state": "finished"' "$out/sweep/sweep.json")" -eq 4
test -s features.gaussianity.png
rm features.gaussianity.png
