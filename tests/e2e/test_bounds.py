# SPDX-License-Identifier: Apache-2.0
"""What one agent may have of what all share: connections, memory for request bodies, time for a request and for an answer. Others go on."""
import json
import re
import subprocess
import sys
import time

import pytest
import world as worlds

TWO = [{"name": "bot", "day": "10USD"}, {"name": "other", "day": "10USD"}]

# Opens as many as it is told and holds them, however they end. Says how many the other side has ended.
HOARD = """
import resource, select, socket, ssl, sys, time
how, n = sys.argv[1], int(sys.argv[2])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
ctx = ssl.create_default_context()
host = "other.test" if how == "spliced" else "api.openai.com"
ctx.check_hostname = how != "spliced"
if how == "spliced": ctx.verify_mode = ssl.CERT_NONE
held = []
for i in range(n):
    try:
        s = socket.create_connection((host, 443), timeout=5)
        held.append(s)
        if how != "silent": held[-1] = s = ctx.wrap_socket(s, server_hostname=host)
        if how == "calls":
            s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nContent-Length: 10\\r\\n\\r\\n")
    except (OSError, ssl.SSLError): pass
print("held", flush=True)
sys.stdin.readline()
gone = 0
for s in held:
    if s.fileno() < 0: gone += 1; continue
    s.setblocking(False)
    try: gone += s.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError): pass
    except OSError: gone += 1
print(gone, flush=True)
"""


def counts(w):
    return w.purse_json("status")["daemon"]["counts"]


def cpu_ticks(w):
    return sum(int(v) for v in open(f"/proc/{w.daemon.pid}/stat").read().rpartition(")")[2].split()[11:13])


@pytest.mark.parametrize("how", ["silent", "idle", "spliced", "calls"])
def test_one_agent_does_not_take_all_connections(make_world, how):
    w = make_world(start=False, agents=TWO)
    w.start(wrap=["prlimit", "--nofile=512:512"])
    assert w.chat("other")[0] == 200
    p = w.spawn("bot", [sys.executable, "-c", HOARD, how, "1500"], env=w.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    for _ in range(6):
        began = time.monotonic()
        assert w.chat("other")[0] == 200
        assert time.monotonic() - began < 3
        time.sleep(0.3)
    assert p.stdout.readline() == "held\n"
    assert w.chat("other")[0] == 200
    said = [line for line in w.daemon_log.read_text().splitlines() if "connections or calls refused" in line]
    n = counts(w)
    assert n["out_of_files"] == 0
    # Who has idle ones loses these, and gets new ones in their place.
    if how == "idle":
        assert n["shed"] > 1000 and n["over_share"] == 0
    else:
        assert n["over_share"] > 1000 and len(said) == 1 and "connections_per_agent" in said[0]
    p.stdin.write("\n")
    p.stdin.flush()
    assert int(p.stdout.readline()) > 1200
    p.wait(10)
    assert w.chat("bot")[0] == 200
    w.assert_exact()


POOL = """
import http.client, json, ssl, sys
n = int(sys.argv[1])
ctx = ssl.create_default_context()
body = json.dumps({"model": "fake-mini", "max_tokens": 10, "messages": []})
pool = [http.client.HTTPSConnection("api.openai.com", context=ctx, timeout=20) for _ in range(n)]
closed = 0
for turn in range(2):
    for c in pool:
        if c.sock:
            c.sock.setblocking(False)
            try: closed += c.sock.recv(1) == b""; c.close()
            except ssl.SSLWantReadError: c.sock.settimeout(20)
        c.request("POST", "/v1/chat/completions", body)
        r = c.getresponse()
        assert r.status == 200, r.read()
        r.read()
print(closed)
"""


def test_a_pool_larger_than_the_bound_works(make_world):
    """The connections that rest longest are closed, in good order, for the new ones."""
    w = make_world(config={"connections_per_agent": 10})
    r = w.python("bot", POOL.replace("sys.argv[1]", "'30'"))
    assert r.returncode == 0 and int(r.stdout) >= 20, r.stderr
    assert counts(w)["shed"] >= 40 and counts(w)["over_share"] == 0
    w.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_calls_over_the_bound_are_told_so(make_world, http):
    w = make_world(config={"connections_per_agent": 6}, agents=TWO)
    argv = ["curl", "-sS", http, "-Z", "--parallel-max", "10"]
    for i in range(8):
        argv += ["--next"] * bool(i) + [http, "-sS", "-w", "\n=%{http_code}", "-H", "x-fake: out=20,gap=0.1", "-H", "content-type: application/json", "-d",
                                        json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 30, "stream": True}), "https://api.openai.com/v1/chat/completions"]
    r = w.in_agent("bot", argv)
    served, told = r.stdout.count("=200"), r.stdout.count("=429")
    assert 1 <= served <= 3 if http == "--http1.1" else served == 5, r.stdout[-2000:] + r.stderr
    # Whoever got no connection at all sees it closed.
    assert told == 3 if http == "--http2" else told < 8
    if told:
        assert "connections_per_agent" in r.stdout and '"reason":"over_share"' in r.stdout
    assert w.chat()[0] == 200
    w.assert_exact()


