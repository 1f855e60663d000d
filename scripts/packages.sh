#!/bin/sh
# Lists the packages whose tests reach libtorch, or those whose tests do without it.
# Usage: . scripts/env.sh; scripts/packages.sh libtorch|pure
set -eu
case $1 in
libtorch) over=1 ;;
pure) over=0 ;;
*) echo "usage: scripts/packages.sh libtorch|pure" >&2 && exit 2 ;;
esac
go list -test -f '{{.ImportPath}} {{.Deps}}' ./... |
	awk -v over="$over" '$1 ~ /\.test$/ && (/sugarme\/gotch/ ? 1 : 0) == over { sub(/\.test$/, "", $1); print $1 }' | paste -sd ' ' -
