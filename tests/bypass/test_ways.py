# SPDX-License-Identifier: Apache-2.0
"""Ways round the gate, from inside an agent's cgroup. Each row: what is tried and what must come of it. Above all: the provider sees no
connection that the daemon did not make. (The same ways without a daemon, verdict by verdict, are in tests/bpf/.)

A way ends as `refused: ERRNO`, or as `captured`: connected to the daemon, which answers plain HTTP with 403 and forwards nothing.
"""
import subprocess
import sys

import pytest
import world as worlds

V4, V6 = worlds.PROVIDER4, worlds.PROVIDER6

# Every way defines way(); it says how it ended.
TOOLS = """
import array, errno, os, socket, struct, sys, time
V4, V6 = %r, %r
def talk(s):
    try:
        s.settimeout(4)
        s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        got = s.recv(100)
        return "answered" if got and not got.startswith(b"HTTP/1.1 403") else "captured"
    except (ConnectionError, BrokenPipeError): return "captured"
    except socket.timeout: return "silent"
def tcp(family, to, kind=socket.SOCK_STREAM, proto=0):
    s = socket.socket(family, kind, proto)
    s.connect(to)
    return talk(s)
""" % (V4, V6)

WAYS = {
    "tcp over v4": ("return tcp(socket.AF_INET, (V4, 443))", "captured"),
    "tcp over v6": ("return tcp(socket.AF_INET6, (V6, 443))", "captured"),
    "tcp over v4-mapped v6": ("return tcp(socket.AF_INET6, ('::ffff:' + V4, 443))", "captured"),
    "another port of an LLM address": ("return tcp(socket.AF_INET, (V4, 8443))", "captured"),
    "mptcp": ("return tcp(socket.AF_INET, (V4, 443), proto=262)", "refused: E(PERM|ACCES)"),
    "udp connect": ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((V4, 443)); s.send(b'x'); return 'sent'", "refused: EACCES"),
    "udp sendto": ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', (V4, 443)); return 'sent'", "refused: EACCES"),
    "udp sendto over v6": ("s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(b'x', (V6, 443)); return 'sent'", "refused: EACCES"),
    "udp sendto v4-mapped": ("s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(b'x', ('::ffff:' + V4, 443)); return 'sent'", "refused: EACCES"),
    "udp to any port of an LLM address": ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', (V4, 53)); return 'sent'", "refused: EACCES"),
    "udp 443 to anybody": ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('198.51.100.99', 443)); return 'sent'", "refused: EACCES"),
    "fast open": ("s = socket.socket(); s.sendto(b'GET / HTTP/1.0\\r\\n\\r\\n', 0x20000000, (V4, 443)); return talk(s)", "captured"),
    "fast open connect": ("s = socket.socket(); s.setsockopt(6, 30, 1); s.connect((V4, 443)); return talk(s)", "captured"),
    "raw socket": ("s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 6); s.sendto(b'x' * 20, (V4, 0)); return 'sent'", "refused: E(PERM|ACCES)"),
    "ping socket": ("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); s.sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\0', (V4, 0)); return 'sent'", "refused: E(PERM|ACCES)"),
    "disconnect and connect again": ("""s = socket.socket(); s.connect(('127.0.0.1', %(port)d))
    import ctypes; ctypes.CDLL(None).connect(s.fileno(), struct.pack('HHLQ', 0, 0, 0, 0), 16)
    s.connect((V4, 443)); return talk(s)""", "captured"),
    "from a nested cgroup": ("""d = %(cgroup)r + '/deep/er'; os.makedirs(d, exist_ok=True); open(d + '/cgroup.procs', 'w').write(str(os.getpid()))
    return tcp(socket.AF_INET, (V4, 443))""", "captured"),
    "from a chosen source address": ("s = socket.socket(); s.bind(('198.51.100.99', 0)); s.connect((V4, 443)); return talk(s)", "(captured|refused: .*)"),
    "bound to a device": ("s = socket.socket(); s.setsockopt(1, 25, b'lo\\0'); s.connect((V4, 443)); return talk(s)", "(captured|refused: .*)"),
    "straight to the egress port": ("return tcp(socket.AF_INET, ('127.0.0.1', %(port)d))", "captured"),
    "a name that is no LLM host at its address": ("""import ssl
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    try: c.wrap_socket(socket.create_connection((V4, 443), timeout=5), server_hostname='other.test'); return 'handshake'
    except (ssl.SSLError, OSError): return 'captured'""", "captured"),
    "no name in TLS": ("""import ssl
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    try: c.wrap_socket(socket.create_connection((V4, 443), timeout=5)); return 'handshake'
    except (ssl.SSLError, OSError): return 'captured'""", "captured"),
    "an LLM name at another address": ("""import ssl
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    s = c.wrap_socket(socket.create_connection(('198.51.100.98', 443), timeout=5), server_hostname='api.openai.com')
    return 'terminated by purse' if b'purse issuer' in s.getpeercert(True) else 'reached it'""", "terminated by purse"),
}


