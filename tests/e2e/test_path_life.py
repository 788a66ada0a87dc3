# SPDX-License-Identifier: Apache-2.0
"""Connections that outlive what they were opened under, agents that read slowly or not at all, and the end of the daemon."""
import json
import os
import resource
import signal
import subprocess
import sys
import time

import pytest
import world as worlds

KEPT = """
import http.client, json, ssl, sys
c = http.client.HTTPSConnection("api.openai.com", context=ssl.create_default_context(), timeout=20)
body = json.dumps({"model": "fake-mini", "max_tokens": 10, "messages": []})
for line in sys.stdin:
    kind = line.strip()
    c.request("GET" if kind == "free" else "POST", "/v1/models" if kind == "free" else "/v1/chat/completions", None if kind == "free" else body)
    r = c.getresponse()
    r.read()
    print(r.status, flush=True)
"""


class Kept:
    """One connection that stays open between requests."""

    def __init__(self, w, agent):
        self.p = w.spawn(agent, [sys.executable, "-c", KEPT], env=w.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, kind="call"):
        self.p.stdin.write(kind + "\n")
        self.p.stdin.flush()
        return int(self.p.stdout.readline() or 0)

    def close(self):
        self.p.stdin.close()
        self.p.wait(10)


def test_a_kept_connection_of_a_removed_agent_is_not_served(world):
    world.purse("agent", "add", "new", "--day", "5USD", "--cgroup", f"/{world.name}/new")
    (world.root / "new").mkdir(exist_ok=True)
    kept, other = Kept(world, "new"), Kept(world, "new")
    assert kept.ask() == 200 and other.ask("free") == 200
    seen = len(world.requests())
    world.quiet()
    world.purse("agent", "rm", "new")
    # Its row in the table of accounts is somebody else's by now.
    world.purse("agent", "add", "heir", "--day", "5USD", "--cgroup", f"/{world.name}/heir")
    assert kept.ask() == 400 and other.ask("free") == 400
    kept.close()
    other.close()
    assert len(world.requests()) == seen and [c["agent"] for c in world.ledger()] == ["new"]


def test_a_kept_connection_is_charged_where_its_agent_is_now(world):
    add = ("--day", "5USD", "--cgroup", f"/{world.name}/new")
    world.purse("agent", "add", "before", *add)
    kept = Kept(world, "new")
    assert kept.ask() == 200
    world.quiet().purse("agent", "rm", "before")
    world.purse("agent", "add", "filler", "--day", "5USD", "--cgroup", f"/{world.name}/filler")
    world.purse("agent", "add", "after", *add)
    assert kept.ask() == 200
    kept.close()
    world.assert_exact()
    assert sorted(c["agent"] for c in world.ledger()) == ["after", "before"]


def test_a_kept_connection_of_a_paused_agent(world):
    kept = Kept(world, "bot")
    assert kept.ask() == 200
    world.purse("agent", "pause", "bot")
    assert kept.ask() == 402
    world.purse("agent", "resume", "bot")
    assert kept.ask() == 200
    kept.close()
    world.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_large_answer_to_a_slow_reader(world, http, stream):
    """The provider is held back, then let go on; nothing is lost, and nothing piles up."""
    out = 6000 if stream else 500000
    status, text, r = world.chat(stream=stream, max_tokens=600000, fake=f"out={out}", args=[http, "--limit-rate", "1M"])
    assert status == 200, r.stderr
    assert text.count("tok ") == out
    world.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_a_large_answer_to_a_fast_reader(world, http):
    for _ in range(5):
        status, text, r = world.chat(max_tokens=2000000, fake="out=1500000", args=[http])
        assert status == 200 and text.count("tok ") == 1500000, r.stderr
    world.assert_exact()


