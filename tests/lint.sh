#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who may include whom, which library shows where, and that no folder calls upwards (linked whole with those below it).
set -u
cd "$(dirname "$0")/.." || exit 1
O=${1:-build}
bad=0
complain() { echo "lint: $*"; bad=1; }

declare -A below=(
    [base]="" [kern]="base" [spend]="base" [provider]="base" [wire]="base"
    [path]="wire provider spend kern base" [ctl]="wire provider spend kern base"
)

for folder in "${!below[@]}"; do
    allowed="$folder ${below[$folder]}"
    while IFS=: read -r file _ line; do
        seen=$(sed -E 's/.*"([a-z]+)\/.*/\1/' <<<"$line")
        grep -qw -- "$seen" <<<"$allowed" || complain "$file includes $seen/: $folder may include only $allowed"
    done < <(grep -nE '#include "[a-z]+/' -r user/"$folder" --include=*.c --include=*.h --include=*.cc)
done

# library header -> the files that may show it
shows() {
    local header=$1 allowed=$2 file
    for file in $(grep -lE "#include <($header)" -r user --include=*.c --include=*.h --include=*.cc); do
        [[ $file =~ ^user/($allowed)$ ]] || complain "$file shows $header"
    done
}
shows 'openssl/' 'wire/(tls|ca|hmac)[a-z_]*\.[ch]'
shows 'nghttp2/' 'wire/h2[a-z_]*\.[ch]'
shows 'llhttp' 'wire/h1[a-z_]*\.[ch]'
shows 'sqlite3' 'spend/ledger/[a-z_]+\.[ch]'
shows 'uv\.h' 'base/loop[a-z_]*\.[ch]'
shows 'ares' 'base/resolve\.c'
shows 'simdjson' 'base/json[a-z_]*\.(cc|h)'
shows 'cctz/' 'spend/budget/zone\.cc'
shows 'yaml\.h' 'base/yaml\.c'
shows 'bpf/' 'kern/[a-z_]+\.[ch]'
shows 'curl/' 'ctl/alert/post\.c'
shows 'zlib|brotli/|zstd' 'wire/decode\.c'

for file in $(git ls-files 'user/*.[ch]' 'user/*.cc' 'bpf/*' 'include/*' 'tests/*.[ch]' 'tests/*.py' 'tests/*.sh' 'bench/*.[ch]'); do
    head -2 "$file" | grep -q 'SPDX-License-Identifier' || complain "$file has no SPDX line"
done

# An ordinary link takes only the objects that are asked for; whole archives show every upward call.
for folder in "${!below[@]}"; do
    whole="" lower=""
    for a in $folder; do whole="$whole $O/lib$a.a"; done
    for a in ${below[$folder]}; do lower="$lower $O/lib$a.a"; done
    [ -f "$O/lib$folder.a" ] || { complain "$O/lib$folder.a is missing: build first"; continue; }
    echo 'int main(void) { return 0; }' | gcc -x c -fPIE - -x none -pie -o /dev/null -Wl,--whole-archive $whole -Wl,--no-whole-archive \
        -Wl,--start-group $lower -Wl,--end-group -lbpf -lelf -lz -lssl -lcrypto -lnghttp2 -luv -lsqlite3 -lyaml -lsimdjson -lbrotlidec -lzstd -lcurl -lcares -lcctz \
        -lstdc++ -lpthread -lm 2>/tmp/purse-lint.$$ || { complain "user/$folder calls upwards:"; grep -m5 undefined /tmp/purse-lint.$$; }
    rm -f /tmp/purse-lint.$$
done
[ $bad -eq 0 ] && echo "lint: clean"
exit $bad
