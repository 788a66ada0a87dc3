# SPDX-License-Identifier: Apache-2.0
"""Whose time runs when: an agent that reads slowly is not a silent provider; what a provider said before it hung up is handed on; a connection is
not used for longer than the provider keeps it."""
import json
import subprocess
import sys
import time

import pytest
import world as worlds

BODY = {"model": "fake-mini", "messages": [], "max_tokens": 600000}


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_a_slow_agent_is_no_silent_provider(make_world, http):
    w = make_world(config={"response_timeout": "1s"})
    curl = f"curl -sSN {http} -H 'x-fake: out=3000000' -H 'content-type: application/json' -d '{json.dumps(dict(BODY, max_tokens=4000000))}' https://api.openai.com/v1/chat/completions"
    r = w.in_agent("bot", ["sh", "-c", curl + " | (sleep 4; cat) | wc -c"])
    assert int(r.stdout) > 4 * 3000000, r.stdout + r.stderr
    assert [c["end"] for c in w.quiet().ledger()] == ["done"]
    w.assert_exact()


# Says no, or answers, as it is told by the header x-do, without a look at the body.
PROVIDER = """
import re, socket, ssl, sys, threading, time
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
ctx.load_cert_chain(sys.argv[1], sys.argv[2])
OK = b'{"id":"c","object":"chat.completion","created":1,"model":"fake-mini","choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":%d,"total_tokens":17}}'
NO = b'{"error":{"message":"too large, says the provider","type":"invalid_request_error"}}'
def serve(c, number):
    c, buf = ctx.wrap_socket(c, server_side=True), b""
    while True:
        while b"\\r\\n\\r\\n" not in buf:
            got = c.recv(65536)
            if not got: return
            buf += got
        head, _, buf = buf.partition(b"\\r\\n\\r\\n")
        if b"x-do: no" in head:
            time.sleep(0.3)
            c.sendall(b"HTTP/1.1 413 Too Large\\r\\ncontent-type: application/json\\r\\nconnection: close\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(NO) + NO)
            return c.close()
        if b"x-do: leave" in head:
            time.sleep(0.3)
            return c.close()
        n = int(re.search(rb"content-length: (\\d+)", head, re.I)[1])
        while len(buf) < n: buf += c.recv(65536)
        buf, body = buf[n:], OK % number
        c.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\nKeep-Alive: max=100, timeout=3\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
def listen(a):
    s = socket.create_server((a, 443), family=socket.AF_INET6 if ":" in a else socket.AF_INET, backlog=100)
    while True:
        c, _ = s.accept()
        numbers.append(1)
        threading.Thread(target=lambda c=c, n=len(numbers): serve(c, n), daemon=True).start()
numbers = []
for a in sys.argv[3:-1]: threading.Thread(target=listen, args=(a,), daemon=True).start()
listen(sys.argv[-1])
"""


def said_by_hand(chain, key):
    return [sys.executable, "-c", PROVIDER, chain, key, worlds.PROVIDER4, worlds.PROVIDER6]


def ask(w, what, size=0):
    body = json.dumps(dict(BODY, max_tokens=5, messages=[{"role": "user", "content": "y" * size}]))
    r = w.in_agent("bot", ["curl", "-sS", "-w", "\n%{http_code}", "-H", "x-do: " + what, "-H", "expect:", "-H", "content-type: application/json",
                           "--data-binary", "@-", "https://api.openai.com/v1/chat/completions"], input=body)
    text, _, status = r.stdout.rpartition("\n")
    return int(status or 0), text


def test_an_answer_before_the_end_of_the_upload_is_handed_on(make_world):
    w = make_world(provider=said_by_hand, agents=[{"name": "bot", "day": "1000USD"}])
    status, text = ask(w, "no", 16000000)
    assert status == 413 and "says the provider" in text, text
    status, text = ask(w, "leave", 16000000)
    assert status == 502 and "broke while sending" in text, text
    assert [c["cost"] for c in w.quiet().ledger() if c["status"] == 413] == ["0.00"]
    w.audit()


def test_a_connection_is_used_no_longer_than_the_provider_keeps_it(make_world):
    w = make_world(provider=said_by_hand, config={"workers": 1})
    used = []
    for pause in (0, 1, 2.3):
        time.sleep(pause)
        status, text = ask(w, "yes")
        assert status == 200, text
        used.append(json.loads(text)["usage"]["completion_tokens"])
    assert used == [used[0], used[0], used[0] + 1]


TAIL = """
import json, socket, ssl, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
s.connect(("api.openai.com", 443))
c = ssl.create_default_context().wrap_socket(s, server_hostname="api.openai.com")
body = json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 600000}).encode()
c.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nx-fake: out=75000\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body) + body)
sys.stdin.readline()
out = b""
while out.count(b"tok ") < 75000:
    got = c.recv(65536)
    if not got: break
    out += got
print(out.count(b"tok "))
"""


def test_the_end_of_an_answer_outlasts_a_hand_over(world):
    """The call is settled, a part of its answer waits for a slow agent: the old process gives it more than the 10 s of an idle connection."""
    worlds.run("nsenter", f"--net={worlds.NETNS / world.name}", "sysctl", "-w", "net.ipv4.tcp_wmem=4096 16384 65536")  # the rest is in purse
    p = world.spawn("bot", [sys.executable, "-c", TAIL], env=world.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    worlds.wait_for("the call to be settled", lambda: len(world.ledger()) == 1)
    old, at = world.daemon, len(world.daemon_log.read_text())
    with open(world.daemon_log, "a") as out:
        world.daemon = world.spawn("daemon", [world.build / "pursed", "-c", world.folder / "purse.yaml", "--take-over"], stdout=out, stderr=out)
    worlds.wait_for("the take-over", lambda: "ready:" in world.daemon_log.read_text()[at:], 30)
    time.sleep(14)
    p.stdin.write("\n")
    p.stdin.flush()
    assert int(p.stdout.readline()) == 75000
    p.wait(10)
    worlds.wait_for("the old process to end", lambda: old.poll() is not None, 30)
    world.assert_exact()
