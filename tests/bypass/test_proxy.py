# SPDX-License-Identifier: Apache-2.0
"""Agents behind a company's HTTP proxy (`proxies`): CONNECT to an LLM host ends at purse and is metered, to others it passes, and no trick inside of a
tunnel reaches an LLM host. The proxy is a real one of our own making, outside of the gate, and writes down what it hears."""
import base64
import json
import subprocess
import sys

import pytest
import world as worlds

PROXY, OTHER = "198.51.100.50", worlds.OTHER4
PORT = 3128
OPENAI, ANTHROPIC = worlds.NAMES
BASIC = "Basic " + base64.b64encode(b"corp:s3cr3t-canary").decode()

SERVER = r"""
import socket, sys, threading, time
me, port, auth, addresses = sys.argv[1], int(sys.argv[2]), sys.argv[3], dict(a.split("=") for a in sys.argv[4:])
def say(*words):
    print(*words, flush=True)
def head_of(s):
    got = b""
    while b"\r\n\r\n" not in got:
        more = s.recv(4096)
        if not more:
            return None, b""
        got += more
    head, _, behind = got.partition(b"\r\n\r\n")
    return head.decode("latin-1").split("\r\n"), behind
def pump(a, b):
    try:
        while True:
            p = a.recv(65536)
            if not p:
                break
            b.sendall(p)
    except OSError:
        pass
    try:
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(s):
    while True:
        lines, behind = head_of(s)
        if not lines:
            return s.close()
        say("head", repr(lines))
        method, target = lines[0].split(" ")[:2]
        fields = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
        if auth != "-" and fields.get("proxy-authorization") != auth:
            s.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 5\r\n\r\nlogin")
            continue
        if method != "CONNECT":
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nthrough:")
            continue
        host, _, p = target.rpartition(":")
        if host == "early.test":  # its server speaks first, and says what only an answer to a ClientHello says
            s.sendall(b"HTTP/1.1 200 yes\r\n\r\n" + b"\x16\x03\x03\x00\x06\x02\x00\x00\x02\x03\x03")
            while s.recv(4096):
                pass
            return
        try:
            far = socket.create_connection((addresses.get(host, host.strip("[]")), int(p)), timeout=5)
        except OSError as e:
            s.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            continue
        far.settimeout(None)
        s.sendall(b"HTTP/1.1 200 yes\r\nVia: 1.1 corp\r\n\r\n")
        if behind:
            far.sendall(behind)
        threading.Thread(target=pump, args=(far, s), daemon=True).start()
        pump(s, far)
        return
l = socket.create_server((me, port))
say("ready")
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
"""


class Behind:
    """A world with a proxy."""

    def __init__(self, make_world, auth="-", configured=True, config=None, addresses=(), **kw):
        self.w = w = make_world(start=False, config={**({"proxies": [f"{PROXY}:{PORT}"]} if configured else {}), **(config or {})}, **kw)
        worlds.run("ip", "-n", w.name, "addr", "add", PROXY + "/32", "dev", "lo")
        self.log = w.folder / "proxy.log"
        known = {OPENAI: worlds.PROVIDER4, ANTHROPIC: worlds.PROVIDER4, "other.test": OTHER, "alias.test": worlds.PROVIDER4, **dict(addresses)}
        self.server = w.spawn(w.far, [sys.executable, "-uc", SERVER, PROXY, PORT, auth, *[f"{k}={v}" for k, v in known.items()]],
                              stdout=open(self.log, "w"), stderr=subprocess.DEVNULL)
        worlds.wait_for("the proxy", lambda: "ready" in self.log.read_text())
        w.start()
        self.url = f"http://{PROXY}:{PORT}"

    def heads(self):
        return [line for line in self.log.read_text().splitlines() if line.startswith("head")]

    def told(self, word):
        lines = [json.loads(line) for line in self.w.purse("events", "--json").stdout.splitlines()]
        return sum(e["count"] for e in lines if e["reason"] == word)

    def say(self, *texts):
        """What an agent reads, saying one text after the other, each when something came."""
        code = f"import socket\ns = socket.create_connection(('{PROXY}', {PORT}), timeout=5)\ns.settimeout(8)\n" + "".join(
            f"s.sendall({t!r})\ntry: print('got', s.recv(4096)[:80])\nexcept OSError as e: print(e)\n" for t in texts)
        return self.w.python("bot", code).stdout

    def requests(self):
        return len(self.w.requests())


@pytest.fixture
def behind(make_world):
    made = []

    def make(**kw):
        made.append(Behind(make_world, **kw))
        return made[-1]
    yield make
    for b in made:
        b.server.kill()
        b.server.wait()