# ---- time

@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models"])
def test_a_dripped_body_is_over_in_time(make_world, http, path):
    w = make_world(config={"request_timeout": "1s"})
    began = time.monotonic()
    r = w.in_agent("bot", ["curl", "-sS", http, "--limit-rate", "2k", "-X", "GET" if path == "/v1/models" else "POST", "-w", "\n%{http_code}", "-H",
                           "content-type: application/json", "--data-binary", "@-", "https://api.openai.com" + path],
                   input=json.dumps({"model": "fake-mini", "messages": [{"role": "user", "content": "x" * 100000}]}))
    assert r.stdout.endswith("408") and "request_timeout" in r.stdout and '"reason":"slow_request"' in r.stdout, r.stdout + r.stderr
    assert time.monotonic() - began < 5
    assert w.requests() == [] and counts(w)["slow_requests"] == 1


DRIP = """
import socket, ssl, sys, time
c = ssl.create_default_context().wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
began, out = time.monotonic(), b""
try:
    for b in b"GET /v1/models HTTP/1.1\\r\\nHost: api.openai.com\\r\\nx-long: " + b"y" * 1000:
        c.sendall(bytes([b]))
        c.settimeout(0.1)
        try:
            out += c.recv(1000)
            break
        except TimeoutError: pass
except OSError as e: out += repr(e).encode()
print(round(time.monotonic() - began, 1), out.decode("latin1"))
"""


def test_a_dripped_head_is_over_in_time(make_world):
    w = make_world(config={"request_timeout": "1s"})
    r = w.python("bot", DRIP)
    took, _, out = r.stdout.partition(" ")
    assert out.startswith("HTTP/1.1 408") and float(took) > 0.8, r.stdout + r.stderr
    assert counts(w)["slow_requests"] == 1


UNREAD = """
import json, socket, ssl, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("api.openai.com", 443))
c = ssl.create_default_context().wrap_socket(s, server_hostname="api.openai.com")
body = json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 2000000, "stream": True}).encode()
c.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nx-fake: out=2000000\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
time.sleep(30)
"""


def test_an_answer_that_nobody_reads_is_over_in_time(make_world):
    w = make_world(config={"stall_timeout": "2s"})
    p = w.spawn("bot", [sys.executable, "-c", UNREAD], env=w.agent_env())
    worlds.wait_for("the call to run", lambda: w.purse_json("status")["daemon"]["in_flight"] == 1)
    worlds.wait_for("the call to end", lambda: w.purse_json("status")["daemon"]["in_flight"] == 0, 10)
    assert counts(w)["stalled"] == 1 and counts(w)["conns_open"] == 0
    assert [c["end"] for c in w.ledger()] == ["agent-gone"]
    p.kill()
    p.wait()
    w.quiet().audit()


