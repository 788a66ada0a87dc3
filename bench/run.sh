#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make bench: direct, purse and HAProxy side by side in one run on this machine; writes bench/RESULTS.md. SECONDS_EACH=5, ROUNDS=3.
set -eu
cd "$(dirname "$0")/.."
O=$(realpath "${1:-build}")
command -v haproxy >/dev/null || { echo "installing haproxy"; DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends haproxy >/dev/null; }
mkdir -p "$O/bench"
for tool in upstream load connects; do
    gcc -O2 -D_GNU_SOURCE -Wall -o "$O/bench/$tool" "bench/$tool.c" -lssl -lcrypto -lpthread
done
mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
PURSE_BUILD=$O exec python3 bench/run.py
