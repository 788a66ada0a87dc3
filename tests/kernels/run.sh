#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# No way round, on other kernels: boots each under plain emulation (root.sh says into what) and runs there the gate's own test programs
# (tests/bpf, the verifier's cost among them) and tests/bypass: the real pursed, agents, and a provider that must not see what purse did not
# send. Kernels are Debian's cloud images, fetched by apt once into $PURSE_BUILD/kernels; they have lsm_cgroup, so the
# families of sockets that only it sees are refused there in earnest.
#
#   tests/kernels/run.sh [short] [6.1] [6.12]      short: of tests/bypass the table of ways alone; default: both kernels
#
#   PURSE_KERNEL_ARGS     more of the kernel's command line          PURSE_KERNEL_TIMEOUT   seconds for one kernel
#   PURSE_PROGRAMS        which of the programs: test_gate* ("" = none)
#   PURSE_BYPASS          what pytest is told to run instead of tests/bypass ("" = nothing)
#
# Emulation is some 15 times slower than the machine: PURSE_PATIENCE (tests/lib/world.py) makes deadlines longer there. Ends with the
# line "N passed, N failed, N skipped": each program counts as one, and so does each test of tests/bypass.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "${PURSE_BUILD:-$here/../../build}")
kernels=$build/kernels
factor=${PURSE_PATIENCE:-8}
programs=${PURSE_PROGRAMS-test_*}
bypass=${PURSE_BYPASS-tests/bypass}
[ "${1:-}" != short ] || { bypass=tests/bypass/test_ways.py; shift; }
limit=${PURSE_KERNEL_TIMEOUT:-3600}
passed=0 failed=0 skipped=0
# What the tests want beside what is built in: sock_diag's parts, a cable between namespaces, and the socket families that an agent must not get.
modules="veth inet_diag tcp_diag udp_diag raw_diag sctp dccp dccp_ipv4 ib_core smc tipc vsock l2tp_core l2tp_ip tun kcm rds libcrc32c ip6_udp_tunnel udp_tunnel"

note() { echo "kernels: $*" >&2; }

PATH=$PATH:/sbin:/usr/sbin
# shellcheck source=tests/kernels/root.sh
. "$here/root.sh"

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

# What the guest said on its console, for people and for the counts.
report() { # series log
	local series=$1 log=$2 p f s
	if ! grep -q '^kernel-test: end' "$log"; then
		note "Linux $series: did not come to its end; the log's last lines:"
		tail -5 "$log" >&2
		failed=$((failed + 1))
	fi
	grep -aE '^(kernel-test: (kernel|module|test_|bypass:)|verifier-cost |(FAILED|ERROR|SKIPPED) .*tests/bypass)' "$log" |
		sed -E "s/^kernel-test:/Linux $series:/; s/^verifier-cost [0-9.]* /Linux $series:   verifier cost of /; s/^(FAILED|ERROR|SKIPPED) /Linux $series:   \1 /"
	grep -a -A20 '^kernel-test: test_.*: FAILED' "$log" | grep -av '^kernel-test' | head -40
	sed -n '/^=* FAILURES =*$/,/^=* slowest/p; /^=* ERRORS =*$/,/^=* slowest/p' "$log" | head -60
	passed=$((passed + $(grep -acE '^kernel-test: test_.*: ok' "$log")))
	failed=$((failed + $(grep -acE '^kernel-test: test_.*: FAILED' "$log")))
	skipped=$((skipped + $(grep -acE '^kernel-test: test_.*: skipped' "$log")))
	read -r p f s < <(sed -nE 's/^kernel-test: bypass: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped.*/\1 \2 \3/p' "$log"; echo 0 0 0)
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

boot() { # series
	local series=$1 dir log vmlinuz begin=$SECONDS
	dir=$(fetch "$series") || { note "Linux $series: skipped: its image cannot be fetched"; skipped=$((skipped + 1)); return; }
	vmlinuz=$(ls "$dir"/boot/vmlinuz-* | head -1)
	log=$kernels/$series.log
	make_modules "$dir" "$kernels/modules.cpio" && cat "$kernels/root.cpio" "$kernels/modules.cpio" >"$kernels/$series.initramfs" || { failed=$((failed + 1)); return; }
	note "Linux $series: booting (log: $log)"
	timeout --foreground "$limit" qemu-system-x86_64 -machine q35,accel=tcg,usb=off -cpu max -m 3072 -smp 2 -nographic -no-reboot -net none \
		-kernel "$vmlinuz" -initrd "$kernels/$series.initramfs" -append "console=ttyS0 quiet panic=-1 ${PURSE_KERNEL_ARGS:-}" \
		</dev/null 2>&1 | sed -u 's/\r$//' >"$log"
	rm -f "$kernels/$series.initramfs"
	report "$series" "$log"
	note "Linux $series: took $((SECONDS - begin)) s"
}

for tool in qemu-system-x86_64 busybox cpio xz tsort; do
	command -v "$tool" >/dev/null || { note "$tool is missing: run deploy/install-deps.sh kernels"; echo "0 passed, 0 failed, 1 skipped"; exit 0; }
done
if [ -n "$bypass" ] && [ ! -x "$build/venv/bin/python" ]; then
	note "tests/bypass: skipped: there is no $build/venv with pytest (tests/run.sh kernels makes it)"
	bypass='' skipped=1
fi
mkdir -p "$kernels"
if make_root "$kernels/root.cpio"; then
	for series in "${@:-6.1 6.12}"; do
		for s in $series; do boot "$s"; done
	done
else
	failed=1
fi
rm -f "$kernels/root.cpio" "$kernels/modules.cpio"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
