# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh
#
# For ./demo and ./check, which source it: the packages that the build needs, and
# configuring a build tree.

packages="gcc make autoconf automake pkg-config libglib2.0-dev libjson-glib-dev libcapstone-dev
libzydis-dev libzycore-dev check gcc-multilib cpio zlib1g-dev liblzma-dev libzstd-dev liblz4-dev
libbz2-dev liblzo2-dev libpng-dev libncurses-dev libvncserver-dev libnbd-dev qemu-utils seabios"

die() {
	echo "$0: $*" >&2
	exit 1
}

# shellcheck disable=SC2034 # for those who source this
jobs=$(nproc 2>/dev/null || echo 1)

missing_packages() {
	for p in $packages; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] ||
			printf '%s ' "$p"
	done
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Acquire::Retries=3 \
		-o DPkg::Lock::Timeout=300 --no-install-recommends install "$@" </dev/null
}

# Elsewhere than on Debian and its like, configure will say what is missing.
need_packages() {
	command -v dpkg-query >/dev/null || return 0
	missing=$(missing_packages)
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		die "these packages are missing: $missing
Install them with: sudo apt-get install $missing"
	fi
	echo "installing: $missing"
	# The lists may be missing or too old; only then is asking for new ones worth it.
	# shellcheck disable=SC2086
	apt_install $missing >/dev/null 2>&1 || {
		apt-get -q -o Acquire::Retries=3 update </dev/null &&
			apt_install $missing
	} || die "could not install: $missing"
}

# configure_tree DIR OPTION...: DIR is configured with exactly these options.
configure_tree() {
	dir=$1
	shift
	[ -x configure ] || ./autogen.sh || die "autogen.sh failed"
	mkdir -p "$dir" || die "cannot make $dir"
	if [ -f "$dir/Makefile" ] && [ "$(cat "$dir/.options" 2>/dev/null)" = "$*" ]; then
		return 0
	fi
	top=$PWD
	(cd "$dir" && "$top/configure" -q "$@") || die "configure failed; see $dir/config.log"
	echo "$*" >"$dir/.options"
}
