#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench/run.sh [BUILD]: direct, purse and HAProxy side by side in one run on this machine; writes bench/RESULTS.md (or $RESULTS).
# SECONDS_EACH=2 ROUNDS=3: length and number of rounds. FULL=1: 10 M ledger rows instead of 0.5 M, 5,000 open streams instead of 500.
set -eu
cd "$(dirname "$0")/.."
O=$(realpath "${1:-build}")
[ "$(id -u)" = 0 ] || { echo "bench/run.sh needs root: it loads BPF programs and makes a network namespace"; exit 1; }
[ -x "$O/pursed" ] || { echo "$O/pursed is missing; run: make O=$O"; exit 1; }
command -v haproxy >/dev/null || {
    echo "installing haproxy"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends haproxy >/dev/null
}
mkdir -p "$O/bench"
cc="gcc -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall"
for tool in upstream load connects; do
    $cc -o "$O/bench/$tool" "bench/$tool.c" -lssl -lcrypto -lpthread
done
$cc -Iuser -Iinclude -o "$O/bench/ledger_bench" bench/ledger_bench.c -Wl,--start-group "$O/libspend.a" "$O/libbase.a" -Wl,--end-group \
    -lsqlite3 -lsimdjson -lcctz -luv -lyaml -lstdc++ -lpthread -lm
clang -g -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$O/bench/empty.bpf.o" bench/empty.bpf.c
mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
PURSE_BUILD=$O exec python3 bench/run.py
