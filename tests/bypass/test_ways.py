# SPDX-License-Identifier: Apache-2.0
"""Ways round the gate, from inside an agent's cgroup, against the real daemon: the table is in ways.py. Above all: not a packet arrives at
the provider that the daemon did not send. And whatever is denied is counted, and explained in `purse events`.
"""
import contextlib
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time

import pytest
import world as worlds
from ways import TOOLS, WAYS
from witness import Witness

V4, V6 = worlds.PROVIDER4, worlds.PROVIDER6
# In tests/kernels the kernel has it all: what cannot be tried there is an error.
ALL = bool(os.environ.get("PURSE_WAYS_ALL"))


def missing(what):
    assert not ALL, f"not on this kernel, which should have it: {what}"
    pytest.skip(f"not on this kernel: {what}")


# ---- what was seen and told

def ask(w, path):
    """Of the control socket."""
    conn = http.client.HTTPConnection("purse")
    conn.sock = socket.socket(socket.AF_UNIX)
    conn.sock.connect(str(w.folder / "run/control.sock"))
    conn.request("GET", path)
    with contextlib.closing(conn):
        return json.loads(conn.getresponse().read())


def connections(w):
    return sum("conn" in r for r in w.records())


class Watch:
    """What the provider could have seen, what the gate and the daemon count, what they tell."""

    def __init__(self, w):
        self.w, self.witness = w, Witness(worlds.NETNS / w.name)
        self.told = len(self.events())

    def events(self):
        return [json.loads(line) for line in self.w.purse("events", "--json").stdout.splitlines()]

    def counts(self):
        """Of all that is denied: by the gate, on the way out, by the daemon."""
        gate, daemon = ask(self.w, "/v1/gate")["counters"], ask(self.w, "/v1/status")["daemon"]["counts"]
        return {"deny": gate["deny"], "egress_drop": gate["egress_drop"], "plain_http": daemon["plain_http"], "refused": daemon["refused"]}

    @contextlib.contextmanager
    def unseen(self):
        before = connections(self.w)
        self.witness.packets()
        yield
        seen = [p for p in self.witness.packets() if p.dst in (V4, V6, worlds.OTHER4) and not p.src.startswith("127.")]
        assert not seen, f"on the wire to the provider: {seen}"
        assert connections(self.w) == before, "the provider saw a connection"

    def new_events(self, condition):
        """Waits for one that is like that; all that are new are taken."""
        def look():
            events = self.events()[self.told:]
            return events if any(map(condition, events)) else None
        try:
            events = worlds.wait_for("the event", look, 3)
        except AssertionError:
            events = self.events()[self.told:]
        self.told += len(events)
        return events


def says(event, reason, **about):
    return event["reason"] == reason and all(event[k] == v for k, v in about.items())


# What counts a denial, by its reason; the gate's own: deny.
COUNTED = {"egress": "egress_drop", "plain-http": "plain_http", **dict.fromkeys(["other-name", "no-name", "late-hello"], "refused")}


def expect_denied(watch, before, reason, agent="bot", **about):
    """One event that is all that, with a text for people; and it was counted."""
    events = watch.new_events(lambda e: says(e, reason, agent=agent, **about))
    like = [e for e in events if says(e, reason, agent=agent, **about)]
    assert like, f"no event {reason} {about} among {events}"
    assert len(like[0]["text"]) > 10
    counter = COUNTED.get(reason, "deny")
    assert watch.counts()[counter] > before[counter], f"not counted in {counter}"


# ---- trying

def attempt(w, body, agent="bot", comm="a way"):
    port = ask(w, "/v1/status")["daemon"]["port4"] if "%(port)" in body else 0
    body = body % {"port": port, "cgroup": str(w.root / agent), "comm": comm} if "%(" in body else body
    code = (TOOLS + "def way():\n    " + body + f"\nnamed({comm!r})\n"
            "try: print(way())\nexcept OSError as e: print('refused:', errno.errorcode.get(e.errno, e))\n")
    r = w.python(agent, code)
    assert r.stdout, r.stderr
    return r.stdout.strip()


@pytest.fixture(scope="module")
def shared(request):
    w = worlds.World().start()
    w.in_agent("outside", ["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"])  # ping sockets for everybody
    yield w
    w.close()


@pytest.fixture(scope="module")
def watch(shared):
    watch = Watch(shared)
    yield watch
    watch.witness.close()