def hello(name):
    """A ClientHello as OpenSSL writes it."""
    import ssl
    out = ssl.MemoryBIO()
    ctx = ssl.create_default_context()
    ctx.check_hostname = False
    o = ctx.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        o.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def connect(target, *fields):
    return "\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *fields, "", ""]).encode()


# ---- what works

def test_curl_is_metered(behind):
    b = behind()
    for more in ((), ("--http1.1",), ("--proxytunnel",)):
        status, text, r = b.w.chat(args=("-x", b.url, "--proxy-header", f"Proxy-Authorization: {BASIC}", *more))
        assert status == 200, text + r.stderr
    assert b.requests() == 3 and b.heads() == [], "the proxy heard of an LLM call"
    assert all(PROXY not in json.dumps(r) and "s3cr3t" not in json.dumps(r) and BASIC not in json.dumps(r) for r in b.w.records())
    b.w.assert_exact()
    assert not any(a["address"] == PROXY for e in b.w.purse_json("endpoints")["endpoints"] for a in e["addresses"])
    assert BASIC not in b.w.daemon_log.read_text()


def test_the_sdk_is_metered(behind):
    pytest.importorskip("openai", reason="the openai package is missing (tests/lib/requirements.txt)")
    b = behind()
    code = """
import openai
client = openai.OpenAI()
ask = dict(model="fake-mini", messages=[{"role": "user", "content": "hello"}], max_tokens=50)
assert client.chat.completions.create(**ask).choices[0].message.content
assert sum(len(c.choices[0].delta.content or "") for c in client.chat.completions.create(**ask, stream=True))
print("done")
"""
    r = b.w.python("bot", code, HTTPS_PROXY=b.url.replace("//", "//corp:s3cr3t-canary@"))
    assert "done" in r.stdout, r.stderr
    assert b.requests() == 2 and b.heads() == []
    b.w.assert_exact()


def test_the_budget_holds_through_a_proxy(behind):
    b = behind(agents=[{"name": "bot", "day": "0.000001USD"}])
    status, text, r = b.w.chat(args=("-x", b.url), max_tokens=1000)
    assert status == 402, text + r.stderr
    assert b.requests() == 0


def test_others_pass_with_head_and_answer_unchanged(behind):
    b = behind(auth=BASIC)
    r = b.w.curl("bot", "https://other.test/v1/models", "-k", "-x", b.url.replace("//", "//corp:s3cr3t-canary@"), "-v")
    assert r.returncode == 0 and "Via: 1.1 corp" in r.stderr, r.stderr
    (head,) = b.heads()
    assert "CONNECT other.test:443" in head and BASIC in head
    assert b.w.ledger() == [] and "s3cr3t" not in b.w.daemon_log.read_text() and BASIC not in b.w.daemon_log.read_text()
    # Refused, the answer comes as it is, and the next try, on a connection of its own, gets through.
    assert "got b'HTTP/1.1 407 Proxy Authentication Required" in b.say(connect("other.test:443"))
    r = b.w.curl("bot", "https://other.test/v1/models", "-k", "-x", b.url, "--proxy-anyauth", "--proxy-user", "corp:s3cr3t-canary")
    assert r.returncode == 0, r.stderr
    r = b.w.curl("bot", "https://other.test/v1/models", "-k", "-x", b.url)
    assert "407" in r.stderr
    # Bytes behind the head are the tunnel's.
    got = b.say(connect("other.test:443", f"Proxy-Authorization: {BASIC}") + hello("other.test"), b"")
    assert "200 yes" in got and "\\x16\\x03" in got, got


def test_plain_requests_pass(behind):
    b = behind()
    assert "through:" == b.w.curl("bot", "http://other.test/x", "-x", b.url).stdout
    r = b.w.curl("bot", f"http://{OPENAI}/v1/models", "-x", b.url)
    assert "https://" in r.stdout and len(b.heads()) == 1 and b.told("plain-http") == 1
    assert "403" in b.say(f"GET https://{OPENAI}/v1/models HTTP/1.1\r\nHost: x.test\r\n\r\n".encode())
    assert len(b.heads()) == 1 and b.requests() == 0


def test_a_proxy_that_is_away(behind):
    b = behind()
    b.server.kill()
    b.server.wait()
    assert "502" in b.w.curl("bot", "https://other.test/", "-x", b.url).stderr
    assert b.w.chat(args=("-x", b.url))[0] == 200, "nobody needs it for LLM calls"
    b.w.assert_exact()


# ---- what does not

