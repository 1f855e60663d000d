#!/usr/bin/env bash
# Prints the commands of a document: the lines of its sh blocks, but for the make targets, which CI runs itself.
# Usage: scripts/commands.sh DOCUMENT LEAST, which has to have LEAST go commands or more
set -euo pipefail
commands=$(awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$1" | grep -v '^make ')
count=$(grep -c '^go run' <<<"$commands" || true)
if [ "$count" -lt "$2" ]; then
	echo "$1 has $count commands, expected $2 or more: is it read right?" >&2
	exit 1
fi
echo "$commands"