@pytest.fixture(scope="module")
def strangers_get(shared):
    """What becomes of each kind of socket if a process that is no agent asks for it: "", or why not."""
    kinds = sorted({way.socket for way in WAYS.values() if way.socket})
    code = ("import json, socket\nends = []\n"
            f"for kind in {kinds}:\n    try: socket.socket(*kind).close(); ends.append('')\n    except OSError as e: ends.append(str(e))\n"
            "print(json.dumps(ends))")
    return dict(zip(kinds, json.loads(shared.in_agent("outside", [sys.executable, "-c", code]).stdout)))


@pytest.fixture(scope="module")
def lsm_cgroup(shared):
    """What `purse doctor` says of the hook that alone sees packet sockets and the like; None: it is in use."""
    checks = json.loads(shared.purse("doctor", "--json", check=False).stdout)["checks"]
    told = next(c for c in checks if c["name"] == "packet sockets")
    return None if told["state"] == "ok" else told["text"]


@pytest.mark.parametrize("way", WAYS)
def test_way(shared, watch, strangers_get, lsm_cgroup, way):
    body, expected, reason, about, kind, needs_lsm = WAYS[way]
    comm = f"way {list(WAYS).index(way)}"
    # Others may, so that it is the gate that says no.
    if kind and strangers_get[kind]:
        missing(f"{way}: {strangers_get[kind]}")
    if needs_lsm and lsm_cgroup:
        assert "CAP_NET_RAW" in lsm_cgroup
        missing(f"{way}: no lsm_cgroup, which alone sees it; `purse doctor` says so")
    if reason == "egress":
        watch.told = len(watch.events())  # that event bears no name: what the row before sent again does not count for this one
    before = watch.counts()
    with watch.unseen():
        got = attempt(shared, body, comm=comm)
    if got.startswith("no "):
        pytest.skip(f"not on this kernel: {way}: {got}")
    assert re.fullmatch(expected, got), f"{way}: {got}"
    # A packet on its way out is nobody's in particular.
    about = dict(about) if reason == "egress" else dict(about, comm=comm)
    if got.startswith("refused: E"):
        about["errno"] = got.split()[1]
    if reason:
        expect_denied(watch, before, reason, **about)
    else:
        assert not [e for e in watch.events() if e["comm"] == comm and e["errno"]]


def test_io_uring(shared, watch, tmp_path):
    program = worlds.BUILD / "tests/bypass/uring_connect"  # tests/kernels makes it, for where no compiler is
    if not program.exists():
        program = tmp_path / "uring_connect"
        worlds.run("gcc", "-O1", "-o", program, pathlib.Path(__file__).parent / "uring_connect.c")
    with watch.unseen():
        r = shared.in_agent("bot", [program, V4])
    if r.returncode == 77:
        missing(r.stdout.strip())
    assert r.stdout.strip() == "connected, then refused", r.stdout


def test_inherited_socket(shared, watch):
    """Made outside, used inside: the caller's cgroup decides."""
    inside = TOOLS + "s = socket.socket(fileno=int(sys.argv[1])); s.connect((V4, 443)); print(talk(s))"
    outside = ("import os, socket, subprocess, sys\ns = socket.socket()\nos.set_inheritable(s.fileno(), True)\n"
               f"open({str(shared.root / 'bot/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
               f"os.execv(sys.executable, [sys.executable, '-c', {inside!r}, str(s.fileno())])\n")
    with watch.unseen():
        r = shared.in_agent("outside", [sys.executable, "-c", outside])
    assert r.stdout.strip() == "captured", r.stdout + r.stderr


def test_passed_socket(shared, watch):
    """The same by SCM_RIGHTS."""
    path = str(shared.folder / "passing")
    giver = shared.spawn("outside", [sys.executable, "-c", TOOLS + f"l = socket.socket(socket.AF_UNIX); l.bind({path!r}); l.listen(); print('ready', flush=True)\n"
                                     "c, _ = l.accept(); s = socket.socket(); socket.send_fds(c, [b'x'], [s.fileno()])"], stdout=subprocess.PIPE, text=True)
    assert giver.stdout.readline() == "ready\n"
    with watch.unseen():
        got = attempt(shared, f"c = socket.socket(socket.AF_UNIX); c.connect({path!r}); s = socket.socket(fileno=socket.recv_fds(c, 1, 1)[1][0])\n"
                              "    s.connect((V4, 443)); return talk(s)")
    assert giver.wait(10) == 0
    assert got == "captured"