# One stream of a connection gets no window, the others are read.
UNREAD_STREAM = """
import json, socket, ssl, sys, time
import h2.config, h2.connection, h2.events, h2.exceptions
ctx = ssl.create_default_context()
ctx.set_alpn_protocols(["h2"])
c = ctx.wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
h = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
h.initiate_connection()
h.increment_flow_control_window(1 << 28)
def ask(out, gap):
    i = h.get_next_available_stream_id()
    body = json.dumps({"model": "fake-mini", "messages": [], "max_tokens": out, "stream": True}).encode()
    h.send_headers(i, [(":method", "POST"), (":path", "/v1/chat/completions"), (":scheme", "https"), (":authority", "api.openai.com"),
                       ("content-type", "application/json"), ("x-fake", f"out={out},gap={gap}")])
    h.send_data(i, body, end_stream=True)
    return i
unread, read = ask(1000000, 0), ask(60, 0.1)
c.sendall(h.data_to_send())
while True:
    data = c.recv(65536)
    if not data: break
    for e in h.receive_data(data):
        if isinstance(e, h2.events.DataReceived) and e.stream_id == read and e.flow_controlled_length:
            try: h.increment_flow_control_window(e.flow_controlled_length, read)
            except h2.exceptions.StreamClosedError: pass  # by what came with it
        if isinstance(e, h2.events.StreamReset): print("reset", "unread" if e.stream_id == unread else "read", flush=True)
        if isinstance(e, h2.events.StreamEnded):
            print("ended", "unread" if e.stream_id == unread else "read", flush=True)
            sys.exit()
    c.sendall(h.data_to_send())
"""


def test_a_stream_that_nobody_reads_is_over_in_time(make_world):
    w = make_world(config={"stall_timeout": "2s"})
    r = w.python("bot", UNREAD_STREAM)
    assert r.stdout.split("\n")[:2] == ["reset unread", "ended read"], r.stdout + r.stderr
    assert counts(w)["stalled"] == 1
    assert sorted(c["end"] for c in w.quiet().ledger()) == ["agent-gone", "done"]
    w.audit()


# ---- memory

SMALL = {"body_max": "256KiB", "bodies_max": "768KiB", "bodies_per_agent": "256KiB"}
BIG = json.dumps({"model": "fake-mini", "messages": [{"role": "user", "content": "x" * 200000}], "max_tokens": 5})
UPLOAD = """
import socket, ssl, sys, time
seconds, declared = float(sys.argv[1]), sys.argv[2] == "declared"
body = sys.stdin.buffer.read()
c = ssl.create_default_context().wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
c.settimeout(40)
began = time.monotonic()
def send(b): c.sendall(b if declared else b"%x\\r\\n%s\\r\\n" % (len(b), b))
c.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\n"
          + (b"Content-Length: %d" % len(body) if declared else b"Transfer-Encoding: chunked") + b"\\r\\n\\r\\n")
out = b""
try:
    send(body[:150000])
    time.sleep(seconds)
    send(body[150000:])
    if not declared: c.sendall(b"0\\r\\n\\r\\n")
    while b"\\r\\n\\r\\n" not in out: out += c.recv(65536)
    head, _, got = out.partition(b"\\r\\n\\r\\n")
    want = int(head.lower().partition(b"content-length: ")[2].split()[0])
    while len(got) < want:
        more = c.recv(65536)
        if not more: break
        got, out = got + more, out + more
except OSError as e: out += repr(e).encode()
print(round(time.monotonic() - began, 1), out.decode("latin1"))
"""


def upload(w, agent, seconds, how="declared"):
    p = w.spawn(agent, [sys.executable, "-c", UPLOAD, str(seconds), how], env=w.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True)
    p.stdin.write(BIG)
    p.stdin.close()
    return p


def result(p):
    took, _, out = p.stdout.read().partition(" ")
    p.wait(10)
    status = re.match(r"HTTP/1.1 (\d+)", out)
    return int(status[1]) if status else 0, float(took or 0), out


