# SPDX-License-Identifier: Apache-2.0
"""Where the CPU time of a call goes, purse beside HAProxy:  [PURSE_BUILD=…] python3 bench/profile.py [one|many|big|stream|paced]
Needs perf (linux-perf) and the tools that bench/run.sh builds. Microseconds per request, stacks by DWARF; rows of the last table overlap."""
import collections
import pathlib
import re
import subprocess
import sys
import time

import run as bench

SECONDS, TOP = 4, 24


def is_of(dso, program):
    return dso.rpartition("/")[2] == program


def stacks(path):
    """Leaf first: [(symbol, dso)]. Inlined frames have the dso "inlined"."""
    out = subprocess.run(["perf", "script", "-i", path, "-F", "ip,sym,dso"], capture_output=True, text=True).stdout
    for sample in out.split("\n\n"):
        frames = (re.match(r"\s*[0-9a-f]+ (.*?)(?:\+0x[0-9a-f]+)? \((.*)\)$", line) for line in sample.splitlines())
        found = [(m[1], m[2]) for m in frames if m]
        if found:
            yield found


def fold(path, program):
    """Counters: by place of the leaf, by own function with the libraries below it, by own function with everything below it."""
    place, nearest, below, total = (collections.Counter() for _ in range(4))
    for stack in stacks(path):
        total["all"] += 1
        own = [s for s, dso in stack if is_of(dso, program)]
        call = next((s for s, _ in stack if s.startswith("__x64_sys_") or s.startswith("__arm64_sys_")), None)
        in_kernel = any(dso.startswith("[kernel") for _, dso in stack)
        dso = next((d for _, d in stack if d != "inlined"), "?")
        place[f"kernel: {call.partition('_sys_')[2] if call else 'wake-ups, interrupts, entry'}" if in_kernel else dso.rpartition("/")[2]] += 1
        nearest[own[0] if own else "?"] += not in_kernel
        below.update(set(own))
    return total["all"], place, nearest, below


def record(b, way, load):
    pid, path = b.ways[way][3], b.w.folder / f"{way}.perf"
    p = subprocess.Popen(["perf", "record", "--call-graph", "dwarf,6000", "-F", "2999", "-o", path, "-p", str(pid), "--", "sleep", str(SECONDS - 1)],
                         stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    b.load(way, *load)
    p.wait()
    return path


def main():
    bench.SECONDS = SECONDS
    load = bench.LOADS[sys.argv[1] if len(sys.argv) > 1 else "many"]
    b = bench.Bench()
    try:
        for way, program in (("purse", "pursed"), ("HAProxy", "haproxy")):
            per_call = b.load(way, *load)["cpu"]  # without perf
            total, place, nearest, below = fold(record(b, way, load), program)
            print(f"\n{way}: {per_call:.1f} us of CPU per request, {total} samples")
            for title, counter in (("by place", place), ("own function, with libraries, without the kernel", nearest), ("own function, with all below it", below)):
                print(f"  {title}")
                for name, n in counter.most_common(TOP):
                    print(f"    {n / total * per_call:7.2f} us {n / total:6.1%}  {name}")
    finally:
        b.close()


if __name__ == "__main__":
    main()
