# SPDX-License-Identifier: Apache-2.0
"""A world of its own for a test: network namespace without a way out, scratch cgroup, own bpffs pins, own folders, a fake provider,
and pursed. Names carry our pid, so that two runs do not meet and leftovers of dead runs are swept.

    agent's process: in_agent("bot", ["curl", …])     runs in the agent's cgroup, in the namespace, with a private /etc/hosts
    the daemon:      start() stop() kill9()           the CLI: purse("status"), ledger(), audit()
    the provider:    billed(), requests()             what the fake says it billed and saw
"""
import atexit
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import fake_prices

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = pathlib.Path(os.environ.get("PURSE_BUILD", ROOT / "build"))
CRASH_BUILD = pathlib.Path(os.environ.get("PURSE_CRASH_BUILD", ROOT / "build-crash"))
PROVIDER4, PROVIDER6, OTHER4 = "198.51.100.10", "2001:db8::10", "198.51.100.99"
NAMES = ("api.openai.com", "api.anthropic.com")
NETNS = pathlib.Path("/run/netns")
BPFFS = pathlib.Path("/sys/fs/bpf")
# How many times slower than usual this machine may be (tests/kernels: an emulated one): every deadline of a test is so many times longer.
PATIENCE = int(os.environ.get("PURSE_PATIENCE", 1))


def cgroup2_mount():
    for line in open("/proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        if right.split()[0] == "cgroup2" and left.split()[3] == "/":
            return pathlib.Path(left.split()[4])
    raise RuntimeError("no cgroup2 mount")


CGROUPS = cgroup2_mount()


def run(*argv, check=True, **kw):
    return subprocess.run([str(a) for a in argv], check=check, capture_output=True, text=True, **kw)


def wait_for(what, condition, seconds=15):
    end = time.monotonic() + seconds * PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds * PATIENCE} s for {what}")


def empty_cgroup(folder):
    """Kills what is inside, removes the folder and those below it."""
    for sub in sorted(folder.glob("**/"), key=lambda p: -len(p.parts)) + [folder]:
        procs = sub / "cgroup.procs"
        if not procs.exists():
            continue
        for _ in range(100):
            pids = procs.read_text().split()
            if not pids:
                break
            for pid in pids:
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)
        try:
            sub.rmdir()
        except OSError:
            pass


