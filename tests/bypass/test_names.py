# SPDX-License-Identifier: Apache-2.0
"""Which addresses the gate takes for LLM providers: by DNS with its TTLs and failures, by what agents show and a handshake proves, by the
config's ranges and NAT64 prefixes. And what becomes of names, plain HTTP and splices at such addresses.

The world has a name server of its own (tests/lib/dns_server.py), whose zone a test changes as it likes."""
import json
import struct
import subprocess
import sys
import time

import pytest
import world as worlds

V4, V6, OTHER = worlds.PROVIDER4, worlds.PROVIDER6, worlds.OTHER4
NEAR, FOREIGN, RELAY = "198.51.100.77", "203.0.113.5", "203.0.113.6"
OPENAI, ANTHROPIC = worlds.NAMES
NAMESERVER = "127.0.0.53"
LEAST = 5  # no TTL counts for less


class Names:
    """A world whose names come from a zone."""

    def __init__(self, make_world, zone, start=True, hosts=(), **kw):
        cert = lambda ca: ca.leaf("provider", [OPENAI, ANTHROPIC, "other.test", "front.test"])  # noqa: E731
        self.w = w = make_world(start=False, names=(), cert=cert, **kw)
        self.chain = w.ca.leaf("good", [OPENAI, ANTHROPIC])
        (w.folder / "resolv.conf").write_text(f"nameserver {NAMESERVER}\n")
        (w.folder / "hosts").write_text("".join(line + "\n" for line in ("127.0.0.1 localhost", *hosts)))
        self.log = w.folder / "dns.log"
        self.servers = []
        self.zone(zone)
        dns = w.spawn(w.far, [sys.executable, worlds.HERE / "dns_server.py", NAMESERVER, w.folder / "zone.json", self.log],
                      stdout=subprocess.PIPE)
        self.servers.append(dns)
        assert dns.stdout.readline() == b"ready\n"
        if start:
            w.start()

    def zone(self, zone):
        new = self.w.folder / "zone.new"
        new.write_text(json.dumps(zone))
        new.rename(self.w.folder / "zone.json")

    def asked(self, name, kind="A"):
        lines = [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []
        return [float(t) for t, n, k, _ in lines if n == name and k == kind]

    def host(self, name=OPENAI):
        return next(h for h in self.w.purse_json("endpoints")["endpoints"] if h["host"] == name)

    def listed(self, name=OPENAI):
        return {a["address"]: a for a in self.host(name)["addresses"]}

    def learned(self):
        return self.w.purse_json("endpoints")["learned"]

    def add_address(self, address):
        worlds.run("ip", "-n", self.w.name, "addr", "add", address + "/32", "dev", "lo")

    def serve(self, address, chain_key):
        """One more TLS server."""
        self.add_address(address)
        log = self.w.folder / f"fake-{address}.log"
        self.servers.append(self.w.spawn(self.w.far, [sys.executable, worlds.HERE / "fake_provider.py", *chain_key, log, address],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        worlds.wait_for("the server", lambda: log.exists() and "ready" in log.read_text())
        return lambda: log.read_text().count('"conn"')

    def models(self, name, address):
        """What an agent does that found this address in its own way."""
        return self.w.curl("bot", f"https://{name}/v1/models", "--connect-to", f"{name}:443:{address}:443")

    def told(self, word):
        """Lines of `purse events` with that reason."""
        lines = [json.loads(line) for line in self.w.purse("events", "--json").stdout.splitlines()]
        return [e for e in lines if e["reason"] == word]

    def count(self, what):
        return self.w.purse_json("status")["daemon"]["counts"][what]

    def close(self):
        for p in self.servers:
            p.kill()
            p.wait()


@pytest.fixture
def names(make_world):
    made = []

    def make(zone, **kw):
        made.append(Names(make_world, zone, **kw))
        return made[-1]
    yield make
    for n in made:
        n.close()


def zone_of(*v4, ttl=60, **more):
    return {OPENAI: {"A": list(v4), "ttl": ttl}, ANTHROPIC: {"A": [V4], "ttl": 300}, **more}


# ---- DNS

def test_asked_again_by_ttl_and_rotation_only_adds(names):
    n = names(zone_of(V4, ttl=1))
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    first = n.listed()[V4]
    assert first["known_by"] == "dns" and first["class"] == "dedicated" and not first["proven"]
    assert 3500 < first["leaves_s"] <= 3600
    assert 200 < n.host(ANTHROPIC)["ttl_s"] <= 300
    n.zone({OPENAI: {"A": ["198.51.100.11", "198.51.100.12"], "AAAA": ["2001:db8::11"], "ttl": 0}, ANTHROPIC: {"A": [V4]}})
    worlds.wait_for("the next answer", lambda: "198.51.100.11" in n.listed(), LEAST * 2)
    assert set(n.listed()) == {V4, "198.51.100.11", "198.51.100.12", "2001:db8::11"}
    assert n.listed()[V4]["leaves_s"] < n.listed()["198.51.100.11"]["leaves_s"]
    # The gate agrees: not on a captured port, and yet taken.
    assert "captured" in n.w.python("bot", TALK + "print(talk('198.51.100.12', 8443))").stdout
    times = worlds.wait_for("a third question", lambda: len(n.asked(OPENAI)) >= 3 and n.asked(OPENAI), LEAST * 2)
    assert all(LEAST - 0.1 <= b - a <= LEAST * 1.1 + 1 for a, b in zip(times, times[1:])), times
    assert len(n.asked(ANTHROPIC)) == 1
    out = n.w.purse("endpoints").stdout
    assert "198.51.100.11" in out and "TTL LEFT" in out and "KNOWN BY" in out


@pytest.mark.parametrize("broken", [{}, {OPENAI: {"rcode": 2}}], ids=["nxdomain", "servfail"])
def test_a_bad_answer_takes_nothing_away(names, broken):
    n = names(zone_of(V4, ttl=1))
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    n.zone({**broken, ANTHROPIC: {"A": [V4]}})
    worlds.wait_for("the failure", lambda: n.host()["error"], LEAST * 3)
    assert set(n.listed()) == {V4}
    n.zone({OPENAI: {"A": ["127.0.0.1", "0.0.0.0"], "ttl": 1}, ANTHROPIC: {"A": [V4]}})  # a name server that blocks names
    worlds.wait_for("that answer", lambda: "loopback" in n.host()["error"], LEAST * 3)
    assert set(n.listed()) == {V4}
    n.zone(zone_of("198.51.100.11"))
    worlds.wait_for("a good answer", lambda: "198.51.100.11" in n.listed(), LEAST * 3)
    assert n.host()["error"] is None and V4 in n.listed()


def test_no_answer_from_the_start_is_no_way_round(names):
    n = names({})
    worlds.wait_for("the failure", lambda: n.host()["error"])
    assert n.listed() == {}
    assert n.models(OPENAI, V4).returncode == 0 and n.count("conns") == 1  # terminated by its name; forwarded? purse cannot resolve it either
    assert not any("request" in r for r in n.w.records())


def test_chains_families_and_many_addresses(names):
    many = [f"198.51.100.{i}" for i in range(100, 200)]
    n = names({OPENAI: {"CNAME": "edge.cdn.test", "ttl": 300}, "edge.cdn.test": {"CNAME": ANTHROPIC, "ttl": 7}, ANTHROPIC: {"A": many, "ttl": 50}})
    worlds.wait_for("the answers", lambda: len(n.listed()) == 100 and len(n.listed(ANTHROPIC)) == 100)
    assert n.host()["ttl_s"] <= 7  # the least of the chain
    n.zone({OPENAI: {"AAAA": [V6], "ttl": 60}, ANTHROPIC: {}})
    worlds.wait_for("IPv6 alone", lambda: V6 in n.listed(), 15)
    assert len(n.listed()) == 101


def test_the_hosts_file_counts(names):
    n = names({}, hosts=(f"{V4} {OPENAI}",))
    worlds.wait_for("the file's answer", lambda: V4 in n.listed())
    assert n.asked(OPENAI) == []


# ---- learned from SNI

def test_learned_by_name_once_proven(names):
    n = names(zone_of(V4))
    seen = n.serve(NEAR, n.chain)
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    assert n.models(OPENAI, NEAR).returncode == 0
    worlds.wait_for("the proof", lambda: NEAR in n.listed())
    a = n.listed()[NEAR]
    assert a["known_by"] == "sni" and a["class"] == "dedicated" and a["leaves_s"] > 3500
    assert seen() == 1, "the daemon's handshake, nothing else"
    # Who brought it up is told, once and for as long as it stays.
    assert a["taught_by"] == "bot" and n.listed()[V4]["taught_by"] is None
    (event,) = n.told("learned")
    assert event["agent"] == "bot" and event["dst"] == NEAR and event["comm"] == "curl" and event["errno"] is None
    assert any(NEAR in line and " bot " in line for line in n.w.purse("endpoints").stdout.splitlines())
    # Now it is gated on every port, and no longer at hand for other names.
    assert "captured" in n.w.python("bot", TALK + f"print(talk('{NEAR}', 8443))").stdout
    n.models(OPENAI, NEAR)
    assert n.learned()["proofs"] == 1


def test_a_foreign_address_cannot_be_brought_up(names):
    """Its certificate is for another name, or nobody listens, or it is our own machine's and relays: not listed; asked once."""
    n = names(zone_of(V4))
    seen = n.serve(FOREIGN, n.w.ca.leaf("evil", ["evil.test"]))
    relayed = n.serve(RELAY, n.chain)
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    for address in (FOREIGN, "203.0.113.99", RELAY) * 3:
        assert n.models(OPENAI, address).returncode == 0
    worlds.wait_for("the proofs", lambda: n.learned()["failed"] == 2 and relayed() >= 1)
    n.models(OPENAI, FOREIGN)
    time.sleep(1)
    assert set(n.listed()) == {V4} and n.learned()["addresses"] == 0
    assert seen() == 1 and n.learned()["failed"] == 2
    # Names that are no LLM hosts, loopback and link-local are not even asked.
    before = n.learned()["proofs"]
    n.models("evil.test", FOREIGN)
    n.models(OPENAI, "169.254.169.254")
    n.models(OPENAI, "127.0.0.1")
    time.sleep(0.5)
    assert n.learned()["proofs"] == before


def test_a_neighbours_relay_is_not_learned(names):
    """An agent's relay on the next machine serves the name, as any relay does: other agents' ways there are not to change by it."""
    n = names(zone_of(V4))
    seen = n.serve("10.77.0.5", n.chain)
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    for _ in range(3):
        assert n.models(OPENAI, "10.77.0.5").returncode == 0
    time.sleep(1)
    assert n.learned()["proofs"] == 0 and n.learned()["addresses"] == 0 and seen() == 0


# ---- ranges and NAT64

TALK = """
import socket
def talk(address, port, text=b"GET / HTTP/1.0\\r\\n\\r\\n"):
    s = socket.create_connection((address, port), timeout=5)
    s.settimeout(5)
    try:
        s.sendall(text)
        got = b""
        while more := s.recv(4096): got += more
    except ConnectionError: got = b""
    return "captured " + got.decode("latin-1") if not got or b"purse" in got else "reached"
"""


def test_ranges_and_nat64_forms_are_gated(names):
    providers = [{"name": "openai", "dialect": "openai", "hosts": [OPENAI], "addresses": [V4, "192.0.2.0/24"]}]
    n = names({}, config={"providers": providers, "nat64_prefixes": ["64:ff9b::/96", "2001:db8:64::/96"]})
    assert list(n.listed()) == [V4] and n.listed()[V4]["known_by"] == "config" and n.listed()[V4]["leaves_s"] is None
    assert n.w.purse_json("endpoints")["ranges"] == [{"provider": "openai", "range": "192.0.2.0/24", "class": "dedicated"}]
    for address in ("192.0.2.55", "64:ff9b::c633:640a", "2001:db8:64::c633:640a", "2001:db8:64::c000:237"):
        assert "captured" in n.w.python("bot", TALK + f"print(talk('{address}', 8443))").stdout, address
    udp = "import socket\ns = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\ntry: s.sendto(b'x', ('2001:db8:64::c633:640a', 443))\nexcept OSError as e: print(e.errno)"
    assert n.w.python("bot", udp).stdout.strip() == "13"
    assert n.host()["ttl_s"] is None  # DNS has no say
    n.zone({OPENAI: {"A": [V4]}})
    assert n.w.chat()[0] == 200  # a range is not dialled


# ---- plain HTTP

HTTP = {
    "an LLM address": (V4, 443, "GET / HTTP/1.1\\r\\nhost: x.test\\r\\n\\r\\n", True),
    "an LLM address, any port, no head yet": (V4, 80, "POST /v1/chat/completions HTT", True),
    "an LLM address, HTTP/2 with prior knowledge": (V4, 80, "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n", True),
    "an LLM host elsewhere": (OTHER, 443, f"GET / HTTP/1.1\\r\\nhost: {OPENAI}\\r\\n\\r\\n", True),
    "an LLM host in the target": (OTHER, 443, f"GET http://{OPENAI}/ HTTP/1.1\\r\\nhost: x.test\\r\\n\\r\\n", True),
    "an LLM host through a proxy": (OTHER, 443, f"CONNECT {OPENAI}:443 HTTP/1.1\\r\\n\\r\\n", True),
    "an LLM host behind empty lines": (OTHER, 443, f"\\r\\n\\r\\nGET / HTTP/1.1\\r\\nhost: {OPENAI}\\r\\n\\r\\n", True),
    "an LLM host on a folded line": (OTHER, 443, f"GET / HTTP/1.1\\r\\nhost:\\r\\n {OPENAI}\\r\\n\\r\\n", True),
    "a tunnel to anybody": (OTHER, 443, "CONNECT x.test:443 HTTP/1.1\\r\\n\\r\\n", True),
    "HTTP/2 without TLS elsewhere": (OTHER, 443, "PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n", True),
    "an upgrade to it": (OTHER, 443, "GET / HTTP/1.1\\r\\nhost: x.test\\r\\nupgrade: h2c\\r\\n\\r\\n", True),
    "another host elsewhere": (OTHER, 443, "GET / HTTP/1.1\\r\\nhost: x.test\\r\\n\\r\\n", False),
}


def test_plain_http_is_told_to_use_https(names):
    n = names(zone_of(V4))
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    answered = 0
    for row, (address, port, text, told) in HTTP.items():
        got = n.w.python("bot", TALK + f'print(talk("{address}", {port}, b"{text}"))').stdout
        assert ("403 Forbidden" in got and "https://" in got and "connection: close" in got) == told, f"{row}: {got}"
        answered += told
        assert n.count("plain_http") == answered, row
    assert not any("request" in r for r in n.w.records())
    r = n.w.curl("bot", f"http://{OPENAI}:443/v1/models", "-i")
    assert r.stdout.startswith("HTTP/1.1 403") and "Use https://" in r.stdout


PLAIN_SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"])); self.do_GET()
    def log_message(self, *a):
        print(self.headers["host"], flush=True)
http.server.ThreadingHTTPServer((sys.argv[1], 80), Answer).serve_forever()
"""

KEPT_ALIVE = """
import http.client
def ask(c, host, method="GET", body=None):
    try:
        c.request(method, "/", body, {"host": host})
        return c.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return "refused"
"""


def test_later_plain_requests_are_looked_at(names):
    """A connection is kept alive: its second request names an LLM host."""
    n = names({**zone_of(V4), "x.test": {"A": [OTHER]}}, config={"capture_ports": [443, 80]})
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    seen = n.w.folder / "plain.log"
    server = n.w.spawn(n.w.far, [sys.executable, "-uc", PLAIN_SERVER, OTHER], stdout=open(seen, "w"), stderr=subprocess.DEVNULL)
    n.servers.append(server)
    worlds.wait_for("the plain server", lambda: worlds.run("nsenter", f"--net=/run/netns/{n.w.name}", "ss", "-ltnH", "sport = :80").stdout)
    code = KEPT_ALIVE + f"""
c = http.client.HTTPConnection("{OTHER}", 80, timeout=5)
body = '{{"host": "{OPENAI}"}}' + "x" * 100000
print(ask(c, "x.test"), ask(c, "y.test"), ask(c, "x.test", "POST", body), ask(c, "{OPENAI}"))
c = http.client.HTTPConnection("{OTHER}", 80, timeout=5)
c.connect()
c.sock.sendall(b"GET / HTTP/1.1\\r\\nhost: x.test\\r\\n\\r\\nGET / HTTP/1.1\\r\\nhost: {OPENAI}\\r\\n\\r\\n")
print(c.sock.recv(100))
"""
    out = n.w.python("bot", code)
    assert out.stdout.split("\n")[0] == "ok ok ok refused", out.stdout + out.stderr
    assert OPENAI not in seen.read_text() and seen.read_text().count("x.test") == 2, seen.read_text()
    assert n.count("plain_http") == 2 and n.told("plain-http")[0]["count"] == 2


# ---- splices

def hello(name, ech=False, groups=(0x1d,)):
    """A ClientHello as bytes: Python's own cannot hide its name."""
    def ext(kind, data):
        return struct.pack("!HH", kind, len(data)) + data
    exts = ext(0x2b, b"\x02\x03\x04") + ext(0x0a, struct.pack(f"!H{len(groups)}H", 2 * len(groups), *groups)) + ext(0x0d, b"\x00\x02\x04\x03") + ext(0x33, struct.pack("!HHH", 36, 0x1d, 32) + b"k" * 32)
    if name:
        exts += ext(0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name.encode("latin-1"))
    if ech:
        exts += ext(0xfe0d, b"\x00\x00\x01\x00\x01\x05" + b"\x00\x20" + b"e" * 32 + b"\x00\x10" + b"p" * 16)
    body = b"\x03\x03" + b"r" * 32 + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + struct.pack("!H", len(exts)) + exts
    shake = b"\x01" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(shake)) + shake


# class, where to, the hello, is it spliced (to whom)?
SPLICES = {
    "no name, dedicated": ("dedicated", V4, hello(""), False),
    "another name, dedicated": ("dedicated", V4, hello("x.test"), False),
    "an outer name with ECH, dedicated": ("dedicated", V4, hello("x.test", ech=True), False),
    "no name, shared": ("shared", V4, hello(""), False),
    "an outer name with ECH, shared": ("shared", V4, hello("x.test", ech=True), False),
    "another name, shared: dialled where DNS says": ("shared", V4, hello("x.test"), True),
    "another name elsewhere: dialled where DNS says": ("dedicated", "198.51.100.98", hello("x.test"), True),
    "a name whose DNS points at a dedicated address": ("dedicated", "198.51.100.98", hello("front.test"), False),
    "the same, at the address itself": ("dedicated", V4, hello("front.test"), False),
    "a name whose DNS points at this machine": ("dedicated", "198.51.100.98", hello("here.test"), False),
    "a name that DNS does not know": ("dedicated", "198.51.100.98", hello("nowhere.test"), False),
    "no name, elsewhere": ("dedicated", OTHER, hello(""), True),
    "an outer name with ECH, elsewhere": ("dedicated", OTHER, hello("x.test", ech=True), False),
    "upper case and a dot": ("dedicated", "198.51.100.98", hello("X.TEST."), True),
    "an address as name": ("dedicated", OTHER, hello(OTHER), True),
    "no host name": ("dedicated", OTHER, hello("api.openai.com:443"), False),
    "two dots": ("dedicated", OTHER, hello("api.openai.com.."), False),
    "a NUL": ("dedicated", OTHER, hello("x.test\0" + OPENAI), False),
    "a warning alert, then an LLM host": ("dedicated", OTHER, b"\x15\x03\x01\x00\x02\x01\x5a" + hello(OPENAI), False),
    "a record version that Go takes": ("dedicated", OTHER, b"\x16\x01\x01" + hello(OPENAI)[3:], False),
    "a PROXY header, then an LLM host": ("dedicated", OTHER, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\n" + hello(OPENAI), False),
    "SOCKS": ("dedicated", OTHER, b"\x05\x01\x00", False),
}


@pytest.mark.parametrize("kind", ["dedicated", "shared"])
def test_splicing(names, kind):
    providers = [{"name": "openai", "dialect": "openai", "hosts": [OPENAI], "class": kind}]
    n = names({OPENAI: {"A": [V4]}, "x.test": {"A": [OTHER]}, "front.test": {"A": [V4]}, "here.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]}}, config={"providers": providers})
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    for row, (of, to, text, spliced) in SPLICES.items():
        if of != kind:
            continue
        before, conns = n.count("spliced"), sum("conn" in r for r in n.w.records())
        code = f"import socket\ns = socket.create_connection(('{to}', 443), timeout=5)\ns.settimeout(5)\ns.sendall({text!r})\ntry: print('got', s.recv(5))\nexcept OSError as e: print(e)"
        got = n.w.python("bot", code).stdout
        assert n.count("spliced") - before == spliced, f"{row}: {got}"
        seen = sum("conn" in r for r in n.w.records()) - conns
        assert seen == spliced, f"{row}: the far side saw {seen} connections"
        assert ("\\x16\\x03" in got or "\\x15\\x03" in got) == spliced, f"{row}: {got}"
    assert not any("request" in r for r in n.w.records())
    if kind == "dedicated":
        assert {e["reason"] for word in ("hidden-name", "odd-name", "bad-hello", "other-name", "no-name", "llm-address") for e in n.told(word)} == {
            "hidden-name", "odd-name", "bad-hello", "other-name", "no-name", "llm-address"}
        assert n.count("hidden_names") == 2


def say(n, to, *texts):
    """What an agent reads, saying one text after the other, each when something came."""
    code = f"import socket\ns = socket.create_connection(('{to}', 443), timeout=5)\ns.settimeout(5)\n" + "".join(
        f"s.sendall({t!r})\ntry: print('got', s.recv(4096)[:60])\nexcept OSError as e: print(e)\n" for t in texts)
    return n.w.python("bot", code).stdout


@pytest.mark.parametrize("ech", ["refuse", "allow"])
def test_a_hidden_name_does_not_reach_a_front(names, ech):
    """What the outer name leads to may be a front that LLM hosts share: there the inner one decides."""
    providers = [{"name": "openai", "dialect": "openai", "hosts": [OPENAI], "class": "shared"}]
    n = names({OPENAI: {"A": [V4]}, "x.test": {"A": [OTHER]}, "front.test": {"A": [V4]}, "mixed.test": {"A": [OTHER, V4]}},
              config={"providers": providers, "ech": ech})
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    before = n.count("spliced")
    for name in ("front.test", "mixed.test"):
        assert "x16" not in say(n, "198.51.100.98", hello(name, ech=True)), name
    assert n.count("spliced") == before and n.count("hidden_names") == 2
    (event,) = n.told("hidden-name")
    assert event["count"] == 2 and event["agent"] == "bot" and "ech: allow" in event["text"]
    assert ("x16" in say(n, "198.51.100.98", hello("x.test", ech=True))) == (ech == "allow")
    assert "x16" in say(n, "198.51.100.98", hello("front.test"))  # its name is what it says


def test_a_second_hello_keeps_its_name(names):
    """A server that asks for another key share gets a second ClientHello in the clear, and might go by its name."""
    n = names({**zone_of(V4), "x.test": {"A": ["198.51.100.98"]}})
    worlds.wait_for("the first answer", lambda: V4 in n.listed())
    chain, key = n.chain
    n.add_address("198.51.100.98")
    n.servers.append(n.w.spawn(n.w.far, ["openssl", "s_server", "-cert", chain, "-key", key, "-groups", "P-384", "-accept", "198.51.100.98:443", "-quiet"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    worlds.wait_for("the server", lambda: "198.51.100.98:443" in worlds.run("nsenter", f"--net=/run/netns/{n.w.name}", "ss", "-ltnH").stdout)
    first = hello("x.test", groups=(0x1d, 0x18))
    retry = "cf!\\xadt\\xe5"[1:]
    got = say(n, "198.51.100.97", first, hello(OPENAI, groups=(0x18,)))
    assert "\\x16\\x03\\x03" in got and retry in got and len(n.told("second-name")) == 1, got
    # Sent along with the first one, before the server has asked for it.
    say(n, "198.51.100.97", first + hello(OPENAI, groups=(0x18,)))
    assert n.told("second-name")[0]["count"] == 2
    spliced = n.count("spliced")
    r = n.w.in_agent("bot", ["openssl", "s_client", "-connect", "198.51.100.97:443", "-servername", "x.test", "-groups", "X25519:P-384", "-tls1_3"], input="")
    assert "TLSv1.3" in r.stdout and "secp384r1" in r.stdout, r.stdout + r.stderr
    assert n.count("spliced") == spliced + 1 and n.told("second-name")[0]["count"] == 2