def test_socket_carried_out(shared, watch):
    """Made inside, used by a process that left: the creator's cgroup decides."""
    code = (TOOLS + f"s = socket.socket(); open({str(shared.root / 'outside/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "s.connect((V4, 443)); print(talk(s))")
    with watch.unseen():
        assert shared.in_agent("bot", [sys.executable, "-c", code]).stdout.strip() == "captured"


@pytest.fixture
def watching(make_world):
    made = []

    def make(**kw):
        made.append(Watch(make_world(**kw)))
        return made[-1].w, made[-1]
    yield make
    for watch in made:
        watch.witness.close()


def test_two_agents_behind_one_socket(watching):
    w, watch = watching(agents=[{"name": "a", "day": "1USD"}, {"name": "b", "day": "1USD"}])
    before = watch.counts()
    code = (TOOLS + f"s = socket.socket(); open({str(w.root / 'b/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "try: s.connect((V4, 443)); print('connected')\nexcept OSError as e: print(errno.errorcode[e.errno])")
    with watch.unseen():
        assert w.in_agent("a", [sys.executable, "-c", code]).stdout.strip() == "EACCES"
    expect_denied(watch, before, "identity", agent="b", dst=V4, dport=443, errno="EACCES")


def test_a_stranger_on_the_egress_port(shared, watch):
    """Not an agent, dials our listener: no flow, closed unread, counted."""
    daemon = shared.purse_json("status")["daemon"]
    with watch.unseen():
        r = shared.in_agent("outside", [sys.executable, "-c", TOOLS + f"print(tcp(socket.AF_INET, ('127.0.0.1', {daemon['port4']})))"])
    assert r.stdout.strip() == "captured"
    worlds.wait_for("it to be counted", lambda: shared.purse_json("status")["daemon"]["counts"]["strangers"] > daemon["counts"]["strangers"])


def test_strangers_pass_by_default_and_not_when_others_are_denied(watching):
    w, _ = watching()
    r = w.curl("outside", "https://api.openai.com/v1/models", "--cacert", str(w.ca.path))
    assert '"data"' in r.stdout
    strict, watch = watching(config={"others": "deny"})
    before = watch.counts()
    with watch.unseen():
        assert strict.curl("outside", "https://api.openai.com/v1/models", "--cacert", str(strict.ca.path)).returncode == 7
    expect_denied(watch, before, "not-agent", agent=None, comm="curl", dst=V4, dport=443)
    assert strict.chat()[0] == 200  # the daemon itself gets through
    strict.assert_exact()


def test_a_dead_daemon_is_no_way(watching):
    w, watch = watching(config={"heartbeat_stale": "2s"})
    w.kill9()
    time.sleep(2.5)  # until then it is the dead listener that refuses
    with watch.unseen():
        assert attempt(w, "return tcp(socket.AF_INET, (V4, 443))") == "refused: ECONNREFUSED"
        assert attempt(w, "return udp((V4, 443))") == "refused: EACCES"
    w.start()
    watch.told = 0  # a new daemon, which hears what was denied meanwhile
    expect_denied(watch, {"deny": 0}, "daemon-dead", comm="a way", dst=V4, dport=443, errno="ECONNREFUSED")


def test_the_application_sees_whom_it_asked_for(shared):
    code = TOOLS + "s = socket.create_connection((V4, 443)); print(s.getpeername()); s = socket.create_connection((V6, 443)); print(s.getpeername()[:2])"
    assert shared.python("bot", code).stdout.split("\n")[:2] == [f"('{V4}', 443)", f"('{V6}', 443)"]


def test_the_witness_sees_what_others_send(shared, watch):
    """So that silence means something: the same packets by a process that is no agent."""
    for body in ("return udp((V4, 443))", f"return udp(('198.51.100.97', 9), option=source_route(131, V4))",
                 "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 768); s.bind(('lo', 2048))\n"
                 "    s.send(bytes(12) + b'\\x08\\0' + struct.pack('!BBHIBBH', 69, 0, 20, 0, 64, 17, 0) + socket.inet_aton(V4) * 2); return 'sent'"):
        with pytest.raises(AssertionError, match="on the wire"), watch.unseen():
            assert attempt(shared, body, agent="outside") == "sent"
