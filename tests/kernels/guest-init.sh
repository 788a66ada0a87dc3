#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The first process of a test kernel (root.sh puts it into the initramfs as /init): mounts, modules, then every test program, then
# tests/bypass. A line for each on the console: "kernel-test: NAME: ok|FAILED|skipped: why", for tests/bypass the counts, and above them
# what pytest says. Powers off.
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin /proc /sys /dev /tmp /run /root
/bin/busybox --install -s 2>/dev/null # programs of this machine stay
export PATH=/usr/bin:/usr/sbin:/bin:/sbin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
ln -s /proc/self/fd /dev/fd
chmod 1777 /tmp # no mount: what root.sh put there stays
mount -t tmpfs run /run
mount -t tmpfs shm /dev/shm
mount -t securityfs sec /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
# What tests/lib mounts over, and what names are looked up by.
echo "127.0.0.1 localhost" >/etc/hosts
: >/etc/resolv.conf
echo "hosts: files dns" >/etc/nsswitch.conf
echo "root:x:0:0:root:/root:/bin/sh" >/etc/passwd
echo "root:x:0:" >/etc/group
ip link set lo up
for module in /kernel-test/modules/*.ko; do
	[ -e "$module" ] || continue
	insmod "$module" 2>/dev/null || echo "kernel-test: module ${module##*/}: not loaded"
done
echo # the firmware left the cursor somewhere
echo "kernel-test: kernel $(uname -r), security modules $(cat /sys/kernel/security/lsm)"

. /kernel-test/settings
seconds() { cut -d. -f1 /proc/uptime; }

programs() {
	local t log status why begin
	cd /kernel-test/programs || return
	for t in *; do
		[ -e "$t" ] || continue
		log=/tmp/$t.log begin=$(seconds)
		timeout 300 "./$t" >"$log" 2>&1
		status=$?
		if [ $status -ne 0 ]; then
			echo "kernel-test: $t: FAILED (status $status)"
			grep -E "FAILED|Error|error:|assert|is not|!=" "$log" | head -20
		elif why=$(grep -m1 '^skipped: ' "$log"); then
			echo "kernel-test: $t: $why"
		else
			echo "kernel-test: $t: ok ($(grep -c '\[       OK' "$log") cases, $(grep -c '\[  SKIPPED' "$log") skipped; $(($(seconds) - begin)) s)"
		fi
		grep '^verifier-cost ' "$log"
		grep -E '^  .* (blocked|captured|OPEN|not tested) ' "$log" # the catalogue, for whoever reads the whole log
	done
}

# Each test counts, unlike the cases of a program.
bypass() {
	local xml=/tmp/bypass.xml begin
	begin=$(seconds)
	. /kernel-test/bypass # defines run_pytest
	run_pytest --junitxml=$xml
	# Of the one <testsuite> that it writes.
	sed -n 's/.*<testsuite \([^>]*\)>.*/\1/p' $xml | tr ' ' '\n' | tr -d '"' | grep -E '^(tests|failures|errors|skipped)=' >/tmp/counts
	tests='' failures='' errors='' skipped=''
	. /tmp/counts
	[ -n "$tests" ] || { echo "kernel-test: bypass: 0 passed, 1 failed, 0 skipped (pytest did not come to its end)"; return; }
	echo "kernel-test: bypass: $((tests - failures - errors - skipped)) passed, $((failures + errors)) failed, $skipped skipped in $(($(seconds) - begin)) s"
}

# Side by side: each has its own cgroups and namespaces, and the machine two processors.
programs >/tmp/programs &
[ -e /kernel-test/bypass ] && bypass
wait
cat /tmp/programs
echo "kernel-test: end"
poweroff -f
