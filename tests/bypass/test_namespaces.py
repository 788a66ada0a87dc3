# SPDX-License-Identifier: Apache-2.0
"""Agents in network namespaces of their own (containers, `ip netns`, unshare -n): purse listens inside of them and dials from its own. A
namespace here has a loopback device and nothing else: whatever reaches the provider went through purse."""
import json
import os
import re
import subprocess
import sys
import time

import pytest
import world as worlds

CHAT = "https://api.openai.com/v1/chat/completions"
NAMES = ["--resolve", f"api.openai.com:443:{worlds.PROVIDER4}"]
NAMES6 = ["--resolve", f"api.openai.com:443:[{worlds.PROVIDER6}]"]
BODY = json.dumps({"model": "fake-mini", "max_tokens": 20, "messages": [{"role": "user", "content": "hello"}]})


class Place:
    """A namespace of ours, with a process of the agent in it that holds still."""
    count = 0

    def __init__(self, w, agent="bot", init=True, v6=True):
        Place.count += 1
        self.w, self.agent = w, agent
        self.name = f"{w.name}-{Place.count}"
        worlds.run("ip", "netns", "add", self.name)
        if not v6:
            self.outside("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.lo.disable_ipv6=1")
        worlds.run("ip", "-n", self.name, "link", "set", "lo", "up")
        self.init = self.spawn(["sleep", "600"]) if init else None

    def inside(self, argv):
        return ["nsenter", f"--net={worlds.NETNS / self.name}", *argv]

    def outside(self, *argv, **kw):
        """A process that is no agent, in there."""
        return self.w.in_agent("outside", self.inside([str(a) for a in argv]), **kw)

    def spawn(self, argv, **kw):
        kw.setdefault("stdout", subprocess.DEVNULL)
        return self.w.spawn(self.agent, self.inside(argv), env=self.w.agent_env(), **kw)

    def run(self, *argv, **kw):
        return self.w.in_agent(self.agent, self.inside([str(a) for a in argv]), **kw)

    def call(self, *args, names=NAMES, body=BODY):
        r = self.run("curl", "-sS", "-m", str(10 * worlds.PATIENCE), *names, *args, "-H", "content-type: application/json", "-w", "\n%{http_code}", "-d", body, CHAT)
        return int(r.stdout.rpartition("\n")[2] or 0), r

    def inode(self):
        return os.stat(worlds.NETNS / self.name).st_ino

    def listening(self):
        """What status says of it; None = nothing."""
        return next((n for n in self.w.purse_json("status")["namespaces"] if n["inode"] == self.inode()), None)

    def wait(self):
        return worlds.wait_for("purse to listen in there", self.listening)

    def end(self):
        if self.init:
            self.init.kill()
            self.init.wait()
        worlds.run("ip", "netns", "del", self.name, check=False)


@pytest.fixture
def place(world):
    made = []

    def make(w=world, **kw):
        made.append(Place(w, **kw))
        return made[-1]
    yield make
    for p in made:
        p.end()


def count(w, name="namespaces"):
    return w.purse_json("status")["daemon"]["counts"][name]


def events(w, reason):
    return [e for e in map(json.loads, w.purse("events", "--json").stdout.splitlines()) if e["reason"] == reason]


def descriptors(w):
    return len(os.listdir(f"/proc/{w.daemon.pid}/fd"))


def test_calls_go_through_purse(world, place):
    p = place()
    seen = p.wait()
    assert seen["agent"] == "bot" and seen["port4"] and seen["port6"]
    for http in ("--http1.1", "--http2"):
        for names in (NAMES, NAMES6):
            status, r = p.call(http, names=names)
            assert status == 200, r.stderr
    # It was found by the regular look: nobody was refused.
    assert not events(world, "netns")
    assert len(world.ledger()) == 4
    world.assert_exact()
    text = world.purse("status").stdout
    assert f"listening in 1 other network namespace: bot (net:[{p.inode()}])" in text
    assert "1 other network namespaces" in world.purse("doctor", check=False).stdout


FIRST = """
import errno, socket, sys, time
denied = None
for _ in range(2000):
    s = socket.socket()
    try: s.connect((%r, 443)); break
    except OSError as e:
        assert e.errno == errno.EACCES, e
        denied = denied or time.monotonic()
    time.sleep(0.001)
print(0 if denied is None else time.monotonic() - denied)
""" % worlds.PROVIDER4


