# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What a test kernel boots into, for run.sh to source: an initramfs with busybox, the test programs that are built, and all that
# tests/bypass needs (pursed, purse, Python, curl, iproute2 …) from this machine, each at the path that it has here. An initramfs and no disk:
# Debian's cloud kernels have 9p not at all and virtio as modules, and reading from memory is what emulation does best. Two
# archives, one behind the other as the kernel takes them: what is the same for all kernels, and the modules of one.
#
# In the guest: /kernel-test/{programs/,modules/,settings,bypass} are for guest-init.sh.
tools="bash curl openssl nsenter unshare prlimit mount umount ip ss sysctl"
data="/etc/ssl/openssl.cnf /usr/lib/ssl/openssl.cnf /etc/ssl/certs/ca-certificates.crt /usr/share/zoneinfo/UTC /usr/share/zoneinfo/Etc/UTC"

# Absolute paths on stdin: copied to the same place below $1, what links lead to instead of the links.
put_files() { (cd / && sed 's|^/||' | cpio -pdmL --quiet "$1" 2>/dev/null); }

# Of everything that can be linked below $1.
put_libraries() {
	find "$1" -type f \( -perm -u+x -o -name '*.so*' \) -print0 | xargs -0 ldd 2>/dev/null |
		grep -o '/[^ ]*lib[^ ]*\.so[^ ]*' | grep -v ':$' | sort -u | put_files "$1"
}

put_bypass() { # root; $bypass: what pytest shall run
	local python=$build/venv/bin/python top
	top=$(realpath "$here/../..")
	"$python" "$here/python_files.py" | put_files "$1" || return 1
	find "$top"/tests/{conftest.py,lib,bypass} -type f ! -name '*.pyc' | put_files "$1"
	printf '%s\n' "$build/pursed" "$build/purse" | put_files "$1"
	# No compiler over there.
	mkdir -p "$1$build/tests/bypass"
	"${CC:-gcc}" -O1 -o "$1$build/tests/bypass/uring_connect" "$here/../bypass/uring_connect.c" || return 1
	cat >"$1/kernel-test/bypass" <<-END
	cd '$top'
	export PURSE_BUILD='$build' PURSE_WAYS_ALL=1 # no kind of socket is missing here
	run_pytest() { '$python' -m pytest -v -rs --tb=short --color=no -p no:cacheprovider --durations=10 "\$@" $bypass; }
	END
}

make_root() { # out
	local root
	root=$(mktemp -d) || return 1
	mkdir -p "$root"/usr/{bin,sbin,lib,lib64} "$root"/etc "$root"/kernel-test/{programs,modules}
	for d in bin sbin lib lib64; do ln -s usr/$d "$root/$d"; done
	cp "$(command -v busybox)" "$root/bin/busybox" && cp "$here/guest-init.sh" "$root/init" && chmod 755 "$root/init"
	for t in "$build"/tests/bpf/$programs "$build"/tests/unit/kern/$programs; do
		[ -x "$t" ] && [ -f "$t" ] && cp "$t" "$root/kernel-test/programs/"
	done
	echo "export PURSE_PATIENCE=$factor" >"$root/kernel-test/settings"
	for t in $tools bpftool; do command -v $t; done | put_files "$root"
	ls $data 2>/dev/null | put_files "$root"
	[ -z "$bypass" ] || put_bypass "$root" || { note "the parts of tests/bypass cannot be gathered"; rm -rf "$root"; return 1; }
	put_libraries "$root"
	archive "$root" "$1"
}

archive() { # folder out
	(cd "$1" && find . | cpio -o -H newc --quiet) >"$2" && rm -rf "$1"
}

make_modules() { # kernel-dir out
	local dir=$1 out=$2 root found to
	root=$(mktemp -d) || return 1
	to=$root/kernel-test/modules
	mkdir -p "$to"
	for m in $modules; do
		found=$(find "$dir/lib/modules" -name "$m.ko" -o -name "$m.ko.xz" | head -1)
		case $found in
		*.xz) xz -dc "$found" >"$to/$m.ko" ;;
		?*) cp "$found" "$to/" ;;
		esac
	done
	order_modules "$to"
	archive "$root" "$out"
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
