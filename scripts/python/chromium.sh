#!/bin/sh
# Prints the path of a headless Chromium for the check of the page: CHROMIUM if it is set, one that is installed, or Debian's,
# fetched once into ~/.cache/gojepa/chromium (400 MB) with the libraries that are missing here. It needs no root: packages are
# unpacked and not installed.
set -eu

fail() {
	echo "gojepa: $1." >&2
	exit 1
}

if [ -n "${CHROMIUM:-}" ]; then
	command -v "$CHROMIUM" || fail "CHROMIUM is $CHROMIUM, which cannot be run"
	exit 0
fi
for name in chromium-headless-shell chromium google-chrome chromium-browser; do
	if path=$(command -v "$name"); then
		echo "$path"
		exit 0
	fi
done

cache=${XDG_CACHE_HOME:-$HOME/.cache}/gojepa/chromium
run=$cache/run
if [ ! -x "$run" ]; then
	for tool in apt-get dpkg; do
		command -v "$tool" >/dev/null || fail "there is no Chromium, and no $tool to fetch Debian's with: install one, or set CHROMIUM to its path"
	done
	new=$cache.new
	rm -rf "$new"
	mkdir -p "$new/apt/lists/partial" "$new/apt/archives/partial" "$new/packages"
	apt() { # with lists of its own, which need not be root's
		apt-get -o "Dir::State::lists=$new/apt/lists" -o "Dir::Cache=$new/apt" -o Debug::NoLocking=1 -o APT::Sandbox::User= -q "$@"
	}
	apt update >&2 || fail "the lists of Debian's packages could not be fetched: see above"
	names=$(apt -s --no-install-recommends install chromium-headless-shell | awk '/^Inst/ { print $2 }')
	[ -n "$names" ] || fail "apt-get does not know chromium-headless-shell: install Chromium, or set CHROMIUM to its path"
	# shellcheck disable=SC2086 # names are words
	(cd "$new/packages" && apt download $names >&2) || fail "Chromium could not be fetched: see above"
	for package in "$new"/packages/*.deb; do
		dpkg -x "$package" "$new/root"
	done
	rm -rf "$new/apt" "$new/packages"
	cat >"$new/run" <<-'END'
		#!/bin/sh
		root=$(CDPATH='' cd -P "$(dirname "$0")" && pwd -P)/root
		for dir in "$root"/usr/lib/*-linux-gnu "$root"/usr/lib/*-linux-gnu/pulseaudio; do
			LD_LIBRARY_PATH=$dir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
		done
		export LD_LIBRARY_PATH
		exec "$root/usr/lib/chromium/chromium-headless-shell" "$@"
	END
	chmod +x "$new/run"
	rm -rf "$cache"
	mv "$new" "$cache"
fi
echo "$run"
