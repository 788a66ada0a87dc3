# SPDX-License-Identifier: Apache-2.0
"""Direct, purse and HAProxy (TLS in, TLS out) with the same load generator and provider, alternating; medians over the rounds. purse runs
with holds and ledger on. Everything lives in a world of tests/lib/world.py: own namespace, own cgroups, own pins. report.py writes it down."""
import json
import os
import pathlib
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import demo  # noqa: E402  its CA by the openssl command
import report  # noqa: E402
import world as worlds  # noqa: E402

FULL = os.environ.get("FULL") == "1"
SECONDS = float(os.environ.get("SECONDS_EACH", 2))
ROUNDS = int(os.environ.get("ROUNDS", 3))
OPEN_STREAMS = 5000 if FULL else 500
LEDGER_ROWS = 10_000_000 if FULL else 600_000
TOOLS = worlds.BUILD / "bench"
FRONT = "198.51.100.50"
TICK = os.sysconf("SC_CLK_TCK")
CHUNKS = 202  # of upstream.c: 200, usage, [DONE]
HAPROXY = """
global
    nbthread 2
    maxconn 6000
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    http-reuse always
frontend f
    bind {front}:443 ssl crt {certs}/front.pem alpn http/1.1
    default_backend b
backend b
    server s {provider}:443 ssl verify required ca-file {ca} sni str(api.openai.com) verifyhost api.openai.com
"""
# title: connections, bytes of filler in the request, mode of the generator
LOADS = {"one": (1, 800, "chat"), "many": (16, 800, "chat"), "big": (1, 400_000, "chat"), "stream": (1, 800, "stream"), "paced": (32, 800, "paced"),
         "first": (1, 800, "brief")}


def cpu_s(pid):
    """User and system time of all threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) / TICK, int(fields[12]) / TICK


def rss_kb(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def machine_busy_s():
    user, nice, system, _, _, irq, softirq, steal = [int(x) / TICK for x in open("/proc/stat").readline().split()[1:9]]
    return user + nice + system + irq + softirq + steal


class Bench:
    def __init__(self):
        worlds.sweep()
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        self.w = w = worlds.World(authority=demo.Authority, agents=[{"name": "bot", "day": "1000000USD"}],
                                  provider=lambda chain, key: [TOOLS / "upstream", chain, key, worlds.PROVIDER4, "443"])
        worlds.run("ip", "-n", w.name, "addr", "add", FRONT + "/32", "dev", "lo")
        w.start()
        certs = w.folder / "certs"
        (certs / "front.pem").write_text((certs / "leaf.pem").read_text() + (certs / "leaf.key").read_text())
        (w.folder / "haproxy.cfg").write_text(HAPROXY.format(front=FRONT, certs=certs, provider=worlds.PROVIDER4, ca=w.ca.path))
        self.haproxy = w.spawn("daemon", ["haproxy", "-f", w.folder / "haproxy.cfg", "-db"])
        time.sleep(0.5)
        # way: the generator's cgroup, where it connects, whom it trusts, whose CPU and memory are looked at
        self.ways = {"direct": ("outside", worlds.PROVIDER4, w.ca.path, None),
                     "HAProxy": ("outside", FRONT, w.ca.path, self.haproxy.pid),
                     "purse": ("bot", worlds.PROVIDER4, w.state / "ca/root.pem", w.daemon.pid)}
        self.started, self.busy = time.monotonic(), machine_busy_s()
        self.idle_kb = self.memory()

    def memory(self):
        return {way: rss_kb(pid) for way, (_, _, _, pid) in self.ways.items() if pid}

    def generator(self, way, connections, body, mode, seconds):
        _, address, ca, _ = self.ways[way]
        return [TOOLS / "load", "-a", address, "-C", ca, "-c", connections, "-t", seconds, "-b", body, "-m", mode]

    def load(self, way, connections, body, mode):
        """One run: the generator's figures, and CPU microseconds per request of the proxy, also the kernel's share of it."""
        cgroup, _, _, pid = self.ways[way]
        before = cpu_s(pid or os.getpid())
        r = self.w.in_agent(cgroup, self.generator(way, connections, body, mode, SECONDS), timeout=SECONDS + 30)
        if r.returncode:
            raise AssertionError(f"{way}, {connections} x {mode}: {r.stdout} {r.stderr}")
        figures = json.loads(r.stdout)
        user, kernel = (1e6 * (b - a) / max(figures["calls"], 1) for a, b in zip(before, cpu_s(pid or os.getpid())))
        figures.update(cpu=user + kernel if pid else 0, kernel=kernel if pid else 0)
        return figures

    def compare(self, connections, body, mode):
        rounds = [{way: self.load(way, connections, body, mode) for way in self.ways} for _ in range(ROUNDS)]
        return {way: {k: statistics.median(r[way][k] for r in rounds) for k in rounds[0][way]} for way in self.ways}

    def open_streams(self):
        """way -> (streams open, kB of the proxy per stream)"""
        out = {}
        for way in ("HAProxy", "purse"):
            cgroup, _, _, pid = self.ways[way]
            before = rss_kb(pid)
            p = self.w.spawn(cgroup, self.generator(way, OPEN_STREAMS, 800, "open", 5 + OPEN_STREAMS / 200), stdout=subprocess.PIPE, text=True)
            opened = json.loads(p.stdout.readline())["opened"]
            time.sleep(1.5)
            out[way] = (opened, (rss_kb(pid) - before) / max(opened, 1))
            p.kill()
            p.wait()
        self.w.quiet()
        return out

    def ledger(self):
        """On the file system of the state folder: 1,000 agents, some 300 calls a day each."""
        with tempfile.TemporaryDirectory(dir=self.w.folder) as folder:
            r = worlds.run(TOOLS / "ledger_bench", pathlib.Path(folder) / "ledger.db", LEDGER_ROWS, 1000, LEDGER_ROWS // 333_000 + 1)
            figures = json.loads(r.stdout)
        with tempfile.TemporaryDirectory(dir=self.w.folder) as folder:
            r = worlds.run(TOOLS / "ledger_bench", pathlib.Path(folder) / "ledger.db", LEDGER_ROWS // 4, 1000, LEDGER_ROWS // 333_000 + 1, 2000)
            figures["ahead_per_s"] = json.loads(r.stdout)["per_s"]
        return figures

    def settled_in_daemon(self):
        """Rows in the daemon's own ledger: every answered call of this run must be one."""
        return self.w.account()["calls"]

    def elsewhere(self):
        """Share of the machine's CPU time that went to processes which are not ours: what the figures suffered from."""
        ours = 0
        for folder in (self.w.root, self.w.far):
            fields = dict(line.split() for line in (folder / "cpu.stat").read_text().splitlines())
            ours += int(fields["usage_usec"]) / 1e6
        return max(0, machine_busy_s() - self.busy - ours) / (os.cpu_count() * (time.monotonic() - self.started))

    def close(self):
        self.haproxy.kill()
        self.haproxy.wait()
        self.w.close()