# Kept: an LLM host is reached by nobody but purse. Row: what is said, one after the other; the word in `purse events`; does the proxy hear of it?
TRICKS = {
    "an LLM name inside another's tunnel": ([connect("other.test:443"), hello(OPENAI)], "tunnel-name", True),
    "an LLM name at an address": ([connect(f"{worlds.PROVIDER4}:443"), hello(OPENAI)], "tunnel-name", True),
    "another name at an LLM address": ([connect(f"{worlds.PROVIDER4}:443"), hello("x.test")], "other-name", True),
    "no name at an LLM address": ([connect(f"{worlds.PROVIDER4}:443"), hello(None)], "no-name", True),
    "another name for an LLM address": ([connect("alias.test:443"), hello("alias.test")], "other-name", True),
    "plain HTTP inside for an LLM host": ([connect("other.test:443"), f"GET / HTTP/1.1\r\nHost: {OPENAI}\r\n\r\n".encode()], "plain-http", True),
    "a tunnel inside a tunnel": ([connect("other.test:443"), connect(f"{OPENAI}:443")], "plain-http", True),
    "another in an LLM host's tunnel": ([connect(f"{OPENAI}:443"), hello("x.test")], "other-name", False),
    "another LLM host in it": ([connect(f"{OPENAI}:443"), hello(ANTHROPIC)], "tunnel-name", False),
    "no name in it": ([connect(f"{OPENAI}:443"), hello(None)], "no-name", False),
    "plain HTTP in it": ([connect(f"{OPENAI}:443"), b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"], "plain-http", False),
    "something else in it": ([connect(f"{OPENAI}:443"), b"SSH-2.0-x\r\n"], "not-tls", False),
    "two readers of a line end": ([connect("other.test:443", f"X: y\nHost: {OPENAI}")], "bad-connect", False),
    "an LLM host as Host": ([f"CONNECT other.test:443 HTTP/1.1\r\nHost: {OPENAI}\r\n\r\n".encode()], "bad-connect", False),
    "a body": ([connect("other.test:443", "Content-Length: 5")], "bad-connect", False),
    "lower case": ([connect(f"{OPENAI}:443").replace(b"CONNECT", b"connect")], "proxy", False),
    "lines before it": ([b"\r\n" + connect("other.test:443")], "tunnel", False),
    "behind another request": ([b"GET http://other.test/ HTTP/1.1\r\nHost: other.test\r\n\r\n" + connect(f"{OPENAI}:443")], "plain-http", False),
    "behind a refusal": ([connect("nobody.test:1"), connect(f"{OPENAI}:443")], None, True),
    "TLS to the proxy": ([hello("proxy.corp.test")], "proxy", False),
    "SOCKS": ([b"\x05\x01\x00"], "bad-hello", False),
    "something else": ([b"\x00" * 20], "proxy", False),
}


def test_tricks(behind):
    b = behind()
    hosts = b.w.folder / "hosts"
    hosts.write_text(hosts.read_text() + f"{worlds.PROVIDER4} alias.test\n")
    for row, (texts, word, is_heard) in TRICKS.items():
        before, heard = b.told(word) if word else 0, len(b.heads())
        got = b.say(*texts)
        assert not word or b.told(word) == before + 1, f"{row}: {got} {b.w.purse('events').stdout}"
        assert (len(b.heads()) - heard > 0) == is_heard, f"{row}: {b.heads()[heard:]}"
        assert "\\x16\\x03" not in got, f"{row}: {got}"
        assert not any(OPENAI in h or ANTHROPIC in h for h in b.heads()), row
    assert b.requests() == 0 and b.w.ledger() == []


def test_a_server_that_answers_before_it_is_asked(behind):
    """Its bytes came with the proxy's 200, ahead of the agent's hello."""
    b = behind()
    b.say(connect("early.test:443"), hello("early.test"), b"x")
    assert b.w.daemon.poll() is None
    assert b.w.chat(args=("-x", b.url))[0] == 200
    b.w.assert_exact()


def test_silence_is_told(behind):
    b = behind()
    assert "late-hello" not in b.w.purse("events").stdout
    b.say(connect("other.test:443"), b"")
    worlds.wait_for("the refusal", lambda: b.told("late-hello") == 1, 12)


def test_without_the_config_it_stays_open(behind):
    """What docs/names.md says of a proxy that nobody has told purse of."""
    b = behind(configured=False)
    r = b.w.curl("bot", "https://other.test/v1/models", "-k", "-x", b.url)
    assert r.returncode == 0, r.stderr
    assert b.w.purse_json("status")["daemon"]["counts"]["conns"] == 0
