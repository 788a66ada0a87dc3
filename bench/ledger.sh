#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# bench/ledger.sh [BUILD] [ROWS]: the ledger alone, full of rows (default 10 M, some 4 GB in $TMPDIR for ten minutes): what it takes once it
# is full, with no call in flight and with 2,000 whose holds are written ahead; and what it takes to read one agent's day. Ends with
# "met" or "not met" for each target, exit code 1 if one is not.
set -eu
cd "$(dirname "$0")/.."
O=$(realpath "${1:-build}")
rows=${2:-10000000}
[ -f "$O/libspend.a" ] || { echo "$O/libspend.a is missing; run: make O=$O"; exit 1; }
mkdir -p "$O/bench"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
gcc -std=gnu11 -O2 -g -D_GNU_SOURCE -Wall -Iuser -Iinclude -o "$O/bench/ledger_bench" bench/ledger_bench.c -Wl,--start-group "$O/libspend.a" \
    "$O/libbase.a" -Wl,--end-group -lsqlite3 -lsimdjson -lcctz -luv -lyaml -lstdc++ -lpthread -lm
for open in 0 2000; do
    rm -f "$folder"/*
    "$O/bench/ledger_bench" "$folder/ledger.db" "$rows" 1000 $((rows / 333000 + 1)) $open | tee "$folder-$open.json"
done
python3 - "$folder-0.json" "$folder-2000.json" <<'END'
import json, os, sys
still, flying = (json.load(open(name)) for name in sys.argv[1:])
bad = 0
for what, figure, is_met in (
        ("20,000 settled calls/s durable", f"{still['last_per_s']}/s", still["last_per_s"] >= 20000),
        ("the same with 2,000 in flight, written ahead", f"{flying['last_per_s']}/s", flying["last_per_s"] >= 20000),
        ("one agent's day < 100 ms", f"{still['rows_ms']} ms for {still['day_rows']} rows, its sums {still['day_sums_ms']} ms",
         still["rows_ms"] < 100 and still["day_sums_ms"] < 100)):
    print(f"{'met' if is_met else 'NOT MET'}: {what}: {figure}")
    bad |= not is_met
for name in sys.argv[1:]:
    os.unlink(name)
sys.exit(bad)
END
