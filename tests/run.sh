#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds and runs everything that proves purse, in the order in which a failure tells most: lint, unit and BPF tests (cmocka), then end to
# end and bypass (pytest with the providers' own SDKs); beside them the gate on an older kernel. Ends with one line: N passed, N failed, N skipped.
#
#   tests/run.sh [unit|e2e|kernels]      only a part
#   JUNIT=folder                 keeps the reports
set -u
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}
part=${1:-all}
passed=0 failed=0 skipped=0
reports=$(mktemp -d)
kernels_pid=
# By id, and only what was started here.
trap '[ -n "$kernels_pid" ] && kill -- -"$kernels_pid" 2>/dev/null; rm -rf "$reports"' EXIT

crash_tests=(tests/unit/spend/test_replay tests/bpf/test_gate_migrate) # kill themselves at the named points, which only that build has
mapfile -t asan_tests < <(cd tests && ls unit/{base,wire,provider,path,ctl,ctl/*}/test_*.c unit/spend/test_{cost,bound}.c unit/spend/price/test_price.c unit/spend/budget/test_window.c | sed 's|^|tests/|; s|\.c$||')
mapfile -t fuzz_targets < <(ls tests/fuzz/fuzz_*.c | sed 's|\.c$||')

say() { printf '\n== %s\n' "$*"; }

count() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

finish() {
    printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit $?
}

build() {
    say "build"
    make --no-print-directory -j"$(nproc)" O="$O" all unit "$O/tests/sim/sim" || { count 0 1 0; finish; }
    make --no-print-directory -j"$(nproc)" O="$O-crash" CRASH=1 all "${crash_tests[@]/#/$O-crash/}" || { count 0 1 0; finish; }
    # Whatever is fed by peers, files and users, once more under AddressSanitizer and UBSan.
    make --no-print-directory -j"$(nproc)" O="$O-asan" SAN=1 "${asan_tests[@]/#/$O-asan/}" "${fuzz_targets[@]/#/$O-asan/}" || { count 0 1 0; finish; }
}

lint() {
    say "lint"
    if tests/lint.sh "$O"; then count 1 0 0; else count 0 1 0; fi
}

# One cmocka program; its own lines are shown only if something failed.
unit() {
    local program=$1 out=$reports/unit.out p f s status
    timeout 300 "$program" >"$out" 2>&1
    status=$?
    p=$(grep -c '^\[       OK' "$out") f=$(grep -c '^\[  FAILED  \] [^0-9]' "$out") s=$(grep -c '^\[  SKIPPED \] [^0-9]' "$out")
    # cmocka lists failures twice: as they happen and at the end.
    f=$(grep '^\[  FAILED  \] [^0-9]' "$out" | sort -u | wc -l)
    s=$(grep '^\[  SKIPPED \] [^0-9]' "$out" | sort -u | wc -l)
    [ $status -ne 0 ] && [ "$f" -eq 0 ] && f=1
    printf '  %-40s %3d passed%s%s\n' "${program#*/tests/}" "$p" "$([ "$f" -gt 0 ] && echo ", $f FAILED (exit $status)")" \
        "$([ "$s" -gt 0 ] && echo ", $s skipped")"
    [ $status -eq 0 ] || tail -40 "$out"
    [ "$s" -gt 0 ] && grep -i -E 'skip|missing|needs' "$out" | head -5
    count "$p" "$f" "$s"
}

