# SPDX-License-Identifier: Apache-2.0
"""What peers may throw at the daemon: it answers or closes, counts, and goes on; nothing is forwarded, nothing is lost."""
import os
import random
import socket
import subprocess

import pytest
import world as worlds

SEND = """
import socket, sys
for line in sys.stdin:
    s = socket.create_connection(("198.51.100.10", 443), timeout=5)
    try:
        s.sendall(bytes.fromhex(line)); s.shutdown(socket.SHUT_WR); s.settimeout(5)
        while s.recv(65536): pass
    except OSError: pass
    s.close()
print("sent")
"""


def throw(w, blobs):
    r = w.in_agent("bot", ["python3", "-c", SEND], input="\n".join(b.hex() for b in blobs) + "\n", timeout=120)
    assert r.stdout == "sent\n", r.stderr
    assert w.daemon.poll() is None
    assert w.requests() == []
    assert w.chat()[0] == 200
    w.assert_exact()


def client_hello():
    import ssl
    out = ssl.MemoryBIO()
    c = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="api.openai.com")
    try:
        c.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def test_malformed_tls(world):
    dice = random.Random(7)
    hello = client_hello()
    blobs = [b"\x16\x03\x01\xff\xff" + b"x" * 100, b"\x16\x03\x01\x00\x00", b"\x80\x2e\x01\x00\x02", b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 50,
             hello[:40], hello + b"\x17\x03\x03\x00\x05hello", os.urandom(3000)]
    for _ in range(60):
        broken = bytearray(hello)
        for _ in range(dice.randint(1, 4)):
            broken[dice.randrange(5, len(broken))] = dice.randrange(256)
        blobs.append(bytes(broken))
    throw(world, blobs)


def test_malformed_http2(world):
    code = """
import os, random, socket, ssl, sys
ctx = ssl.create_default_context(cafile=sys.argv[1]); ctx.set_alpn_protocols(["h2"])
dice = random.Random(11)
preface = b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n"
for i in range(40):
    c = ctx.wrap_socket(socket.create_connection(("api.openai.com", 443), timeout=5), server_hostname="api.openai.com")
    frame = bytes([0, 0, dice.randrange(60), dice.randrange(11), dice.randrange(256), 0, 0, 0, dice.randrange(4)]) + os.urandom(60)
    try:
        c.sendall((preface + b"\\0\\0\\0\\4\\0\\0\\0\\0\\0" if i % 3 else b"") + frame + os.urandom(dice.randrange(400)))
        c.settimeout(1)
        while c.recv(65536): pass
    except OSError: pass
print("sent")
"""
    r = world.in_agent("bot", ["python3", "-c", code, str(world.state / "ca/bundle.pem")], timeout=120)
    assert r.stdout == "sent\n", r.stderr
    assert world.daemon.poll() is None and world.requests() == []
    assert world.chat()[0] == 200
    world.assert_exact()


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"usage\":", b"HTTP/2 200\r\n\r\n", b"garbage\r\n\r\n", b"",
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\nnot json!",
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
])
def test_a_provider_that_talks_nonsense(make_world, answer):
    """The agent gets an error or the bytes; the call is charged at the estimate, never zero."""
    code = ("import socket, ssl, sys\nc = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1], sys.argv[2])\n"
            "l = socket.create_server((sys.argv[3], 443))\n"
            "while True:\n    try:\n        s = c.wrap_socket(l.accept()[0], server_side=True); s.recv(65536)\n"
            "        s.sendall(bytes.fromhex(sys.argv[4])); s.unwrap()\n    except OSError: pass\n")
    w = make_world(provider=lambda chain, key: ["python3", "-c", code, chain, key, worlds.PROVIDER4, answer.hex()])
    r = w.chat(args=["-4"])[2]
    assert r.returncode != 28, "hung"
    w.quiet().audit()
    (call,) = w.ledger()
    assert call["estimated"] and worlds.nano(call["cost"]) > 0
    assert w.daemon.poll() is None


def control(w, data):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(5)
    s.connect(str(w.folder / "run/control.sock"))
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    out = b""
    try:
        while got := s.recv(65536):
            out += got
    except OSError:
        pass
    return out


def test_malformed_control_requests(world):
    for data in (b"", b"\0" * 10, b"GET / HTTP/1.1\r\n\r\n", b"POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{]}",
                 b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"DELETE /v1/status HTTP/1.1\r\nHost: x\r\n\r\n",
                 b"POST /v1/agents HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n", b"A" * 100000):
        out = control(world, data)
        assert not out or out.startswith(b"HTTP/1.1 4"), (data[:40], out[:100])
    assert world.daemon.poll() is None
    assert world.chat()[0] == 200
    world.assert_exact()


def test_only_root_controls(world):
    path = world.folder / "run/control.sock"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    r = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", str(world.build / "purse"), "-c", str(world.folder / "purse.yaml"), "status"],
                       capture_output=True, text=True)
    assert r.returncode != 0
