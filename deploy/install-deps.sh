#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what building and testing purse need, on Debian 12 as root. Quick when all is there; says what it does.
set -u

packages=(
    gcc g++ make clang llvm bpftool libc6-dev
    libbpf-dev libelf-dev zlib1g-dev libssl-dev libnghttp2-dev libuv1-dev libc-ares-dev libsqlite3-dev node-llhttp libsimdjson-dev libyaml-dev
    libbrotli-dev libzstd-dev libcurl4-openssl-dev libcctz-dev tzdata libcmocka-dev
    curl jq iproute2 procps util-linux ca-certificates git
)
# What only some make targets need.
case ${1:-} in
kernels) packages=(qemu-system-x86 cpio busybox-static xz-utils bpftool) ;;
fuzz) packages=(clang libclang-rt-14-dev) ;;
esac
# command -> package, for what may be here from elsewhere
declare -A commands=([python3]=python3 [node]=nodejs [npm]=npm)

missing=()
for p in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
done
for c in "${!commands[@]}"; do
    command -v "$c" >/dev/null || missing+=("${commands[$c]}")
done
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)

[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "purse: this is not Debian (no apt-get); install by hand what stands for: ${missing[*]}" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "purse: not root; run as root, or: apt-get install ${missing[*]}" >&2
    exit 1
fi
echo "purse: installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -q && apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -20 "$log" >&2
    echo "purse: apt-get failed; its whole output is in $log" >&2
    exit 1
fi
rm -f "$log"
