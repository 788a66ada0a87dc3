#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of a test kernel (run.sh puts it into the initramfs as /init): mounts, modules, then every test program below
# /tests, one line each on the console: "kernel-test: NAME: ok|FAILED|skipped: why". Powers off.
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin /proc /sys /dev /tmp /run
/bin/busybox --install -s
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mount -t securityfs sec /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for module in /modules/*.ko; do
	[ -e "$module" ] || continue
	insmod "$module" 2>/dev/null || echo "kernel-test: module ${module##*/}: not loaded"
done
echo "kernel-test: kernel $(uname -r), security modules $(cat /sys/kernel/security/lsm)"
cd /tests
for t in *; do
	log=/tmp/$t.log
	/usr/bin/timeout 300 "./$t" >"$log" 2>&1
	status=$?
	if [ $status -ne 0 ]; then
		echo "kernel-test: $t: FAILED (status $status)"
		grep -E "FAILED|Error|error:|assert|is not|!=" "$log" | head -20
	elif why=$(grep -m1 '^skipped: ' "$log"); then
		echo "kernel-test: $t: $why"
	else
		echo "kernel-test: $t: ok ($(grep -c '\[       OK' "$log") cases, $(grep -c '\[  SKIPPED' "$log") skipped)"
	fi
	grep '^verifier-cost ' "$log"
	grep -E '^  .* (blocked|captured|OPEN|not tested) ' "$log" # the catalogue, for whoever reads the whole log
done
echo "kernel-test: end"
poweroff -f
