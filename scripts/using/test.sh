#!/bin/sh
# Checks docs/using.md: a module outside the repository that imports gojepa gets its set-up from env.sh as the page
# shows, builds the page's program, and runs it here and as it would on another machine.
set -eu

here=$(CDPATH='' cd -P "$(dirname "$0")" && pwd -P)
root=$(CDPATH='' cd -P "$here/../.." && pwd -P)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
	echo "scripts/using/test.sh: $1" >&2
	exit 1
}

# The program is the first Go block of the page.
awk '/^```go$/ { on = 1; next } /^```$/ && on { exit } on' "$root/docs/using.md" >"$work/main.go"
cmp "$work/main.go" "$here/main.go.txt" || fail "docs/using.md shows another program than main.go.txt"

cd "$work"
go mod init example.com/app 2>/dev/null
go mod edit -require github.com/gojepa/gojepa@v0.0.0 -replace "github.com/gojepa/gojepa=$root"
# No `go mod tidy`: it would fetch the test dependencies of every dependency.
cp "$root/go.sum" .
awk '/^require \(/ { on = 1; next } /^\)/ { on = 0 } on { print $1 "@" $2 }' "$root/go.mod" |
	while read -r dependency; do go mod edit -require "$dependency"; done

. "$(go list -m -f '{{.Dir}}' github.com/gojepa/gojepa)/scripts/env.sh"
go build -o app .
out=$(./app)
[ "$out" = 54 ] || fail "the program printed \"$out\", want 54"

# Elsewhere: the libraries that LD_LIBRARY_PATH names come before those that the binary was linked with …
libs=${CGO_LDFLAGS##*-rpath,}
libs=${libs%% *}
mkdir -p other/torch
ln -s "$libs" other/torch/lib
LD_LIBRARY_PATH=$work/other/torch/lib ldd app | grep -q "=> $work/other/torch/lib/libtorch_cpu.so" ||
	fail "LD_LIBRARY_PATH does not choose the libtorch"
out=$(LD_LIBRARY_PATH=$work/other/torch/lib ./app)
[ "$out" = 54 ] || fail "with LD_LIBRARY_PATH the program printed \"$out\", want 54"

# … and a path relative to the binary can be linked in.
# shellcheck disable=SC2016 # the loader, not the shell, knows $ORIGIN
go build -ldflags '-extldflags "-Wl,-rpath,$ORIGIN/other/torch/lib"' -o app .
out=$(./app)
[ "$out" = 54 ] || fail "the program with a relative path printed \"$out\", want 54"
readelf -d app | grep -q 'RUNPATH.*ORIGIN/other/torch/lib' || fail "the relative path is not in the binary"

echo "ok: a module that imports gojepa builds and runs"