units() {
    say "unit and BPF tests"
    local t
    for t in "$O"/tests/unit/*/test_* "$O"/tests/unit/*/*/test_* "$O"/tests/bpf/test_*; do
        [ -x "$t" ] && [ -f "$t" ] || continue
        [ -f "tests/${t#"$O"/tests/}.c" ] || continue # a test that is no more
        [[ " ${crash_tests[*]} " = *" ${t#"$O"/} "* ]] && t=$O-crash/${t#"$O"/}
        unit "$t"
    done
    say "simulator of the accounting core"
    if "$O/tests/sim/sim" --seconds 15; then count 1 0 0; else count 0 1 0; fi
    say "the same under AddressSanitizer and UBSan"
    for t in "${asan_tests[@]}"; do
        unit "$O-asan/$t"
    done
    say "fuzz targets, the same inputs each time"
    for t in "${fuzz_targets[@]}"; do
        if FUZZ_ONLY=${t##*/} tests/fuzz/run.sh "$O-asan" smoke 2000; then count 1 0 0; else count 0 1 0; fi
    done
}

# The SDKs are the providers' own, from their registries, pinned.
python_with_sdks() {
    local want=tests/lib/requirements.txt have=$O/venv/requirements.txt
    cmp -s $want "$have" && return 0
    python3 -m venv --clear "$O/venv" && "$O/venv/bin/pip" install -q -r $want && cp $want "$have"
}

node_with_sdks() {
    cmp -s tests/lib/package.json "$O/node/package.json" && [ -d "$O/node/node_modules" ] && return 0
    mkdir -p "$O/node" && cp tests/lib/package.json "$O/node/" &&
        (cd "$O/node" && npm install --silent --no-audit --no-fund --no-package-lock >/dev/null 2>npm.log || { rm package.json; cat npm.log; exit 1; })
}

# $@: folders
e2e() {
    say "$*"
    python_with_sdks || { echo "cannot install the Python SDKs"; count 0 1 0; return; }
    node_with_sdks || echo "cannot install the Node SDKs: their tests will be skipped"
    local xml=$reports/e2e.xml
    PURSE_BUILD=$(realpath "$O") PURSE_CRASH_BUILD=$(realpath "$O-crash") "$O/venv/bin/python" -m pytest -q -rs --tb=short -n "$(($(nproc) + 1))" --dist loadfile -p no:cacheprovider \
        --junitxml="$xml" "$@"
    [ -f "$xml" ] || { count 0 1 0; return; }
    # shellcheck disable=SC2046
    count $(python3 - "$xml" <<'PY'
import sys, xml.etree.ElementTree as tree
s = tree.parse(sys.argv[1]).getroot()
s = s if s.tag == "testsuite" else s.find("testsuite")
tests, bad, skipped = int(s.get("tests")), int(s.get("failures")) + int(s.get("errors")), int(s.get("skipped"))
print(tests - bad - skipped, bad, skipped)
PY
    )
    [ -n "${JUNIT:-}" ] && mkdir -p "$JUNIT" && cp "$xml" "$JUNIT/"
}

# The gate and the ways round it on other kernels (tests/kernels/run.sh says how). Nothing named: all of tests/bypass, on all. It goes on beside
# what else is tested, in a process group of its own, and is waited for at the end: an emulated machine and our tests both wait more than they work.
kernels_begin() {
    deploy/install-deps.sh kernels || return
    python_with_sdks || echo "cannot install the Python packages: tests/bypass will be skipped there"
    set -m
    PURSE_BUILD=$(realpath "$O") tests/kernels/run.sh "$@" >"$reports/kernels.out" 2>&1 </dev/null &
    kernels_pid=$!
    set +m
}

kernels_end() {
    say "the gate on other kernels"
    [ -n "$kernels_pid" ] || { echo "qemu and what it needs cannot be installed"; count 0 0 1; return; }
    wait "$kernels_pid"
    kernels_pid=
    cat "$reports/kernels.out"
    # shellcheck disable=SC2046
    count $(tail -1 "$reports/kernels.out" | awk '/^[0-9]+ passed/ { print $1, $3, $5; ok = 1 } END { if (!ok) print 0, 1, 0 }')
}

mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf 2>/dev/null
build
case $part in
unit) units ;;
e2e) e2e tests/e2e tests/bypass tests/others ;;
faults) e2e tests/faults ;;
kernels) kernels_begin; kernels_end ;;
*) kernels_begin short 6.1; lint; units; e2e tests/e2e tests/bypass tests/others tests/faults; kernels_end ;; # the oldest, with the table of ways; the rest: make test-kernels
esac
finish
