# SPDX-License-Identifier: Apache-2.0
"""What run.py found -> the page bench/RESULTS.md: tables, and each target with the figure beside it, met or not."""
import os
import pathlib
import platform
import subprocess
import time


def machine():
    cpu = next((line.partition(":")[2].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))
    return f"{os.cpu_count()} cores of {cpu}, {memory / 2**20:.0f} GB, Linux {platform.release()}, {time.strftime('%Y-%m-%d')}"


def haproxy():
    return subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout.split()[2]


def mitigations():
    """Those that make each call of a BPF helper dearer."""
    folder = pathlib.Path("/sys/devices/system/cpu/vulnerabilities")
    found = {n: (folder / n).read_text().strip() for n in ("spectre_v2", "retbleed", "spec_rstack_overflow") if (folder / n).exists()}
    return ", ".join(f"{n}: {v}" for n, v in found.items() if v != "Not affected") or "none"


def table(head, rows):
    return ["| " + " | ".join(r) + " |" for r in [head, ["---"] * len(head), *rows]]


def calls(found):
    rows = []
    for n, title in ((1, "one"), (16, "many")):
        for way, t in found[title].items():
            rows.append([way, str(n), f"{t['p50']:.0f}", f"{t['p99']:.0f}", f"{t['rps']:.0f}", f"{t['cpu']:.0f}" if t["cpu"] else "–",
                         f"{t['kernel']:.0f}" if t["cpu"] else "–"])
    return table(["", "connections", "p50 us", "p99 us", "requests/s", "CPU us per request", "of which kernel"], rows)


def added(load, what="p50"):
    return {way: load[way][what] - load["direct"][what] for way in ("purse", "HAProxy")}


def ratio(pair):
    return pair["purse"] / pair["HAProxy"] if pair["HAProxy"] > 0 else float("inf")


def targets(f):
    """(what, target, measured, met)"""
    latency, cpu = added(f["one"]), {w: f["one"][w]["cpu"] for w in ("purse", "HAProxy")}
    big, first = added(f["big"]), added(f["first"], "first50")
    chunk = {kind: {w: f[kind][w]["cpu"] / f["chunks"] for w in ("purse", "HAProxy")} for kind in ("stream", "paced")}
    idle, (opened, per_stream), l = f["idle_kb"], f["streams"]["purse"], f["ledger"]
    stranger, agent = (f["gate"][who]["gate_connect4"] for who in ("not an agent", "agent, redirected"))
    yield ("added latency p50, 1 connection", "<= 1.5 x HAProxy's", f"{latency['purse']:.0f} us against {latency['HAProxy']:.0f} us: {ratio(latency):.2f} x",
           ratio(latency) <= 1.5)
    yield ("CPU per request, 1 connection", "<= 1.5 x HAProxy's", f"{cpu['purse']:.0f} us against {cpu['HAProxy']:.0f} us: {ratio(cpu):.2f} x", ratio(cpu) <= 1.5)
    yield ("CPU per SSE chunk, each travelling alone (32 streams, 1 ms apart)", "<= 5 us",
           f"{chunk['paced']['purse']:.1f} us, {f['paced']['purse']['kernel'] / f['chunks']:.1f} of it in the kernel (HAProxy {chunk['paced']['HAProxy']:.1f} "
           f"and {f['paced']['HAProxy']['kernel'] / f['chunks']:.1f})", chunk["paced"]["purse"] <= 5)
    yield ("CPU per SSE chunk, sent at once", "<= 5 us", f"{chunk['stream']['purse']:.1f} us (HAProxy {chunk['stream']['HAProxy']:.1f})", chunk["stream"]["purse"] <= 5)
    yield ("added time to first byte of a stream, p50", "<= 100 us", f"{first['purse']:.0f} us (HAProxy {first['HAProxy']:.0f})", first["purse"] <= 100)
    yield ("400 kB request body, added p50", "<= 1 ms", f"{big['purse'] / 1e3:.2f} ms (HAProxy {big['HAProxy'] / 1e3:.2f})", big["purse"] <= 1000)
    yield ("memory, idle daemon", "<= 20 MB", f"{idle['purse'] / 1024:.1f} MB (HAProxy {idle['HAProxy'] / 1024:.1f})", idle["purse"] <= 20480)
    yield (f"memory per open stream ({opened} open)", "<= 60 kB", f"{per_stream:.0f} kB (HAProxy {f['streams']['HAProxy'][1]:.0f})", per_stream <= 60)
    yield ("gate per connect, not an agent", "<= 100 ns", f"{stranger:.0f} ns, of which the measuring {f['floor']:.0f}", stranger <= 100)
    yield ("gate per connect, agent, redirected", "<= 400 ns", f"{agent:.0f} ns, of which the measuring {f['floor']:.0f}", agent <= 400)
    yield (f"calls of {l['agents']} agents settled into a durable ledger", ">= 20,000/s", f"{l['per_s']:.0f}/s", l["per_s"] >= 20000)
    yield ("the same with 2,000 calls in flight, their holds written ahead", ">= 20,000/s", f"{l['ahead_per_s']:.0f}/s", l["ahead_per_s"] >= 20000)
    yield ("one agent's day out of 10 M rows", "< 100 ms", f"{l['rows_ms']:.1f} ms for {l['day_rows']} rows out of {l['rows'] / 1e6:g} M; its sum {l['sum_ms']:.2f} ms",
           l["rows_ms"] < 100)


def gate(found):
    return table(["who", "hook", "ns per run"], [[who, hook, f"{ns:.0f}"] for who, hooks in found["gate"].items() for hook, ns in sorted(hooks.items())])


def text(f, took_s):
    many = f["many"]
    lines = ["# Benchmark results", "",
             f"Made by `make bench` in {took_s:.0f} s on: {machine()}. Generator, provider and proxies share the machine; medians of {f['rounds']} rounds of "
             f"{f['seconds']:g} s, the three ways alternating. Processes that have nothing to do with it took {f['elsewhere']:.0%} of the machine's CPU time "
             f"meanwhile. purse: holds and ledger on, 2 workers. HAProxy {haproxy()}: 2 threads, TLS in and out, the provider verified, keep-alive on both sides."
             + (" **The machine was not quiet: latencies are worth little, run it again.**" if f["elsewhere"] > 0.1 else ""), "",
             "## A chat call, 1 kB in, 1 kB out", "", *calls(f), "",
             f"purse answers {many['purse']['rps'] / many['HAProxy']['rps']:.0%} of HAProxy's requests/s at 16 connections, at {ratio({w: many[w]['cpu'] for w in ('purse', 'HAProxy')}):.2f} x "
             f"its CPU per request. After {f['settled']} calls the daemon is at {f['loaded_kb']['purse'] / 1024:.1f} MB, HAProxy at {f['loaded_kb']['HAProxy'] / 1024:.1f} MB.", "",
             "## Against the targets", "",
             *table(["", "target", "measured", ""], [[what, target, measured, "met" if ok else "**not met**"] for what, target, measured, ok in targets(f)]), "",
             "## The gate's hooks", "", "By the kernel's own statistics (bpf_stats_enabled), with what they cost themselves: a program that does nothing reads "
             f"{f['floor']:.0f} ns. A plain connect runs gate_sock_create, gate_connect4 and gate_sockops once each. As a process sees it, socket, connect to a closed "
             f"port and close take {f['connect']['without']:.0f} ns outside the gate's tree and {f['connect']['with']:.0f} ns as a stranger inside it. Mitigations of this CPU "
             f"that make helper calls dearer: {mitigations()}.", "", *gate(f)]
    return "\n".join(lines) + "\n"