def test_a_new_one_works_soon_after_its_first_denial(world, place):
    took = []
    for _ in range(8):
        p = place(init=False)
        r = p.run(sys.executable, "-c", FIRST)
        took.append(float(r.stdout or 99))
        assert p.listening(), r.stderr
    took.sort()
    print("after the first denial: " + " ".join(f"{t * 1000:.1f}" for t in took) + " ms")
    # 100 ms is what is promised; the machine of the tests is a shared one.
    assert took[len(took) // 2] < 0.1 * worlds.PATIENCE and took[-1] < 1 * worlds.PATIENCE, took


def test_a_look_up_of_the_name_is_time_enough(world, place):
    """The first socket is made for DNS: purse is there before the connect."""
    code = "import socket, time\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntime.sleep(0.3)\n" + FIRST
    p = place(init=False)
    r = p.run(sys.executable, "-c", code)
    assert r.stdout.strip() == "0", r.stdout + r.stderr
    assert not events(world, "netns") and not events(world, "look")


def test_same_source_ports_at_once(make_world, place):
    w = make_world(agents=[{"name": "a", "day": "10USD"}, {"name": "b", "day": "10USD"}])
    places = [place(w, agent="a"), place(w, agent="b"), place(w, agent="b")]
    for p in places:
        p.wait()
    slow = ["--local-port", "40123", "-H", "x-fake: delay=1"]
    argv = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", *NAMES, *slow, "-H", "content-type: application/json", "-d", BODY, CHAT]
    calls = [p.spawn(argv, stdout=subprocess.PIPE, text=True) for p in places]
    # And from purse's own namespace.
    calls.append(w.spawn("a", argv, env=w.agent_env(), stdout=subprocess.PIPE, text=True))
    assert [c.communicate(timeout=20 * worlds.PATIENCE)[0] for c in calls] == ["200"] * 4
    assert sorted(c["agent"] for c in w.quiet().ledger()) == ["a", "a", "b", "b"]
    w.assert_exact()


def test_one_goes_while_calls_run(world, place):
    going, staying = place(), place()
    going.wait(), staying.wait()
    before = descriptors(world)
    stream = json.dumps(dict(json.loads(BODY), model="fake-large", stream=True, max_tokens=60000))
    out = world.folder / "stream"
    argv = ["curl", "-sSN", *NAMES, "-H", "content-type: application/json", "-H", "x-fake: in=100,out=5000,tok=4,pace=400,notice=0.3", "-d", stream, CHAT]
    calls = [p.spawn(argv, stdout=open(out.with_suffix(f".{i}"), "w")) for i, p in enumerate([going, staying])]
    for i in range(2):
        worlds.wait_for("the stream to flow", lambda: "tok" in out.with_suffix(f".{i}").read_text())
    calls[0].kill(), calls[0].wait()
    inode = going.inode()
    going.end()
    worlds.wait_for("purse to leave", lambda: count(world) == 1, 12)
    assert f"network namespace {inode}: no agent is there any more" in world.daemon_log.read_text()
    # The other one does not notice.
    assert calls[1].poll() is None
    assert staying.call()[0] == 200
    calls[1].kill(), calls[1].wait()
    world.quiet().audit()
    rows = world.ledger()
    assert len(rows) == 3 and sum(r["estimated"] for r in rows) == 2, rows
    worlds.wait_for("descriptors to be closed", lambda: descriptors(world) <= before, 20)


def test_a_stranger_in_there(world, place):
    p = place()
    port = p.wait()["port4"]
    code = f"import socket\ns = socket.create_connection(('127.0.0.1', {port})); s.settimeout(5)\ntry: print(s.recv(10))\nexcept OSError as e: print(e)"
    r = p.outside(sys.executable, "-c", code)
    assert r.stdout.strip() in ("b''", "[Errno 104] Connection reset by peer"), r.stdout
    assert count(world, "strangers") == 1
    # Its own connections are its own business, and lead nowhere.
    r = p.outside("curl", "-sS", *NAMES, CHAT)
    assert r.returncode == 7 and not world.requests()
    assert p.call()[0] == 200
    world.assert_exact()


BIND = """
import errno, socket, sys
for at, port in [(a, int(p)) for a in ("127.0.0.1", "0.0.0.0", "::1", "::") for p in sys.argv[1:]]:
    s = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try: s.bind((at, port)); print(at, port, "bound")
    except OSError as e: assert e.errno == errno.EADDRINUSE, e
"""


def test_nobody_takes_the_port(world, place):
    p = place()
    seen = p.wait()
    ports = [seen["port4"], seen["port6"]]
    tries = [lambda: p.run(sys.executable, "-c", BIND, *ports), lambda: p.outside(sys.executable, "-c", BIND, *ports)]
    for t in tries:
        r = t()
        assert r.returncode == 0 and not r.stdout, r.stdout + r.stderr
    refused = events(world, "our-port")
    assert {e["agent"] for e in refused} == {"bot", None} and all(e["errno"] == "EADDRINUSE" for e in refused)
    # Purse dies: its sockets are gone, the ports are not to be had.
    world.kill9()
    for t in tries:
        r = t()
        assert r.returncode == 0 and not r.stdout, r.stdout + r.stderr
    world.start()
    p.wait()
    assert p.call()[0] == 200
    world.assert_exact()


def test_without_v6(world, place):
    p = place(v6=False)
    seen = p.wait()
    assert seen["port4"] and not seen["port6"]
    assert p.call()[0] == 200
    r = p.run(sys.executable, "-c", "import socket\ntry: socket.socket(socket.AF_INET6).connect((%r, 443))\nexcept OSError as e: print(e.errno)" % worlds.PROVIDER6)
    assert r.stdout.strip() == "13", r.stdout + r.stderr
    log = world.daemon_log
    worlds.wait_for("it to be said", lambda: "no listener on ::1" in log.read_text())
    time.sleep(3)
    assert len(re.findall(rf"namespace {p.inode()} .*no listener on ::1", log.read_text())) == 1
    assert "no ::1" in world.purse("status").stdout


def test_loopback_comes_up_late(world, place):
    p = place(init=False)
    worlds.run("ip", "-n", p.name, "link", "set", "lo", "down")
    p.init = p.spawn(["sleep", "600"])
    worlds.wait_for("it to be said", lambda: "its loopback device is down" in world.daemon_log.read_text())
    begin = time.monotonic()
    assert p.call()[0] == 0 and not world.requests()
    assert time.monotonic() - begin < 3 * worlds.PATIENCE  # told, not left waiting
    worlds.run("ip", "-n", p.name, "link", "set", "lo", "up")
    worlds.wait_for("a call to go through", lambda: p.call()[0] == 200, 2)
    assert p.listening()["port6"]
    assert p.call(names=NAMES6)[0] == 200
    world.assert_exact()


THREAD = """
import ctypes, errno, fcntl, socket, struct, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def alone():
    assert libc.unshare(0x40000000) == 0
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fcntl.ioctl(s, 0x8914, struct.pack("16sH14s", b"lo", 0x49, b""))
""" + "".join("    " + line + "\n" for line in FIRST.splitlines()[2:]) + "\nt = threading.Thread(target=alone); t.start(); t.join()\n"


def test_a_thread_alone(world):
    """A process whose other threads stayed behind."""
    r = world.python("bot", THREAD)
    assert float(r.stdout or 99) < 1 * worlds.PATIENCE, r.stderr


def test_fifty_come_and_go(make_world):
    w = make_world()
    userns = " -r" if worlds.run("unshare", "-r", "true", check=False).returncode == 0 else ""
    one = ('ip link set lo up; for i in 1 2 3 4 5 6 7 8 9; do s=$(curl -s -m %d -o /dev/null -w "%%{http_code}" "$@"); '
           '[ "$s" = 200 ] && echo 200 && exit; sleep 0.1; done; echo "$s"') % (20 * worlds.PATIENCE)
    args = [*NAMES, "-H", "content-type: application/json", "-d", BODY, CHAT]

    def wave(n):
        """Ten at once; every other one in a user namespace too."""
        script = (f'for i in $(seq {n}); do [ $((i % 2)) = 0 ] && user="" || user="{userns}"; unshare -n $user bash -c \'{one}\' bash "$@" & '
                  '[ $((i % 10)) = 0 ] && wait; done; wait')
        r = w.in_agent("bot", ["bash", "-c", script, "bash", *args], timeout=90)
        assert r.stdout.split() == ["200"] * n, r.stdout + r.stderr
        worlds.wait_for("purse to leave all of them", lambda: count(w) == 0, 15)
        worlds.wait_for("connections to be closed", lambda: count(w, "conns_open") == 0)

    wave(10)
    before = descriptors(w)  # with what is kept alive towards the provider
    wave(40)
    worlds.wait_for("descriptors to be closed", lambda: descriptors(w) <= before + 4, 70)
    assert len(w.quiet().ledger()) == 50
    w.assert_exact()


def test_one_agent_does_not_use_up_those_of_others(make_world, place):
    w = make_world(agents=[{"name": "greedy", "day": "1USD"}, {"name": "modest", "day": "1USD"}])
    # They knock: a refusal there makes purse look at once, where its own looks are rare on a machine that is slow.
    one = f"ip link set lo up; for n in 1 2 3; do (: >/dev/tcp/{worlds.PROVIDER4}/443) 2>/dev/null; sleep 2; done; exec sleep 600"
    greedy = w.spawn("greedy", ["bash", "-c", f"for i in $(seq 70); do unshare -n bash -c '{one}' & done; wait"], env=w.agent_env())
    worlds.wait_for("the bound", lambda: count(w) == 64)
    worlds.wait_for("it to be said", lambda: "at most 64 for one agent" in w.daemon_log.read_text())
    time.sleep(2.5)
    assert count(w) == 64 and w.daemon_log.read_text().count("at most 64") == 1
    p = place(w, agent="modest")
    worlds.wait_for("the other's", lambda: count(w) == 65)
    assert p.call()[0] == 200
    greedy.kill(), greedy.wait()


def test_catalogue_is_still_closed(world):
    r = world.purse("doctor", "--bypass", check=False, timeout=120)
    row = next(line for line in r.stdout.splitlines() if "own network namespace" in line)
    assert "open" not in row.lower(), row
