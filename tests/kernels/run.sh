#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The gate's tests on other kernels: boots each under plain emulation with an initramfs of busybox and the test programs that are built,
# and fails if one of them fails. Kernels are Debian's cloud images, fetched by apt once into $PURSE_BUILD/kernels.
#
#   tests/kernels/run.sh [6.1] [6.12]      default: both
#
# Ends with the line "N passed, N failed, N skipped".
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${PURSE_BUILD:-$here/../../build}
kernels=$build/kernels
patience=${PURSE_KERNEL_TIMEOUT:-900}
passed=0 failed=0 skipped=0
# What the tests want beside what is built in: sock_diag's parts, and the socket families that an agent must not get.
modules="inet_diag tcp_diag udp_diag raw_diag sctp dccp dccp_ipv4 smc tipc vsock l2tp_core l2tp_ip tun kcm rds libcrc32c ip6_udp_tunnel udp_tunnel"

note() { echo "kernels: $*" >&2; }

# The newest image of a series, as a package name.
package_of() {
	apt-cache search --names-only "^linux-image-${1//./\\.}[.].*-cloud-amd64-unsigned\$" | awk '{print $1}' | sort -V | tail -1
}

fetch() { # series -> prints the folder with boot/ and lib/
	local series=$1 dir=$kernels/$1 package
	if [ ! -e "$dir/ready" ]; then
		package=$(package_of "$series")
		[ -n "$package" ] || { note "no package of a Linux $series cloud kernel in apt's lists (apt-get update?)"; return 1; }
		rm -rf "$dir" && mkdir -p "$dir/deb" || return 1
		(cd "$dir/deb" && apt-get download -q -o APT::Sandbox::User=root "$package" >&2) || return 1
		dpkg -x "$dir"/deb/*.deb "$dir" && rm -r "$dir/deb" && touch "$dir/ready" || return 1
	fi
	echo "$dir"
}

# A file and every library that it is linked with.
put_program() { # from to-dir root
	cp "$1" "$3/$2/" || return 1
	ldd "$1" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$3$(dirname "$lib")" && cp -Lu "$lib" "$3$lib"
	done
}

make_initramfs() { # kernel-dir out
	local dir=$1 out=$2 root found
	root=$(mktemp -d) || return 1
	mkdir -p "$root"/{bin,tests,modules,usr/bin}
	cp "$(command -v busybox)" "$root/bin/busybox" && cp "$here/guest-init.sh" "$root/init" && chmod 755 "$root/init"
	for t in "$build"/tests/bpf/test_* "$build"/tests/unit/kern/test_*; do
		[ -x "$t" ] && [ "${t%.d}" = "$t" ] && [ "${t%.o}" = "$t" ] && put_program "$t" tests "$root"
	done
	[ -x /usr/sbin/bpftool ] && mkdir -p "$root/usr/sbin" && put_program /usr/sbin/bpftool usr/sbin "$root"
	for m in $modules; do
		found=$(find "$dir/lib/modules" -name "$m.ko" -o -name "$m.ko.xz" | head -1)
		case $found in
		*.xz) xz -dc "$found" >"$root/modules/$m.ko" ;;
		?*) cp "$found" "$root/modules/" ;;
		esac
	done
	order_modules "$root/modules"
	(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$out"
	rm -rf "$root"
}

# insmod knows no dependencies: names get a number, dependencies first.
order_modules() { # folder
	local dep n=10 line m
	dep=$(mktemp)
	for m in "$1"/*.ko; do
		m=$(basename "$m" .ko)
		echo "$m $m"
		grep -ao -m1 'depends=[a-z0-9_,]*' "$1/$m.ko" | cut -d= -f2 | tr ',' '\n' | while read -r line; do
			[ -n "$line" ] && [ -e "$1/$line.ko" ] && echo "$line $m"
		done
	done | tsort 2>/dev/null >"$dep"
	while read -r m; do
		mv "$1/$m.ko" "$1/$n-$m.ko" && n=$((n + 1))
	done <"$dep"
	rm -f "$dep"
}

boot() { # series
	local series=$1 dir log vmlinuz
	dir=$(fetch "$series") || { note "Linux $series: skipped: its image cannot be fetched"; skipped=$((skipped + 1)); return; }
	vmlinuz=$(ls "$dir"/boot/vmlinuz-* | head -1)
	log=$build/kernels/$series.log
	make_initramfs "$dir" "$kernels/$series.initramfs" || { failed=$((failed + 1)); return; }
	note "Linux $series: booting (log: $log)"
	timeout --foreground "$patience" qemu-system-x86_64 -machine q35,accel=tcg -cpu max -m 1536 -smp 2 -nographic -no-reboot -net none \
		-kernel "$vmlinuz" -initrd "$kernels/$series.initramfs" -append "console=ttyS0 quiet panic=-1 ${PURSE_KERNEL_ARGS:-}" \
		</dev/null 2>&1 | tr -d '\r' >"$log"
	if ! grep -q '^kernel-test: end' "$log"; then
		note "Linux $series: did not come to its end; the log's last lines:"
		tail -5 "$log" >&2
		failed=$((failed + 1))
	fi
	grep -aE '^(kernel-test: (kernel|module|test_)|verifier-cost )' "$log" | sed "s/^kernel-test:/Linux $series:/; s/^verifier-cost [0-9.]* /Linux $series:   verifier cost of /"
	grep -a -A20 'FAILED' "$log" | grep -av '^kernel-test' | head -40
	passed=$((passed + $(grep -acE '^kernel-test: test_.*: ok' "$log")))
	failed=$((failed + $(grep -acE '^kernel-test: test_.*: FAILED' "$log")))
	skipped=$((skipped + $(grep -acE '^kernel-test: test_.*: skipped' "$log")))
}

for tool in qemu-system-x86_64 busybox cpio xz tsort; do
	command -v "$tool" >/dev/null || PATH=$PATH:/sbin:/usr/sbin command -v "$tool" >/dev/null || { note "$tool is missing: run deploy/install-deps.sh kernels"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
done
PATH=$PATH:/sbin:/usr/sbin
mkdir -p "$kernels"
for series in "${@:-6.1 6.12}"; do
	for s in $series; do boot "$s"; done
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
