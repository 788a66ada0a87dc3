#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# tests/demo.sh [BUILD]: a runaway agent stopped at its budget, against a fake provider in a network namespace (tests/lib/demo.py).
# REAL=1 and OPENAI_API_KEY: the same agent against the real endpoint, for at most 5 cents. MODEL=gpt-5-nano is asked.
set -u
cd "$(dirname "$0")/.." || exit 1
O=$(realpath "${1:-build}")
MODEL=${MODEL:-gpt-5-nano}
BUDGET=0.05USD
[ "$(id -u)" = 0 ] || { echo "the demo needs root: it loads BPF programs and makes cgroups"; exit 1; }
[ -x "$O/pursed" ] || { echo "$O/pursed is missing; run: make O=$O"; exit 1; }
mount | grep -q ' /sys/fs/bpf ' || mount -t bpf bpf /sys/fs/bpf
[ "${REAL:-}" = 1 ] || exec env PURSE_BUILD="$O" python3 tests/lib/demo.py

if [ -z "${OPENAI_API_KEY:-}" ]; then
    cat <<END
The demo on the real endpoint needs a key of OpenAI's in the environment. It is used by the agent only, never stored:

    REAL=1 OPENAI_API_KEY=sk-... make demo       # at most $BUDGET; MODEL=$MODEL can be set to another

Without a key:  make demo
END
    exit 1
fi
# All of it is the demo's own and goes afterwards: state, pins, and the cgroup that the gate is attached to.
cgroups=$(awk '$(NF-2) == "cgroup2" || / - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
name=purse-demo-$$
folder=$(mktemp -d)
agent_cgroup=$cgroups/$name/bot
tidy() {
    "$O/purse" -c "$folder/purse.yaml" uninstall >/dev/null 2>&1
    rm -rf "$folder" "/sys/fs/bpf/$name"
    for c in "$cgroups/$name"/*/ "$cgroups/$name"; do rmdir "$c" 2>/dev/null; done
}
trap tidy EXIT
mkdir -p "$agent_cgroup"
cat >"$folder/purse.yaml" <<END
state_dir: $folder/state
run_dir: $folder/run
bpffs: /sys/fs/bpf/$name
cgroup_root: $cgroups/$name
prices: [$PWD/deploy/prices.yaml]
END
export MODEL
echo "An agent that asks $MODEL the same thing again and again. purse run gives it $BUDGET in total, not a cent more:"
echo
"$O/purse" -c "$folder/purse.yaml" run --agent bot --cgroup "/$name/bot" --total "$BUDGET" -- bash -c '
    for i in $(seq 1 500); do
        answer=$(curl -sS --max-time 120 -w "\nHTTP %{http_code}" https://api.openai.com/v1/chat/completions \
            -H "authorization: Bearer $OPENAI_API_KEY" -H "content-type: application/json" \
            -d "{\"model\":\"$MODEL\",\"max_completion_tokens\":4000,\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a long story.\"}]}" 2>&1)
        echo "call $i: ${answer##*$'"'\\n'"'}"
        [[ $answer = *"HTTP 200" ]] || { echo; echo "${answer%$'"'\\n'"'*}"; break; }
    done'
echo
echo "What it cost, call by call:"
"$O/purse" -c "$folder/purse.yaml" ledger --limit 5
"$O/purse" -c "$folder/purse.yaml" audit
