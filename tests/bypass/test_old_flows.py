# SPDX-License-Identifier: Apache-2.0
"""Connections past the egress: from before the enrolment, from a time when nobody served, to an address that became an endpoint later, passed in
from outside. Each is ended, told by agent, and the daemon goes on while it looks for them."""
import contextlib
import ctypes
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading

import pytest
import world as worlds

MANY = min(20000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 200)
PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000

# Connects, says so, waits for what comes, says what came. argv: address, port, how many descriptors besides, a cgroup to go to.
PATIENT = """
import errno, os, socket, sys
address, port, many, cgroup = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
s = socket.create_connection((address, port)); s.settimeout(20)
for i in range(many): os.dup(0)
for folder in cgroup: open(folder + "/cgroup.procs", "w").write(str(os.getpid()))
print("connected", flush=True)
try: print("got", len(s.recv(1)), flush=True)
except OSError as e: print(errno.errorcode.get(e.errno, e), flush=True)
"""
# Accepts and keeps still.
HOLDER = """
import socket, sys
l = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listens", flush=True)
kept = []
while True: kept.append(l.accept()[0])
"""


def patient(w, cgroup, address=worlds.PROVIDER4, port=443, many=0, goes_to=None):
    more = ["prlimit", f"--nofile={many + 100}"] if many else []
    p = w.spawn(cgroup, [*more, sys.executable, "-c", PATIENT, address, port, many, *([goes_to] if goes_to else [])],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline().strip() == "connected"
    return p


def outcome(p):
    line = p.stdout.readline().strip()
    p.wait(10)
    return line


def old_flows(w):
    lines = w.purse("events", "--json").stdout.splitlines()
    return [(e["agent"], e["count"]) for e in map(json.loads, lines) if e["reason"] == "old-flow"]


def add(w, name):
    return w.purse("agent", "add", name, "--cgroup", f"/{w.name}/{name}", "--day", "1")


def gate(w):
    return json.loads(worlds.run("curl", "-sS", "--unix-socket", w.folder / "run/control.sock", "http://x/v1/gate").stdout)


@contextlib.contextmanager
def held_up(w):
    """The thread that looks for old connections stands still; the daemon's others go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes, libc.ptrace.restype = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p], ctypes.c_long
    tasks = pathlib.Path(f"/proc/{w.daemon.pid}/task")
    tid, = [int(t.name) for t in tasks.iterdir() if (t / "comm").read_text().strip() == "old-flows"]

    def ptrace(request):
        if libc.ptrace(request, tid, None, None) < 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    try:
        ptrace(PTRACE_SEIZE)
    except OSError as e:
        pytest.skip(f"cannot hold up a thread here: {e}")
    ptrace(PTRACE_INTERRUPT)
    os.waitpid(tid, WALL)
    try:
        yield
    finally:
        ptrace(PTRACE_DETACH)


def beats(w, n):
    """As soon as the heart has beaten n times more; each look sees another age than one that only grows."""
    seen, last = 0, None
    for _ in range(100000):
        age = gate(w)["heartbeat_age_ms"]
        seen += last is not None and age < last
        last = age
        if seen >= n:
            return True
    return False


def test_the_heart_beats_while_thousands_of_descriptors_are_looked_through(make_world):
    w = make_world()
    late, other = patient(w, "late", many=MANY), patient(w, "other")
    done = []

    def adds(name):
        done.append(add(w, name).returncode)
    with held_up(w):
        threads = [threading.Thread(target=adds, args=(name,)) for name in ("late", "other")]
        for t in threads:
            t.start()
        # Enrolled at once, both; answered not before their old connections are gone; and the daemon serves.
        worlds.wait_for("both to be enrolled", lambda: {"late", "other"} <= {a["name"] for a in w.purse_json("status")["agents"]})
        assert w.chat("late")[0] == 200 and w.chat("other")[0] == 200
        assert beats(w, 12)  # three seconds: stale after two
        assert w.purse_json("status")["daemon"]["healthy"] and not done
    for t in threads:
        t.join(30)
    assert done == [0, 0]
    assert outcome(late) == outcome(other) == "ECONNABORTED"
    assert sorted(old_flows(w)) == [("late", 1), ("other", 1)]
    w.assert_exact()


def test_an_agent_that_is_removed_meanwhile_keeps_its_own(make_world):
    w = make_world()
    p = patient(w, "late")
    with held_up(w):
        t = threading.Thread(target=add, args=(w, "late"))
        t.start()
        worlds.wait_for("it to be enrolled", lambda: any(a["name"] == "late" for a in w.purse_json("status")["agents"]))
        w.purse("agent", "rm", "late")
    t.join(30)
    assert old_flows(w) == []
    p.kill()
    assert outcome(p) == ""


@pytest.mark.parametrize("way", ["killed", "hung"])
def test_what_was_open_while_nobody_served_ends(make_world, way):
    w = make_world(agents=[{"name": "bot", "day": "1USD"}, {"name": "lax", "day": "1USD", "on_failure": "open"}])
    assert beats(w, 12)  # the rounds of a start are over
    if way == "killed":
        w.kill9()
    else:
        w.daemon.send_signal(signal.SIGSTOP)

    def try_it():
        with contextlib.suppress(AssertionError):
            return patient(w, "lax", worlds.OTHER4)
    # Not an LLM's address: the gate lets it through once the heartbeat is stale.
    before = len(w.records())
    p = worlds.wait_for("the gate to open", lambda: [p for p in [try_it()] if p and len(w.records()) > before])[0]
    assert w.chat("lax")[0] == 0
    if way == "killed":
        w.start()
    else:
        w.daemon.send_signal(signal.SIGCONT)
    assert outcome(p) == "ECONNABORTED"
    worlds.wait_for("it to be told", lambda: [agent for agent, _ in old_flows(w)] == ["lax"])
    assert w.chat("lax")[0] == 200
    w.assert_exact()


def test_an_address_that_is_listed_later(make_world):
    """On a port that nobody captures; then the host has that address."""
    w = make_world()
    holder = w.spawn(w.far, [sys.executable, "-c", HOLDER, worlds.OTHER4, 8443], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline().strip() == "listens"
    p, q = patient(w, "bot", worlds.OTHER4, 8443), patient(w, "outside", worlds.OTHER4, 8443)
    hosts = w.folder / "hosts"
    hosts.write_text(hosts.read_text() + f"{worlds.OTHER4} api.openai.com\n")  # in place: it is mounted over the daemon's
    assert outcome(p) == "ECONNABORTED"
    worlds.wait_for("it to be told", lambda: ("bot", 1) in old_flows(w))
    assert q.poll() is None  # somebody else's
    for r in (q, holder):
        r.kill()
        r.wait()


@pytest.mark.parametrize("verb", ["pause", "kill"])
def test_what_was_passed_in_ends_with_a_halt_and_calls_with_an_answer(make_world, verb):
    w = make_world()
    assert beats(w, 12)
    # Made outside, then moved in: neither connect nor the egress hook sees whose it is.
    p = patient(w, "outside", goes_to=str(w.root / "bot"))
    out = open(w.folder / "answer", "w")
    body = json.dumps({"model": "fake-large", "stream": True, "max_tokens": 60000, "messages": [{"role": "user", "content": "hello"}]})
    call = w.spawn("bot", ["curl", "-sS", "-H", "content-type: application/json", "-H", "x-fake: in=100,out=50000,tok=4,pace=400,notice=0.3",
                           "-d", body, "https://api.openai.com/v1/chat/completions"], env=w.agent_env(), stdout=out)
    answer = w.folder / "answer"
    worlds.wait_for("text to come", lambda: "tok" in answer.read_text())
    w.purse("agent", verb, "bot")
    assert outcome(p) == "ECONNABORTED"
    assert old_flows(w) == [("bot", 1)]
    if verb == "pause":
        # A pause cuts nothing that is in flight.
        size = len(answer.read_text())
        worlds.wait_for("more text", lambda: len(answer.read_text()) > size)
        w.purse("agent", "kill", "bot")
    assert call.wait(10) == 0
    last = json.loads([line for line in answer.read_text().splitlines() if line.startswith("data: {")][-1][6:])
    assert last["error"]["purse"]["reason"] == "stopped", last
    w.quiet().audit()


def ident(w, agent):
    return next(a["cgroup_id"] for a in w.purse_json("status")["agents"] if a["name"] == agent)


def watched(w):
    """The folders that the kernel tells the daemon of, by inode."""
    seen = set()
    for info in pathlib.Path(f"/proc/{w.daemon.pid}/fdinfo").iterdir():
        with contextlib.suppress(FileNotFoundError):
            lines = [line.split() for line in info.read_text().splitlines() if line.startswith("inotify ")]
            seen |= {int(word[4:], 16) for line in lines for word in line if word.startswith("ino:")}
    return seen


@pytest.mark.parametrize("gone", ["its own folder", "the one above it, too"])
def test_a_cgroup_that_is_made_anew_is_an_agent_again(make_world, gone):
    w = make_world(start=False, agents=[{"name": "bot", "day": "1USD"}])
    w.agents[0]["cgroup"] = f"/{w.name}/above/bot"
    w.write_config()
    w.start()
    above, folder = w.root / "above", w.root / "above/bot"
    worlds.wait_for("the watch", lambda: above.stat().st_ino in watched(w))
    for _ in range(3):
        was = ident(w, "bot")
        worlds.empty_cgroup(folder if gone == "its own folder" else above)
        folder.mkdir(parents=True)
        now = worlds.wait_for("it to be enrolled again", lambda: ident(w, "bot") not in (0, was) and ident(w, "bot"), 5)
        assert now == folder.stat().st_ino
        worlds.wait_for("the watch", lambda: above.stat().st_ino in watched(w))
        assert w.chat("above/bot")[0] == 200
    assert w.daemon_log.read_text().count("was made anew, enrolled again") == 3
    w.assert_exact()


def test_what_a_cgroup_opened_before_it_was_heard_of_ends(world):
    """The moment in which the new cgroup is nobody's, made as long as one likes."""
    world.daemon.send_signal(signal.SIGSTOP)
    worlds.empty_cgroup(world.root / "bot")
    before = len(world.records())
    p = patient(world, "bot")
    worlds.wait_for("the provider to have it", lambda: len(world.records()) > before)
    world.daemon.send_signal(signal.SIGCONT)
    assert outcome(p) == "ECONNABORTED"
    assert world.chat("bot")[0] == 200


def test_doctor_says_whether_it_can(world):
    checks = json.loads(world.purse("doctor", "--json", check=False).stdout)["checks"]
    check, = [c for c in checks if c["name"] == "open sockets"]
    assert check["state"] == "ok" and "SOCK_DESTROY" in check["text"]