def sweep():
    """What dead runs left behind: their pid is in the name."""
    def is_dead(name):
        m = re.match(r"purse-test-(\d+)-", name)
        return m and not pathlib.Path(f"/proc/{m[1]}").exists()
    for folder in CGROUPS.iterdir():
        if folder.is_dir() and is_dead(folder.name):
            empty_cgroup(folder)
    for folder in BPFFS.iterdir() if BPFFS.is_dir() else []:
        if is_dead(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    for name in [p.name for p in NETNS.iterdir()] if NETNS.is_dir() else []:
        if is_dead(name):
            run("ip", "netns", "del", name, check=False)
    for folder in pathlib.Path(tempfile.gettempdir()).iterdir():
        if is_dead(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


class World:
    count = 0

    def __init__(self, agents=None, accounts=None, build=None, config=None, names=NAMES, cert=None, state_dir=None, authority=None, provider=None):
        World.count += 1
        self.name = f"purse-test-{os.getpid()}-{World.count}"
        self.build = pathlib.Path(build or BUILD)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=self.name + "-"))
        self.state = pathlib.Path(state_dir or self.folder / "state")
        self.pins = BPFFS / self.name
        self.root = CGROUPS / self.name
        self.far = CGROUPS / (self.name + "-far")  # the provider is on another machine: the gate does not see its packets
        self.log = self.folder / "fake.log"
        self.daemon_log = self.folder / "pursed.log"
        self.daemon = self.fake = None
        self.seen_bills = 0
        self.extra = dict(config or {})
        self.agents = agents if agents is not None else [{"name": "bot", "day": "10USD"}]
        self.accounts = accounts or []
        atexit.register(self.close)
        self._make_namespace(names)
        self._make_provider(names, cert, authority, provider)
        self.write_config()

    # ---- making
    def _make_namespace(self, names):
        run("ip", "netns", "add", self.name)
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        for a in (PROVIDER4, OTHER4):
            run("ip", "-n", self.name, "addr", "add", a + "/32", "dev", "lo")
        run("ip", "-n", self.name, "addr", "add", PROVIDER6 + "/128", "dev", "lo", "nodad")
        hosts = ["127.0.0.1 localhost", "::1 localhost", f"{OTHER4} other.test"]
        for n in names:
            hosts += [f"{PROVIDER4} {n}", f"{PROVIDER6} {n}"]
        (self.folder / "hosts").write_text("\n".join(hosts) + "\n")
        for sub in ("outside", "daemon"):
            (self.root / sub).mkdir(parents=True)

    def _make_provider(self, names, cert, authority, provider):
        if not authority:
            from certs import Authority as authority
        self.ca = authority(self.folder / "certs")
        chain, key = cert(self.ca) if cert else self.ca.leaf("provider", [*names, "other.test"])
        if provider:
            self.fake = self.spawn(self.far, provider(chain, key))
            listening = ["nsenter", f"--net={NETNS / self.name}", "ss", "-ltnH", "sport = :443"]
            wait_for("the provider to listen", lambda: run(*listening).stdout)
            return
        self.fake = self.spawn(self.far, [sys.executable, HERE / "fake_provider.py", chain, key, self.log, PROVIDER4, PROVIDER6, OTHER4],
                               stdout=subprocess.DEVNULL, stderr=open(self.folder / "fake.err", "w"))
        wait_for("the fake provider", lambda: any("ready" in r for r in self.records()))

    def write_config(self):
        (self.folder / "prices.yaml").write_text(fake_prices.price_file())
        config = {"state_dir": str(self.state), "run_dir": str(self.folder / "run"), "bpffs": str(self.pins),
                  "cgroup_root": str(self.root), "upstream_ca": str(self.ca.path), "prices": [str(self.folder / "prices.yaml")],
                  "heartbeat_stale": f"{2 * PATIENCE}s"}
        config.update(self.extra)
        config["accounts"] = self.accounts
        config["agents"] = [dict({"cgroup": f"/{self.name}/{a['name']}"}, **a) for a in self.agents]
        # JSON is YAML.
        (self.folder / "purse.yaml").write_text(json.dumps(config, indent=1))

    # ---- processes
    def spawn(self, cgroup, argv, env=None, **kw):
        """cgroup: name below our root (or a whole path). The child enters it, then namespace and private /etc/hosts (and resolv.conf,
        if our folder has one), then execs."""
        folder = self.root / cgroup
        folder.mkdir(parents=True, exist_ok=True)
        script = ('echo $$ > "$1/cgroup.procs" && shift && exec nsenter --net="$1" unshare -m sh -c '
                  '\'mount --bind "$1" /etc/hosts && d="${1%/*}/resolv.conf" && { [ ! -e "$d" ] || mount --bind "$d" /etc/resolv.conf; } && '
                  'shift && exec "$@"\' sh "$2" "${@:3}"')
        return subprocess.Popen(["bash", "-c", script, "bash", str(folder), str(NETNS / self.name), str(self.folder / "hosts"),
                                 *[str(a) for a in argv]], env=env, **kw)

    def agent_env(self, **more):
        bundle, root = str(self.state / "ca/bundle.pem"), str(self.state / "ca/root.pem")
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
        env.update(SSL_CERT_FILE=bundle, REQUESTS_CA_BUNDLE=bundle, CURL_CA_BUNDLE=bundle, NODE_EXTRA_CA_CERTS=root,
                   OPENAI_API_KEY="sk-canary-openai", ANTHROPIC_API_KEY="sk-canary-anthropic", **more)
        env.pop("SSL_CERT_DIR", None)
        return env

    def in_agent(self, agent, argv, timeout=60, env=None, input=None):
        """Runs to its end in the agent's cgroup; CompletedProcess with text."""
        p = self.spawn(agent, argv, env=env or self.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, text=True)
        try:
            out, err = p.communicate(input, timeout=timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            p.kill()
            raise
        return subprocess.CompletedProcess(argv, p.returncode, out, err)

    def python(self, agent, code, timeout=60, **env):
        return self.in_agent(agent, [sys.executable, "-c", code], timeout=timeout, env=self.agent_env(**env))

    def curl(self, agent, url, *args, body=None, fake=None, timeout=30):
        argv = ["curl", "-sS", "--max-time", str(timeout * PATIENCE), *args]
        if body is not None:
            argv += ["-H", "content-type: application/json", "-d", body if isinstance(body, str) else json.dumps(body)]
        if fake:
            argv += ["-H", "x-fake: " + fake]
        return self.in_agent(agent, [*argv, url], timeout=timeout + 10)

    def chat(self, agent="bot", model="fake-mini", fake=None, stream=False, max_tokens=20, args=(), **more):
        body = dict({"model": model, "messages": [{"role": "user", "content": "hello"}], "max_tokens": max_tokens}, **more)
        if stream:
            body["stream"] = True
        r = self.curl(agent, "https://api.openai.com/v1/chat/completions", "-w", "\n%{http_code}", *args, body=body, fake=fake)
        text, _, status = r.stdout.rpartition("\n")
        return int(status or 0), text, r

    # ---- the daemon
    def start(self, crash=None, expect_ready=True, env=None, wrap=()):
        """env: more variables; wrap: a command in front of the daemon's (setpriv …)."""
        env = dict(os.environ, **(env or {}), **({"PURSE_CRASH": crash} if crash else {}))
        with open(self.daemon_log, "a") as out:
            at = out.tell()
            self.daemon = self.spawn("daemon", [*wrap, self.build / "pursed", "-c", self.folder / "purse.yaml"], env=env, stdout=out, stderr=out)
        if expect_ready:
            wait_for("pursed to be ready", lambda: "ready:" in self.daemon_log.read_text()[at:] or self._died())
        return self

    def _died(self):
        if self.daemon.poll() is not None:
            raise AssertionError(f"pursed ended with {self.daemon.returncode}:\n{self.daemon_log.read_text()[-3000:]}")

    def stop(self, seconds=15):
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(seconds * PATIENCE)

    def kill9(self):
        self.daemon.kill()
        self.daemon.wait(10)

    def purse(self, *args, check=True, timeout=60):
        return run(self.build / "purse", "-c", self.folder / "purse.yaml", *args, check=check, timeout=timeout * PATIENCE)

    def purse_json(self, *args):
        return json.loads(self.purse(*args, "--json").stdout)

    def account(self, name="bot"):
        return next(a for a in self.purse_json("status")["accounts"] if a["name"] == name)

    def ledger(self, **filters):
        flags = [f for k, v in filters.items() for f in (f"--{k}", str(v))]
        return self.purse_json("ledger", "--limit", "100000", *flags)["calls"]

    def refusals(self):
        return self.purse_json("ledger", "--refusals")["refusals"]

    def audit(self):
        r = self.purse("audit", check=False)
        assert r.returncode == 0, r.stdout + r.stderr
        return r.stdout

    def quiet(self):
        """Until no call is in flight and every row is durable."""
        wait_for("quiet", lambda: self.purse_json("status")["daemon"]["in_flight"] == 0, 30)
        return self

    # ---- the provider
    def records(self):
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    def bills(self):
        return [r for r in self.records() if "bill" in r]

    def billed(self):
        return sum(r["bill"] for r in self.bills())

    def requests(self):
        return [r for r in self.records() if "request" in r]

    def charged(self):
        return sum(nano(c["cost"]) for c in self.ledger())

    def assert_exact(self):
        """Provider truth: every call billed is in the ledger, to the nano-dollar; map = ledger."""
        self.quiet()
        assert len(self.ledger()) == len(self.bills())
        assert self.charged() == self.billed()
        self.audit()

    # ---- the end
    def close(self):
        atexit.unregister(self.close)
        for p in (self.daemon, self.fake):
            if p and p.poll() is None:
                p.kill()
                p.wait()
        empty_cgroup(self.root)
        empty_cgroup(self.far)
        shutil.rmtree(self.pins, ignore_errors=True)
        run("ip", "netns", "del", self.name, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def nano(usd):
    """"0.000123" -> nano-dollars, exactly."""
    whole, _, fraction = usd.lstrip("-").partition(".")
    value = int(whole) * 10**9 + int((fraction + "0" * 9)[:9])
    return -value if usd.startswith("-") else value
