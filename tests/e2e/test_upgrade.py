# SPDX-License-Identifier: Apache-2.0
"""One pursed takes over from another while agents call: no client sees an error, every call is charged once, the gate has its programs
all the time; and whichever of the two is killed in the middle, nothing is free and nothing is charged twice."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
import world as worlds
from world import nano

# A build of another version, if there is one; else the same binary stands for N and N+1.
NEXT = pathlib.Path(os.environ.get("PURSE_NEXT_BUILD", worlds.BUILD))

# No retries: whatever goes wrong is told. Ends its calls when the file appears. One line: calls done, errors.
LOAD = """
import http.client, json, os, ssl, sys, threading
stop, streams, errors, done = sys.argv[1], int(sys.argv[2]), [], []
context = ssl.create_default_context()

def call(c, stream, fake):
    body = {"model": "fake-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 60, "stream": stream}
    c.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json", "x-fake": fake})
    r = c.getresponse()
    text = r.read().decode()
    if r.status != 200 or not text.rstrip().endswith("[DONE]" if stream else "}"):
        raise RuntimeError(f"{r.status} {text[-200:]}")
    done.append(stream)

def run(keeps, stream, fake):
    c = None
    while not os.path.exists(stop):
        try:
            c = c if c and keeps else http.client.HTTPSConnection("api.openai.com", context=context, timeout=60)
            call(c, stream, fake)
        except Exception as e:
            errors.append(f"{'stream' if stream else 'short'} {'kept' if keeps else 'new'}: {e!r}")
            c = None

threads = [threading.Thread(target=run, args=a) for a in [(True, False, "out=3"), (False, False, "out=3"), (True, True, "out=8,gap=0.02")]]
threads += [threading.Thread(target=run, args=(False, True, "out=40,gap=0.05")) for _ in range(streams)]
[t.start() for t in threads]
[t.join() for t in threads]
print(json.dumps({"done": len(done), "errors": errors}))
"""


class Load:
    def __init__(self, w, agents, streams=2, inside=()):
        self.file = w.folder / "stop-load"
        self.callers = [w.spawn(a, [*inside, sys.executable, "-c", LOAD, self.file, streams], env=w.agent_env(), stdout=subprocess.PIPE,
                                text=True) for a in agents]

    def end(self):
        self.file.touch()
        told = [json.loads(p.communicate(timeout=60)[0]) for p in self.callers]
        self.file.unlink()
        return sum(t["done"] for t in told), [e for t in told for e in t["errors"]]


def said(w):
    return w.daemon_log.read_text() if w.daemon_log.exists() else ""


def take_over(w, build=None, crash=None, stop=None, wait=True):
    """Another pursed takes over; world.daemon is that one then. Returns the old one."""
    old, at = w.daemon, len(said(w))
    with open(w.daemon_log, "a") as out:
        env = dict(os.environ, **({"PURSE_CRASH": crash} if crash else {}), **({"PURSE_STOP": stop} if stop else {}))
        new = w.spawn("daemon", [(build or w.build) / "pursed", "-c", w.folder / "purse.yaml", "--take-over"], env=env, stdout=out, stderr=out)
    if wait:
        worlds.wait_for("the take-over", lambda: "ready:" in said(w)[at:] or new.poll() is not None, 30)
        assert new.poll() is None, said(w)[at:]
        w.daemon = new
    return old if wait else new


def links(w):
    bpftool = "/usr/sbin/bpftool"
    return {p.name: json.loads(worlds.run(bpftool, "-j", "link", "show", "pinned", p).stdout) for p in (w.pins / "links").iterdir()}


def ids(w):
    return {name: link["id"] for name, link in links(w).items()}


def traffic(w, more=10):
    """Until the provider has billed some further calls: nothing is timed."""
    n = len(w.bills())
    worlds.wait_for("traffic", lambda: len(w.bills()) >= n + more, 60)


def test_three_times_under_load(make_world):
    w = make_world(agents=[{"name": "bot", "day": "100USD"}, {"name": "other", "day": "100USD"}])
    state = w.purse_json("status")["daemon"]
    before, programs = ids(w), {k: v["prog_id"] for k, v in links(w).items()}
    load = Load(w, ["bot", "other"])
    olds = []
    for build in (NEXT, w.build, NEXT):
        traffic(w)
        olds.append(take_over(w, build))
        w.audit()
        assert ids(w) == before
        now = {k: v["prog_id"] for k, v in links(w).items()}
        assert all(now[k] != programs[k] for k in now)
        programs = now
        status = w.purse_json("status")["daemon"]
        assert (status["port4"], status["port6"]) == (state["port4"], state["port6"])
        assert status["pid"] == w.daemon.pid
    traffic(w)
    done, errors = load.end()
    assert errors == []
    # Each ends by itself with its last call, and well.
    assert [p.wait(30) for p in olds] == [0, 0, 0]
    w.assert_exact()
    assert done == len(w.bills())
    assert {c["end"] for c in w.ledger()} == {"done"}
    # And a plain start finds the same.
    assert w.stop() == 0
    w.start().assert_exact()


def test_a_slow_one(make_world):
    """Stopped while it has the money, for longer than a heartbeat is good: calls wait, nobody is refused."""
    w = make_world()
    load = Load(w, ["bot"])
    traffic(w)
    at = len(said(w))
    new = take_over(w, wait=False)
    worlds.wait_for("its start from the ledger", lambda: "calls in flight go on" in said(w)[at:])
    new.send_signal(signal.SIGSTOP)
    time.sleep(3)  # heartbeat_stale is 2 s
    late = w.spawn("bot", ["curl", "-sS", "-w", "%{http_code}", "-o", "/dev/null", "https://api.openai.com/v1/chat/completions", "-H",
                           "content-type: application/json", "-d", '{"model": "fake-mini", "max_tokens": 9, "messages": []}'],
                   env=w.agent_env(), stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    assert late.poll() is None
    new.send_signal(signal.SIGCONT)
    worlds.wait_for("the take-over", lambda: "ready:" in said(w)[at:], 30)
    old, w.daemon = w.daemon, new
    assert late.communicate(timeout=30)[0] == "200"
    traffic(w)
    done, errors = load.end()
    assert errors == []
    assert old.wait(30) == 0
    w.assert_exact()
    assert done + 1 == len(w.bills())


def test_signal_starts_what_stands_there(make_world):
    w = make_world()
    load = Load(w, ["bot"], streams=1)
    traffic(w, 3)
    old, at = w.daemon, len(said(w))
    old.send_signal(signal.SIGUSR2)
    worlds.wait_for("the take-over", lambda: "ready:" in said(w)[at:], 30)
    pid = w.purse_json("status")["daemon"]["pid"]
    try:
        assert pid != old.pid
        traffic(w, 3)
        done, errors = load.end()
        assert errors == []
        assert old.wait(30) == 0
        w.assert_exact()
        assert done == len(w.bills())
    finally:
        os.kill(pid, signal.SIGKILL)
        worlds.wait_for("its end", lambda: not pathlib.Path(f"/proc/{pid}").exists() or
                        "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text())


def test_calls_that_outlive_two_daemons(make_world):
    """The stream's own process hands its money over to one that then hands over itself; it is refused more, and killed, from there."""
    w = make_world(agents=[{"name": "bot", "day": "10USD"}, {"name": "other", "day": "10USD"}])
    body = json.dumps({"model": "fake-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 4000, "stream": True})

    def stream(agent, tokens):
        return w.spawn(agent, ["curl", "-sSN", "https://api.openai.com/v1/chat/completions", "-H", "content-type: application/json",
                               "-H", f"x-fake: out={tokens},gap=0.05", "-d", body], env=w.agent_env(), stdout=subprocess.PIPE, text=True)
    ends, killed = stream("bot", 100), stream("other", 4000)
    worlds.wait_for("both calls", lambda: w.purse_json("status")["daemon"]["in_flight"] == 2)
    first = take_over(w)
    second = take_over(w)
    assert second.wait(30) == 0
    assert first.poll() is None
    assert w.purse_json("status")["daemon"]["in_flight"] == 2
    assert nano(w.account("other")["windows"]["day"]["held"]) > 0
    w.audit()
    w.purse("agent", "kill", "other")
    assert "[DONE]" not in killed.communicate(timeout=30)[0]
    assert ends.communicate(timeout=60)[0].rstrip().endswith("[DONE]")
    assert first.wait(30) == 0
    w.quiet().audit()
    rows = {c["agent"]: c for c in w.ledger()}
    assert len(w.ledger()) == 2
    assert (rows["bot"]["end"], rows["other"]["end"]) == ("done", "killed")
    assert nano(rows["bot"]["cost"]) in [b["bill"] for b in w.bills()]
    assert w.charged() >= w.billed()


@pytest.mark.parametrize("how", [[], ["-Z", "--parallel-max", "8"]], ids=["one by one", "eight at a time"])
def test_http2(make_world, how):
    """Streams of a connection that is shut down behind them: it ends after its last one, and the client opens another."""
    w = make_world()
    n, url = 400, "https://api.openai.com/v1/chat/completions"
    body = {"model": "fake-mini", "messages": [{"role": "user", "content": "hello"}], "max_tokens": 20, "stream": True}
    lines = [f'url = "{url}"\noutput = "/dev/null"' for _ in range(n)]
    (w.folder / "curl.conf").write_text("\n".join(lines) + "\n")
    p = w.spawn("bot", ["curl", "-sS", "--no-progress-meter", "--http2", *how, "-H", "content-type: application/json", "-H", "x-fake: out=5,gap=0.01", "-d",
                        json.dumps(body), "-w", "%{http_code} %{http_version} %{exitcode}\\n", "-K", w.folder / "curl.conf"],
                env=w.agent_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    olds = []
    for _ in range(3):
        traffic(w)
        olds.append(take_over(w))
    out, err = p.communicate(timeout=120)
    assert "curl:" not in err and out.splitlines() == ["200 2 0"] * n, err
    assert [p.wait(30) for p in olds] == [0, 0, 0]
    w.assert_exact()
    assert len(w.bills()) == n


def test_listeners_in_other_namespaces(make_world):
    w = make_world()
    inside, name = ["nsenter", f"--net={worlds.NETNS}/{w.name}-1"], f"{w.name}-1"
    worlds.run("ip", "netns", "add", name)
    try:
        worlds.run("ip", "-n", name, "link", "set", "lo", "up")
        init = w.spawn("bot", [*inside, "sleep", "600"])

        def listening():
            return [(n["inode"], n["port4"], n["port6"]) for n in w.purse_json("status")["namespaces"]]
        there = worlds.wait_for("a listener in there", listening)
        load = Load(w, ["bot"], inside=inside)
        for _ in range(2):
            traffic(w)
            old = take_over(w)
            assert listening() == there
            traffic(w)
            assert listening() == there
        done, errors = load.end()
        assert errors == []
        assert old.wait(30) == 0
        w.assert_exact()
        assert done == len(w.bills())
        # It is watched by the new one: gone with its last process.
        init.kill()
        init.wait()
        worlds.wait_for("its end", lambda: listening() == [])
    finally:
        worlds.run("ip", "netns", "del", name, check=False)


def test_a_limit_holds_over_hand_overs(make_world):
    limit = 21000 * 60
    w = make_world(agents=[{"name": "bot", "total": f"0.{limit:09d}USD"}])
    from test_overspend import CALLER
    p = w.spawn("bot", [sys.executable, "-c", CALLER, "20", "10", "stream"], env=w.agent_env())
    traffic(w, 2)
    for _ in range(3):
        take_over(w)
        w.audit()
    p.wait(120)
    w.quiet().audit()
    assert w.billed() == w.charged() <= limit


def test_a_second_one_by_accident(make_world):
    w = make_world()
    r = w.spawn("daemon", [w.build / "pursed", "-c", w.folder / "purse.yaml"], stderr=subprocess.PIPE, text=True)
    assert f"held by process {w.daemon.pid}" in r.communicate(timeout=30)[1]
    old = take_over(w)
    assert old.wait(30) == 0
    r = w.spawn("daemon", [w.build / "pursed", "-c", w.folder / "purse.yaml"], stderr=subprocess.PIPE, text=True)
    assert f"held by process {w.daemon.pid}" in r.communicate(timeout=30)[1]
    assert w.chat()[0] == 200


def test_a_map_of_a_newer_version_is_left_alone(make_world):
    w = make_world()
    pin = w.pins / "maps" / "of_next_year"
    worlds.run("/usr/sbin/bpftool", "map", "create", pin, "type", "hash", "key", "4", "value", "8", "entries", "4", "name", "of_next_year")
    old = take_over(w)
    assert old.wait(30) == 0
    assert w.chat()[0] == 200
    w.kill9()
    w.start()
    assert w.chat()[0] == 200
    w.assert_exact()
    assert pin.exists()


def test_nobody_to_take_over_from(make_world):
    w = make_world(start=False)
    take_over(w)
    assert w.chat()[0] == 200
    w.assert_exact()
    w.kill9()
    take_over(w)
    assert w.chat()[0] == 200
    w.assert_exact()


@pytest.mark.parametrize("when", ["early", "late"])
def test_one_that_cannot_start_changes_nothing(make_world, when):
    w = make_world()
    before = ids(w)
    load = Load(w, ["bot"])
    traffic(w, 3)
    config = json.loads((w.folder / "purse.yaml").read_text())
    # The first is seen before it asks for anything, the second when it has the money.
    if when == "early":
        config["prices"] = ["/none"]
    else:
        config["upstream_ca"] = "/none"
    (w.folder / "bad.yaml").write_text(json.dumps(config))
    for _ in range(2):
        at = len(said(w))
        with open(w.daemon_log, "a") as out:
            assert w.spawn("daemon", [w.build / "pursed", "-c", w.folder / "bad.yaml", "--take-over"], stdout=out, stderr=out).wait(30) == 1
        assert f"cannot start ({'prices' if when == 'early' else 'endpoints'})" in said(w)[at:]
        traffic(w, 10)
        w.audit()
    assert ids(w) == before
    done, errors = load.end()
    assert errors == [] and w.daemon.poll() is None
    w.assert_exact()
    assert done == len(w.bills())
    old = take_over(w)
    assert old.wait(30) == 0
    assert w.chat()[0] == 200


@pytest.fixture(scope="session")
def crash_build():
    if not (worlds.CRASH_BUILD / "pursed").exists():
        pytest.skip(f"no build with crash points at {worlds.CRASH_BUILD} (make O=build-crash CRASH=1)")
    return worlds.CRASH_BUILD


def check_after_a_crash(w):
    w.quiet().audit()
    assert all(nano(a["windows"]["day"]["held"]) == 0 for a in w.purse_json("status")["accounts"])
    assert w.charged() >= w.billed()
    rows = [c["call_id"] for c in w.ledger()]
    assert len(rows) == len(set(rows))
    total, billed = w.charged(), w.billed()
    assert w.chat()[0] == 200
    w.quiet().audit()
    assert w.charged() - total == w.billed() - billed
    w.kill9()
    w.start().quiet().audit()


@pytest.mark.parametrize("point", ["upgrade-met", "upgrade-taken", "upgrade-before-open"])
def test_the_new_one_is_killed(make_world, crash_build, point):
    """Before it has said that the money is its own: the old one goes on, and its calls with it."""
    w = make_world(build=crash_build, agents=[{"name": "bot", "day": "100USD"}, {"name": "other", "day": "100USD"}])
    before = ids(w)
    load = Load(w, ["bot", "other"])
    for _ in range(2):
        traffic(w, 5)
        assert take_over(w, crash=point, wait=False).wait(30) == -9
        traffic(w, 5)
        w.audit()
        assert ids(w) == before
    assert w.daemon.poll() is None
    _, errors = load.end()
    # Only those that the dead one had accepted itself.
    assert errors == [] or point == "upgrade-before-open"
    assert w.purse_json("status")["daemon"]["gate_ok"] is not False
    if not errors:
        w.assert_exact()
    # And it can be taken over from still.
    old = take_over(w)
    assert old.wait(30) == 0
    check_after_a_crash(w)


def test_the_new_one_is_killed_when_it_owns_the_money(make_world, crash_build):
    w = make_world(build=crash_build, agents=[{"name": "bot", "day": "100USD"}])
    load = Load(w, ["bot"])
    traffic(w, 5)
    assert take_over(w, crash="upgrade-after-open", wait=False).wait(30) == -9
    # What it left behind cannot be charged by anybody who still lives: the old one ends too, and the gate is shut.
    assert w.daemon.wait(30) != 0
    seen = len(w.requests())
    w.chat()
    assert len(w.requests()) == seen
    load.end()
    w.start()
    check_after_a_crash(w)


@pytest.mark.parametrize("point", ["upgrade-welcomed", "upgrade-frozen", "upgrade-given", "upgrade-left"])
def test_the_old_one_is_killed(make_world, crash_build, point):
    w = make_world(build=crash_build, start=False, agents=[{"name": "bot", "day": "100USD"}, {"name": "other", "day": "100USD"}])
    w.start(crash=point)
    load = Load(w, ["bot", "other"])
    traffic(w, 5)
    before = ids(w)
    old = take_over(w)
    assert old.wait(30) == -9
    assert ids(w) == before
    traffic(w, 5)
    load.end()
    check_after_a_crash(w)


def is_stopped(p):
    return "State:\tT" in pathlib.Path(f"/proc/{p.pid}/status").read_text()


def start_slowly(w, ms, stop=None):
    """The old one: it waits so long for its successor's OPEN; stops at the crash point."""
    w.start(env={"PURSE_FROZEN_MAX_MS": str(ms), **({"PURSE_STOP": stop} if stop else {})})


def one_lives(w, load):
    _, _ = load.end()
    assert w.daemon.poll() is None
    old = take_over(w)
    assert old.wait(30) == 0
    check_after_a_crash(w)


@pytest.mark.parametrize("point", ["upgrade-met", "upgrade-taken", "upgrade-before-open"])
def test_the_new_one_is_too_slow(make_world, crash_build, point):
    """Wherever it stands still: it is ended, and the old one goes on."""
    w = make_world(build=crash_build, start=False, agents=[{"name": "bot", "day": "100USD"}])
    start_slowly(w, 1500)
    load = Load(w, ["bot"])
    traffic(w, 5)
    assert take_over(w, stop=point, wait=False).wait(30) == -9
    traffic(w, 5)
    one_lives(w, load)


def test_open_crosses_the_decision_to_end_it(make_world, crash_build):
    """The old one has decided to end it and has not done so yet; then comes OPEN. It counts for nothing, and the old one goes on when the other is gone."""
    w = make_world(build=crash_build, start=False, agents=[{"name": "bot", "day": "100USD"}])
    start_slowly(w, 1500, stop="upgrade-doomed")
    load = Load(w, ["bot"])
    traffic(w, 5)
    at = len(said(w))
    new = take_over(w, stop="upgrade-before-open", wait=False)
    worlds.wait_for("the new one before its OPEN", lambda: is_stopped(new))
    worlds.wait_for("the old one behind its decision", lambda: is_stopped(w.daemon))
    new.send_signal(signal.SIGCONT)
    worlds.wait_for("its OPEN", lambda: "ready:" in said(w)[at:])
    w.daemon.send_signal(signal.SIGCONT)
    assert new.wait(30) == -9
    traffic(w, 5)
    one_lives(w, load)


def test_open_waits_unread_when_the_deadline_is_over(make_world, crash_build):
    """The old one slept through its own deadline: OPEN was there before it woke, so it leaves, and ends nobody."""
    w = make_world(build=crash_build, start=False, agents=[{"name": "bot", "day": "100USD"}])
    start_slowly(w, 1500, stop="upgrade-given")
    load = Load(w, ["bot"])
    traffic(w, 5)
    old = take_over(w)
    assert is_stopped(old)
    # Nobody takes over from the new one before the old one has let go of it.
    late = take_over(w, wait=False)
    assert late.wait(30) == 1 and f"process {old.pid}, which handed over to this one, has not let go yet" in said(w)
    time.sleep(1.6)
    old.send_signal(signal.SIGCONT)
    assert old.wait(30) == 0
    traffic(w, 5)
    one_lives(w, load)


def test_the_next_one_at_once(make_world):
    """Each takes over as soon as the one before it is there, while all of them still have a call."""
    w = make_world(agents=[{"name": "bot", "day": "100USD"}])
    load = Load(w, ["bot"], streams=3)
    traffic(w)
    olds = []
    for _ in range(4):
        olds.append(take_over(w))
        w.audit()
    assert w.daemon.poll() is None
    traffic(w)
    done, errors = load.end()
    assert errors == []
    assert [p.wait(30) for p in olds] == [0] * 4
    w.assert_exact()
    assert done == len(w.bills())
