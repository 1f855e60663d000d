# shellcheck shell=sh
# Sets up the build over libtorch in the shell that sources this file, in sh, bash or zsh:
#
#	. scripts/env.sh
#
# It finds libtorch, or fetches it once (see scripts/libtorch), and exports CGO_CXXFLAGS, CGO_CFLAGS, CGO_LDFLAGS
# and GOTCH_CACHE. LIBTORCH, TORCH and GOJEPA_HOME steer it: see docs/using.md. Where something is missing it says
# so in one sentence and returns 1.

# Where this file is: bash and zsh know; for any other shell, it is a file that the shell has open.
_gojepa_env=
if [ -n "${BASH_VERSION:-}" ]; then
	# shellcheck disable=SC3028,SC3054
	_gojepa_env=${BASH_SOURCE:-}
elif [ -n "${ZSH_VERSION:-}" ]; then
	eval '_gojepa_env=${(%):-%x}'
elif [ -r /proc/self/stat ]; then
	# The shell itself opens this file, so that self is the shell, in a subshell too.
	read -r _gojepa_pid _gojepa_rest </proc/self/stat
	for _gojepa_fd in "/proc/$_gojepa_pid/fd"/*; do
		_gojepa_fd=$(readlink "$_gojepa_fd") || continue
		case $_gojepa_fd in */scripts/env.sh) _gojepa_env=$_gojepa_fd ;; esac
	done
	unset _gojepa_pid _gojepa_rest _gojepa_fd
fi
[ -n "$_gojepa_env" ] || _gojepa_env=scripts/env.sh

# What follows prints the variables as shell code, or "false".
_gojepa_env=$(
	fail() {
		echo "gojepa: $1." >&2
		echo false
		exit 0
	}
	case $_gojepa_env in */*) dir=${_gojepa_env%/*} ;; *) dir=. ;; esac
	root=$(CDPATH='' cd -P "$dir/.." 2>/dev/null && pwd -P) || root=
	if [ ! -f "$root/scripts/libtorch/main.go" ]; then
		fail "this shell does not tell where scripts/env.sh is: source it from the top of the repository, or use bash"
	fi
	if ! command -v go >/dev/null; then
		fail "go was not found: install Go 1.24 or later (https://go.dev/dl) and add its bin folder to PATH"
	fi
	# "go version go1.26.8 linux/amd64"; in this folder, since its go.mod may choose the toolchain.
	version=$(cd "$root" && GOFLAGS='' GOWORK=off go version 2>/dev/null | sed -n 's/.*go\([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p') || version=
	major=${version% *} minor=${version#* }
	if [ -z "$version" ] || [ "$major" -lt 1 ] || { [ "$major" -eq 1 ] && [ "$minor" -lt 24 ]; }; then
		fail "go is older than 1.24: install Go 1.24 or later (https://go.dev/dl)"
	fi
	if [ "${CGO_ENABLED:-1}" = 0 ]; then
		fail "CGO_ENABLED=0 is set, and libtorch is reached through cgo: unset it"
	fi
	env -u GOOS -u GOARCH CGO_ENABLED=0 GOFLAGS='' GOWORK=off \
		go run -C "$root" -buildvcs=false ./scripts/libtorch -from "$PWD" || fail "the set-up program did not run: see above"
) || _gojepa_env=false
if eval "$_gojepa_env"; then
	unset _gojepa_env
else
	unset _gojepa_env
	return 1
fi