# A hello that comes late, at an address that is not listed: by then nobody would look.
WAYS["an LLM name said after a silence"] = ("""import ssl
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    s = socket.create_connection(('198.51.100.99', 443), timeout=5); time.sleep(6)
    try: c.wrap_socket(s, server_hostname='api.openai.com'); return 'handshake'
    except (ssl.SSLError, OSError): return 'captured'""", "captured")


def connections(w):
    return sum("conn" in r for r in w.records())


def attempt(w, body, agent="bot"):
    port = w.purse_json("status")["daemon"]["port4"]
    body = body % {"port": port, "cgroup": str(w.root / agent)} if "%(" in body else body
    code = TOOLS + "def way():\n    " + body + "\ntry: print(way())\nexcept OSError as e: print('refused:', errno.errorcode.get(e.errno, e))\n"
    r = w.python(agent, code)
    assert r.stdout, r.stderr
    return r.stdout.strip()


@pytest.fixture(scope="module")
def shared(request):
    w = worlds.World().start()
    yield w
    w.close()


@pytest.mark.parametrize("way", WAYS)
def test_way(shared, way):
    body, expected = WAYS[way]
    before = connections(shared)
    got = attempt(shared, body)
    assert worlds.re.fullmatch(expected, got), f"{way}: {got}"
    assert connections(shared) == before, "the provider saw a connection"


def test_io_uring(shared, tmp_path):
    program = tmp_path / "uring_connect"
    worlds.run("gcc", "-O1", "-o", program, worlds.HERE.parent / "bypass" / "uring_connect.c")
    before = connections(shared)
    r = shared.in_agent("bot", [program, V4])
    if r.returncode == 77:
        pytest.skip("this kernel has " + r.stdout.strip())
    assert r.stdout.strip() == "connected, then refused", r.stdout
    assert connections(shared) == before


def test_inherited_socket(shared):
    """Made outside, used inside: the caller's cgroup decides."""
    before = connections(shared)
    inside = TOOLS + "s = socket.socket(fileno=int(sys.argv[1])); s.connect((V4, 443)); print(talk(s))"
    outside = ("import os, socket, subprocess, sys\ns = socket.socket()\nos.set_inheritable(s.fileno(), True)\n"
               f"open({str(shared.root / 'bot/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
               f"os.execv(sys.executable, [sys.executable, '-c', {inside!r}, str(s.fileno())])\n")
    r = shared.in_agent("outside", [sys.executable, "-c", outside])
    assert r.stdout.strip() == "captured", r.stdout + r.stderr
    assert connections(shared) == before


def test_socket_carried_out(shared):
    """Made inside, used by a process that left: the creator's cgroup decides."""
    before = connections(shared)
    code = (TOOLS + f"s = socket.socket(); open({str(shared.root / 'outside/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "s.connect((V4, 443)); print(talk(s))")
    assert shared.in_agent("bot", [sys.executable, "-c", code]).stdout.strip() == "captured"
    assert connections(shared) == before


def test_two_agents_behind_one_socket(make_world):
    w = make_world(agents=[{"name": "a", "day": "1USD"}, {"name": "b", "day": "1USD"}])
    code = (TOOLS + f"s = socket.socket(); open({str(w.root / 'b/cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
            "try: s.connect((V4, 443)); print('connected')\nexcept OSError as e: print(errno.errorcode[e.errno])")
    assert w.in_agent("a", [sys.executable, "-c", code]).stdout.strip() == "EACCES"
    assert connections(w) == 0


def test_a_stranger_on_the_egress_port(shared):
    """Not an agent, dials our listener: no flow, closed unread, counted."""
    before = connections(shared)
    port = shared.purse_json("status")["daemon"]["port4"]
    r = shared.in_agent("outside", [sys.executable, "-c", TOOLS + f"print(tcp(socket.AF_INET, ('127.0.0.1', {port})))"])
    assert r.stdout.strip() == "captured"
    assert connections(shared) == before


def test_strangers_pass_by_default_and_not_when_others_are_denied(make_world):
    w = make_world()
    r = w.curl("outside", "https://api.openai.com/v1/models", "--cacert", str(w.ca.path))
    assert '"data"' in r.stdout
    strict = make_world(config={"others": "deny"})
    assert strict.curl("outside", "https://api.openai.com/v1/models", "--cacert", str(strict.ca.path)).returncode == 7
    assert connections(strict) == 0
    assert strict.chat()[0] == 200  # the daemon itself gets through
    strict.assert_exact()


def test_the_application_sees_whom_it_asked_for(shared):
    code = TOOLS + "s = socket.create_connection((V4, 443)); print(s.getpeername()); s = socket.create_connection((V6, 443)); print(s.getpeername()[:2])"
    assert shared.python("bot", code).stdout.split("\n")[:2] == [f"('{V4}', 443)", f"('{V6}', 443)"]


def test_denials_are_counted_and_explained(shared):
    attempt(shared, WAYS["udp sendto"][0])
    events = shared.purse("events", "--json").stdout.splitlines()
    last = [e for e in map(worlds.json.loads, events) if e["dst"].startswith(V4) and e["dport"] == 443][-1]  # repeats are counted into the first
    assert last["agent"] == "bot" and last["dst"].startswith(V4) and last["dport"] == 443 and last["errno"]