@pytest.mark.parametrize("args", [["--http1.1"], ["--http2"], ["--http1.1", "-H", "Connection: close"], ["--http1.0", "--no-alpn"]])
def test_the_end_of_an_answer_is_read_out(world, args):
    """The call is settled long before its slow reader has it all; neither the drain nor the goodbye cut it."""
    stop = args == ["--http1.1"] or args == ["--http2"]
    argv = ["curl", "-sS", *args, "--limit-rate", "100k", "-H", "x-fake: out=80000", "-H", "content-type: application/json", "-d",
            json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 90000}), "https://api.openai.com/v1/chat/completions"]
    p = world.spawn("bot", argv, env=world.agent_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    worlds.wait_for("the call to be billed", lambda: world.bills())
    world.quiet()
    if stop:
        world.daemon.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 0 and out.count("tok ") == 80000, err
    if stop:
        assert world.daemon.wait(20) == 0


FLOOD = """
import socket, ssl, sys, time
ctx = ssl.create_default_context()
c = ctx.wrap_socket(socket.create_connection(("api.openai.com", 443), timeout=10), server_hostname="api.openai.com")
how = sys.argv[1]
end = time.monotonic() + 4
try:
    if how == "after-refusal":
        c.sendall(b"POST /v1/nothing HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Length: 9000000000\\r\\n\\r\\n")
        data = b"x" * 1000000
    else:
        data = b"POST /v1/embeddings HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Length: 0\\r\\n\\r\\n" * 20000
    while time.monotonic() < end:
        c.settimeout(1)
        c.sendall(data)
except OSError: pass
time.sleep(max(0, end - time.monotonic()))
"""


def memory_kb(w):
    for line in open(f"/proc/{w.daemon.pid}/status"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])


@pytest.mark.parametrize("how", ["after-refusal", "unread-answers"])
def test_a_flood_holds_nobody_up(world, how):
    ps = [world.spawn("bot", [sys.executable, "-c", FLOOD, how], env=world.agent_env()) for _ in range(4)]
    for _ in range(6):
        began = time.monotonic()
        assert world.chat()[0] == 200
        assert time.monotonic() - began < 3
        time.sleep(0.3)
    assert memory_kb(world) < 500000  # of the gigabytes that came
    for p in ps:
        p.wait(20)
    world.assert_exact()


def test_out_of_descriptors(world):
    """New connections wait; the open ones go on; the daemon neither turns in circles nor fills the log."""
    kept = Kept(world, "bot")
    assert kept.ask() == 200
    pid = world.daemon.pid
    used = max(int(n) for n in os.listdir(f"/proc/{pid}/fd")) + 1
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used, hard))
    more = [Kept(world, "bot") for _ in range(8)]
    for k in more:
        k.p.stdin.write("call\n")
        k.p.stdin.flush()
    time.sleep(0.5)
    size = world.daemon_log.stat().st_size
    ticks = sum(int(v) for v in open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11:13])
    time.sleep(1)
    ticks = sum(int(v) for v in open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[11:13]) - ticks
    assert ticks < 30 and world.daemon_log.stat().st_size - size < 10000
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
    assert [int(k.p.stdout.readline() or 0) for k in more] == [200] * 8
    for k in [kept, *more]:
        k.close()
    world.assert_exact()


def test_a_stop_settles_what_runs(world):
    """Streams that outlast the drain are settled at the estimate; nothing is held afterwards."""
    ps = [world.spawn("bot", ["curl", "-sSN", v, "-H", "x-fake: out=1000,gap=0.1", "-H", "content-type: application/json", "-d",
                              json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 1000, "stream": True}),
                              "https://api.openai.com/v1/chat/completions"], env=world.agent_env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
          for v in ("--http1.1", "--http2")]
    worlds.wait_for("both to run", lambda: len(world.requests()) == 2)
    time.sleep(0.5)
    assert world.stop(60) == 0
    for p in ps:
        assert p.wait(10) != 0
    world.start().quiet().audit()
    calls = world.ledger()
    assert [c["end"] for c in calls] == ["daemon-stop"] * 2 and all(c["estimated"] for c in calls)
    assert world.charged() >= sum(worlds.nano(c["cost"]) for c in calls) > 0
