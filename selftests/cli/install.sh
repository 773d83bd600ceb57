#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# HCV-TEST: host
# KVER: 6.1 6.12
# TIMEOUT: 2700
# TAGS: fast
# make dist and make install, what they put where, and the module built by dkms
# from the release for both kernels; what make says when something is missing.
# Nothing outside the test's own folder is changed.
# shellcheck disable=SC2154 # RUN_OUT comes from ktap.sh

. "$(dirname "$0")/../lib/ktap.sh"

top=$(readlink -f "$(dirname "$0")/../..")
version=$(sed -n 's/.*HCV_VERSION "\(.*\)"/\1/p' "$top/kernel/version.h")
programs="hcivold agentctl hcivol-inspect"

need_cmd make gzip tar
cd "$top" || exit 1

test_one_version() {
	local name

	check_match "number" '^[0-9]+\.[0-9]+\.[0-9]+$' "$version"
	check "dkms.conf" grep -qx "PACKAGE_VERSION=\"$version\"" dkms.conf
	check "change log" grep -q "^## $version" CHANGELOG.md
	for name in $programs; do
		run_expect 0 "build/bin/$name" --version
		check_match "$name" "^$name $version" "$RUN_OUT"
	done
}

test_install() {
	local root=$TMP/root name

	run_expect 0 make install "DESTDIR=$root" PREFIX=/usr
	for name in $programs; do
		check "$name" test -x "$root/usr/sbin/$name"
		check "its page" test -s "$root/usr/share/man/man8/$name.8"
	done
	for name in agentctl hcivol-inspect; do
		check "completion" bash -n \
			"$root/usr/share/bash-completion/completions/$name"
	done
	check "rules" cmp tools/udev/60-hcivol.rules \
		"$root/usr/lib/udev/rules.d/60-hcivol.rules"
	check "unit" grep -qx "ExecStart=/usr/sbin/hcivold --foreground" \
		"$root/usr/lib/systemd/system/hcivold.service"
	check "dkms" test -s "$root/usr/src/hcivol-$version/dkms.conf"
	run_expect 0 make uninstall "DESTDIR=$root" PREFIX=/usr
	check_eq "nothing is left" "" "$(find "$root" ! -type d)"
	run_expect 0 make install "DESTDIR=$root"
	check "unit below /usr/local" grep -qx \
		"ExecStart=/usr/local/sbin/hcivold --foreground" \
		"$root/usr/local/lib/systemd/system/hcivold.service"
}

# Leaves the release in $TMP/hcivol-VERSION.
unpack_release() {
	git rev-parse -q --verify HEAD > /dev/null 2>&1 ||
		skip "this is not a git clone"
	run_expect 0 make dist "BUILD=$TMP/out"
	tar -xzf "$TMP/out/hcivol-$version.tar.gz" -C "$TMP"
}

test_dist() {
	unpack_release
	check_eq "the commit's files" "$(git ls-tree -r --name-only HEAD | sort)" \
		"$(cd "$TMP/hcivol-$version" && find . -type f -printf '%P\n' |
			sort)"
	run_expect 2 make -C "$TMP/hcivol-$version" dist
	check_match "only from a clone" "run it in a clone" "$RUN_OUT"
}

# depmod for a tree of its own: dkms knows none but the machine's.
private_depmod() {
	mkdir -p "$TMP/bin"
	cat > "$TMP/bin/depmod" <<-SCRIPT
		#!/bin/sh
		exec /sbin/depmod -b "$TMP/root" "\$@"
	SCRIPT
	chmod 755 "$TMP/bin/depmod"
	PATH=$TMP/bin:$PATH
}

# dkms_for KVER: add, build and install for a kernel; modprobe would find it.
dkms_for() {
	local kdir rel modules words

	kdir=$(tools/dev/kernel-path "$1" kdir)
	rel=$(tools/dev/kernel-path "$1" release)
	modules=$(tools/dev/kernel-path "$1" modules)
	mkdir -p "$TMP/root/lib/modules"
	cp -rs "$modules/$rel" "$TMP/root/lib/modules/$rel"
	words=(-m hcivol -v "$version" --dkmstree "$TMP/dkms"
		--sourcetree "$TMP/root/usr/src")
	[ -e "$TMP/dkms/hcivol" ] || run_expect 0 dkms add "${words[@]}"
	words+=(-k "$rel" --kernelsourcedir "$kdir"
		--installtree "$TMP/root/lib/modules")
	run_expect 0 dkms build "${words[@]}"
	run_expect 0 dkms install "${words[@]}"
	check_match "installed for $1" "installed" \
		"$(dkms status --dkmstree "$TMP/dkms" -k "$rel")"
	check_match "modprobe finds it" "libcrc32c.*updates/dkms/hcivol.ko" \
		"$(modprobe -d "$TMP/root" -S "$rel" --show-depends hcivol |
			tr '\n' ' ')"
}

test_dkms() {
	command -v dkms > /dev/null || skip "dkms is not installed"
	unpack_release
	private_depmod
	mkdir -p "$TMP/dkms"
	run_expect 0 make -C "$TMP/hcivol-$version" install-dkms \
		"DESTDIR=$TMP/root"
	dkms_for 6.1
	dkms_for 6.12
}

test_missing_headers() {
	run_expect 2 make modules KDIR=/nonexistent "BUILD=$TMP/out"
	check_match "one sentence" \
		"make: no kernel headers in KDIR='/nonexistent': .*linux-headers-amd64" \
		"$RUN_OUT"
}

test_missing_libraries() {
	# shellcheck disable=SC2031
	export PKG_CONFIG_LIBDIR=$TMP/none
	run_expect 2 make agent "BUILD=$TMP/out"
	check_match "packages" \
		"install the packages libblkid-dev libjson-c-dev .* uuid-dev" \
		"$RUN_OUT"
	check_eq "no compiler's complaints" "$RUN_OUT" \
		"${RUN_OUT/fatal error/}"
}

test_help_tells_all() {
	local target

	run_expect 0 make help
	for target in $(grep -hoE '^\.PHONY: .*' Makefile agent/*.mk tools/*.mk \
			tools/*/*.mk selftests/unit/*.mk | cut -d: -f2 |
			tr ' ' '\n' | grep -vxE '|all|agent-packages|.*-build' |
			sort -u); do
		check "$target" grep -qE "^ +$target +[a-z0-9]" <<< "$RUN_OUT"
	done
}

ktap_main "$@"
