#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# make demo: a runaway agent stopped at its budget. With REAL=1 and a key in OPENAI_API_KEY: the same on the real endpoint.
set -u
cd "$(dirname "$0")/.." || exit 1
O=$(realpath "${1:-build}")
MODEL=${MODEL:-gpt-5-nano}
LOOP='i=0; while i=$((i + 1)); [ $i -le 60 ]; do
    printf "call %2d: " $i
    curl -sS -o /tmp/purse-demo.$$ -w "%{http_code}\n" --max-time 60 https://api.openai.com/v1/chat/completions \
        -H "Authorization: Bearer $OPENAI_API_KEY" -H "content-type: application/json" \
        -d "{\"model\":\"$MODEL\",\"max_completion_tokens\":200,\"messages\":[{\"role\":\"user\",\"content\":\"Say something else.\"}]}" || break
    grep -q insufficient_quota /tmp/purse-demo.$$ && { cat /tmp/purse-demo.$$; echo; break; }
done; rm -f /tmp/purse-demo.$$'

mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
if [ "${REAL:-}" = 1 ]; then
    [ -n "${OPENAI_API_KEY:-}" ] || { echo "REAL=1 needs OPENAI_API_KEY in the environment"; exit 1; }
    echo "The real endpoint, model $MODEL, \$0.01 in total. purse run starts a daemon, and stops it after."
    config=$(mktemp) && trap 'rm -f "$config"' EXIT
    echo "prices: [$PWD/deploy/prices.yaml]" >"$config"
    export MODEL
    exec "$O/purse" -c "$config" run --agent demo --total 0.01USD -- bash -c "$LOOP"
fi
exec env PURSE_BUILD="$O" python3 tests/lib/demo.py
