#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the fuzz targets that are built in O, one after the other; `make fuzz`, `make fuzz-long` and `make test` call it. The first fault ends it.
#
#   run.sh O blind SECONDS     driver.c, another seed each time
#   run.sh O guided SECONDS    libFuzzer; a line of figures for each target
#   run.sh O smoke RUNS        driver.c, the same inputs each time
#   FUZZ_ONLY="fuzz_h1 ..."    only these
# Inputs: those of the target, tests/data/fuzz/NAME (small, committed: what once failed), O/corpus/NAME (what libFuzzer found).
set -u
cd "$(dirname "$0")/../.." || exit 1
O=$(realpath "$1") mode=$2 amount=$3
data=$PWD/tests/data/fuzz

guided() {
    local t=$1 log=$O/$1.log status
    shift
    "$O/tests/fuzz/$t" -max_len=4096 -timeout=20 -rss_limit_mb=2048 -artifact_prefix="$O/crash-$t-" -print_final_stats=1 \
        -max_total_time="$amount" "$@" >"$log" 2>&1
    status=$?
    awk -v t="$t" '/ cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") cov = $(i + 1); if ($i == "corp:") corpus = $(i + 1) } }
        /number_of_executed_units/ { n = $2 } /average_exec_per_sec/ { rate = $2 } /peak_rss_mb/ { rss = $2 }
        END { printf "  %-14s %9d inputs, %6d/s, %5d edges, corpus %s, %d MB\n", t, n, rate, cov, corpus, rss }' "$log"
    [ $status -eq 0 ] || tail -40 "$log"
    return $status
}

for f in tests/fuzz/fuzz_*.c; do
    t=$(basename "$f" .c)
    [[ " ${FUZZ_ONLY:-$t} " == *" $t "* ]] || continue
    inputs=()
    [ -d "$data/$t" ] && inputs=("$data/$t")
    mkdir -p "$O/corpus/$t"
    # What is found goes to the first folder; seeds.c writes to it.
    case $mode in
    guided) guided "$t" "$O/corpus/$t" "${inputs[@]}" ;;
    blind) (cd "$O" && "tests/fuzz/$t" -t "$amount" "${inputs[@]}" "corpus/$t") ;;
    smoke) (cd "$O" && "tests/fuzz/$t" -n "$amount" -s 1 "${inputs[@]}") ;;
    *) exit 2 ;;
    esac || exit 1
done