def test_bodies_wait_for_memory(make_world):
    """Two do not fit: the second is not read until the first is out, and then goes through. Another agent has its own."""
    w = make_world(config=SMALL, agents=TWO)
    first = upload(w, "bot", 3)
    worlds.wait_for("the first to be there", lambda: counts(w)["exchanges_open"] == 1)
    second, other = upload(w, "bot", 0), upload(w, "other", 0)
    status, took, out = result(other)
    assert status == 200 and first.poll() is None, out
    assert [result(first)[0], result(second)[0]] == [200, 200]
    w.assert_exact()


def test_bodies_do_not_wait_for_ever(make_world):
    w = make_world(config=SMALL)
    first = upload(w, "bot", 14)
    worlds.wait_for("the first to be there", lambda: counts(w)["exchanges_open"] == 1)
    status, took, out = result(upload(w, "bot", 0))
    assert status == 429 and took >= 9 and first.poll() is None and "bodies_per_agent" in out and "retry-after: 1" in out.lower(), out
    assert result(first)[0] == 200
    w.assert_exact()


@pytest.mark.parametrize("how", ["http2", "chunked"])
def test_bodies_that_cannot_wait_are_told_so(make_world, how):
    w = make_world(config=SMALL)
    first = upload(w, "bot", 3)
    worlds.wait_for("the first to be there", lambda: counts(w)["exchanges_open"] == 1)
    if how == "http2":
        r = w.in_agent("bot", ["curl", "-sS", "--http2", "-w", "\n%{http_code}", "-H", "content-type: application/json", "--data-binary", "@-",
                               "https://api.openai.com/v1/chat/completions"], input=BIG)
        assert r.stdout.endswith("429") and "bodies_per_agent" in r.stdout and '"reason":"over_share"' in r.stdout, r.stdout + r.stderr
    else:
        status, _, out = result(upload(w, "bot", 0, "chunked"))
        assert status == 429 and "bodies_per_agent" in out, out
    assert result(first)[0] == 200
    # And all of it was given back.
    for how in ("declared", "chunked"):
        assert result(upload(w, "bot", 0, how))[0] == 200
    w.assert_exact()


# ---- key updates against a full socket

KEY_UPDATES = """
import ctypes, json, socket, sys, time
ssl = ctypes.CDLL("libssl.so.3")
for name in ("SSL_CTX_new", "TLS_client_method", "SSL_new"): getattr(ssl, name).restype = ctypes.c_void_p
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("api.openai.com", 443))
c = ctypes.c_void_p(ssl.SSL_new(ctypes.c_void_p(ssl.SSL_CTX_new(ctypes.c_void_p(ssl.TLS_client_method())))))
ssl.SSL_set_fd(c, s.fileno())
ssl.SSL_ctrl(c, 55, 0, b"api.openai.com")  # the name
assert ssl.SSL_connect(c) == 1
body = json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 600000}).encode()
ask = b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nx-fake: out=%d\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n" % (int(sys.argv[1]), len(body)) + body
assert ssl.SSL_write(c, ask, len(ask)) == len(ask)
time.sleep(1.5)
for _ in range(20):  # each wants an answer, for which there is no room
    assert ssl.SSL_key_update(c, 1) == 1
    assert ssl.SSL_do_handshake(c) == 1
    time.sleep(0.02)
print("sent", flush=True)
time.sleep(2)
out, got = b"", ctypes.create_string_buffer(65536)
while True:
    n = ssl.SSL_read(c, got, 65536)
    if n <= 0: break
    out += got.raw[:n]
print(out.count(b"tok "), flush=True)
"""


@pytest.mark.parametrize("out", [20000, 100000])
def test_key_updates_against_a_full_socket(world, out):
    """Nobody turns in circles, and the answer arrives whole."""
    p = world.spawn("bot", [sys.executable, "-c", KEY_UPDATES, str(out)], env=world.agent_env(), stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline() == "sent\n"
    ticks = cpu_ticks(world)
    time.sleep(1.5)
    assert cpu_ticks(world) - ticks < 30
    assert int(p.stdout.readline()) == out
    p.wait(10)
    world.assert_exact()