class Gate:
    """ns per run of each hook, from the kernel's own statistics; the median of a few rounds."""
    KNOB = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    ROUNDS, CONNECTS = 7, 3000
    # who: cgroup, address, port
    WHO = {"not an agent": ("outside", worlds.OTHER4, 81), "not an agent, LLM": ("outside", worlds.PROVIDER4, 443),
           "agent, redirected": ("bot", worlds.PROVIDER4, 443), "agent, other port": ("bot", worlds.OTHER4, 81)}

    def __init__(self, w):
        self.w = w
        self.bpftool = shutil.which("bpftool") or "/usr/sbin/bpftool"
        links = {p.name: self.json("link", "show", "pinned", p) for p in (w.pins / "links").iterdir()}
        self.ids = {name: (v[0] if isinstance(v, list) else v)["prog_id"] for name, v in links.items()}

    def json(self, *args):
        return json.loads(worlds.run(self.bpftool, "-j", *args).stdout)

    def runs(self, ids):
        rows = {r["id"]: (r.get("run_time_ns", 0), r.get("run_cnt", 0)) for r in self.json("prog", "show")}
        return {name: rows[i] for name, i in ids.items()}

    def measure(self, ids, cgroup, address, port):
        rounds = []
        for _ in range(self.ROUNDS):
            a = self.runs(ids)
            self.w.in_agent(cgroup, [TOOLS / "connects", address, port, self.CONNECTS])
            b = self.runs(ids)
            rounds.append({n: (b[n][0] - a[n][0]) / (b[n][1] - a[n][1]) for n in ids if b[n][1] - a[n][1] >= self.CONNECTS})
        return {n: statistics.median(r[n] for r in rounds if n in r) for n in rounds[0]}

    def floor(self):
        """What the statistics say of a program that does nothing, in a cgroup of its own beside the gate's."""
        pin, folder = self.w.pins / "empty", self.w.far / "empty"
        folder.mkdir()
        worlds.run(self.bpftool, "prog", "load", TOOLS / "empty.bpf.o", pin, "type", "cgroup/connect4")
        try:
            worlds.run(self.bpftool, "cgroup", "attach", folder, "connect4", "pinned", pin)
            return self.measure({"empty": self.json("prog", "show", "pinned", pin)["id"]}, folder, worlds.OTHER4, 81)["empty"]
        finally:
            worlds.run(self.bpftool, "cgroup", "detach", folder, "connect4", "pinned", pin, check=False)
            pin.unlink()

    def rounds_ns(self):
        """A whole socket, connect, close to a closed port: outside the gate's tree, and inside it as a stranger. Without statistics."""
        where = {"without": self.w.far, "with": "outside"}
        times = [{k: int(self.w.in_agent(cgroup, [TOOLS / "connects", worlds.OTHER4, 81, self.CONNECTS * 3]).stdout) for k, cgroup in where.items()}
                 for _ in range(self.ROUNDS)]
        return {k: statistics.median(t[k] for t in times) for k in where}

    def all(self):
        was = self.KNOB.read_text()
        try:
            self.KNOB.write_text("1")
            return self.floor(), {who: self.measure(self.ids, *where) for who, where in self.WHO.items()}
        finally:
            self.KNOB.write_text(was)


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we made goes on any end
    started = time.monotonic()
    b = Bench()
    try:
        found = {"idle_kb": b.idle_kb, "seconds": SECONDS, "rounds": ROUNDS, "chunks": CHUNKS}
        for title, load in LOADS.items():
            print(f"… {title}: {load[0]} connections, {load[1]} bytes, {load[2]}", file=sys.stderr, flush=True)
            found[title] = b.compare(*load)
        found["loaded_kb"], found["settled"] = b.memory(), b.settled_in_daemon()
        print("… open streams, gate, ledger", file=sys.stderr, flush=True)
        found["streams"] = b.open_streams()
        gate = Gate(b.w)
        found["connect"] = gate.rounds_ns()
        found["floor"], found["gate"] = gate.all()
        found["elsewhere"] = b.elsewhere()
        found["ledger"] = b.ledger()
        b.w.audit()
    finally:
        b.close()
    text = report.text(found, time.monotonic() - started)
    pathlib.Path(os.environ.get("RESULTS", ROOT / "bench" / "RESULTS.md")).write_text(text)
    print(text)


if __name__ == "__main__":
    main()
