# SPDX-License-Identifier: Apache-2.0
"""How purse says no: by the kernel when nothing is left, by the daemon in the provider's own shape when a call does not fit."""
import json

import pytest
import world as worlds
from world import nano

BUDGET = [{"name": "bot", "day": "0.01USD"}]  # fake-mini, 20 output tokens: some calls of about $0.0001 held


def spend_all(w):
    """Calls until one is refused; returns that answer."""
    for _ in range(100):
        status, text, r = w.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")
        if status != 200:
            return status, text, r
    raise AssertionError("never refused")


def test_402_names_budget_and_figures(make_world):
    w = make_world(agents=BUDGET)
    status, text, r = spend_all(w)
    assert status == 402
    error = json.loads(text)["error"]
    assert error["type"] == "insufficient_quota" and "day budget of" in error["message"] and "resets at" in error["message"]
    facts = error["purse"]
    assert facts["account"] == "bot" and facts["window"] == "day"
    w.assert_exact()
    assert w.charged() <= 10**7
    refusals = w.refusals()
    assert len(refusals) == 1 and refusals[0]["reason"] == "budget" and nano(refusals[0]["limit"]) == 10**7


def test_should_not_retry_and_keeps_the_connection(make_world):
    w = make_world(agents=BUDGET)
    spend_all(w)
    body = {"model": "fake-large", "messages": [], "max_tokens": 500}
    url = "https://api.openai.com/v1/chat/completions"
    r = w.in_agent("bot", ["curl", "-sSi", "--http1.1", "-H", "content-type: application/json", "-d", json.dumps(body), url,
                           "--next", "-sSi", "--http1.1", "-H", "content-type: application/json", "-d", json.dumps(body), url,
                           "-w", "%{num_connects}"])
    assert r.stdout.count("HTTP/1.1 402") == 2 and r.stdout.lower().count("x-should-retry: false") == 2
    assert r.stdout.endswith("0")  # the second one opened no connection


def test_anthropic_shape(make_world):
    w = make_world(agents=[{"name": "bot", "total": "0.000001USD"}])
    r = w.curl("bot", "https://api.anthropic.com/v1/messages", body={"model": "fake-haiku", "max_tokens": 10, "messages": []})
    answer = json.loads(r.stdout)
    assert "of $0.000001, $0.00 held" in answer["error"]["message"]
    assert answer["type"] == "error" and answer["error"]["type"] == "billing_error" and "request_id" in answer
    assert w.requests() == []


def test_the_kernel_refuses_when_nothing_is_left(make_world):
    w = make_world(agents=[dict(BUDGET[0], exhausted_below="0.005USD")])
    spend_until = 0
    while nano(w.account()["windows"]["day"]["left"]) > 5 * 10**6:
        assert w.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")[0] == 200
        w.quiet()
        spend_until += 1
    before = len(w.requests())
    r = w.python("bot", "import socket,errno\n"
                 "try: socket.create_connection(('198.51.100.10', 443)); print('connected')\n"
                 "except OSError as e: print(errno.errorcode[e.errno])")
    assert r.stdout.strip() == "EDQUOT"
    assert len(w.requests()) == before
    assert any(e["reason"].startswith("no") and e["agent"] == "bot" for e in events(w))


def test_explain_connects_only_to_be_told(make_world):
    w = make_world(agents=[dict(BUDGET[0], exhausted_below="0.009999USD", on_exhausted="explain")])
    assert w.chat(model="fake-large", max_tokens=100, fake="out=50")[0] == 200
    w.quiet()
    status, text, _ = w.chat(max_tokens=1)
    assert status == 402 and "insufficient_quota" in text
    assert len(w.requests()) == 1


def events(w):
    return [json.loads(line) for line in w.purse("events", "--json").stdout.splitlines()]


def test_pause_and_resume(world):
    assert world.chat()[0] == 200
    world.purse("agent", "pause", "bot")
    assert world.chat()[2].returncode == 7
    world.purse("agent", "resume", "bot")
    assert world.chat()[0] == 200
    world.assert_exact()


@pytest.mark.parametrize("model, path, expected", [
    ("no-such-model", "/v1/chat/completions", 400),
    ("fake-mini", "/v1/images/edits", 403),
    ("fake-mini", "/v1/chat/completions/../embeddings", 403),
    ("fake-mini", "/v1/unheard-of", 403),
])
def test_what_cannot_be_priced_is_not_forwarded(world, model, path, expected):
    r = world.curl("bot", "https://api.openai.com" + path, "--path-as-is", "-w", "\n%{http_code}",
                   body={"model": model, "messages": [], "max_tokens": 5})
    assert r.stdout.endswith(str(expected)), r.stdout
    assert world.requests() == []


@pytest.mark.parametrize("body", ["", "{", "[]", '{"model":5}', '{"model":"fake-mini","model":"fake-large"}', '{"messages":[]}',
                                  '{"model":"fake-mini"} x', '{"model":"fake-mini","a":"\x01"}'])
def test_bodies_that_cannot_be_read_with_certainty(world, body):
    r = world.curl("bot", "https://api.openai.com/v1/chat/completions", "-w", "\n%{http_code}", body=body)
    assert r.stdout.endswith("400"), r.stdout
    assert world.requests() == []


def test_too_large_a_body(make_world):
    w = make_world(config={"body_max": "64KiB"})
    big = json.dumps({"model": "fake-mini", "messages": [{"role": "user", "content": "x" * 100000}], "max_tokens": 5})
    r = w.in_agent("bot", ["curl", "-sS", "-w", "\n%{http_code}", "-H", "content-type: application/json", "--data-binary", "@-",
                           "https://api.openai.com/v1/chat/completions"], input=big)
    assert r.stdout.endswith("413"), r.stdout + r.stderr
    assert w.requests() == []


RAW = """
import socket, ssl, sys
c = ssl.create_default_context(cafile=sys.argv[1]).wrap_socket(socket.create_connection(('api.openai.com', 443)), server_hostname='api.openai.com')
c.settimeout(5)
c.sendall(sys.argv[2].encode().decode('unicode_escape').encode('latin1'))
out = b''
try:
    while True:
        got = c.recv(65536)
        if not got: break
        out += got
        if out.count(b'\\r\\n\\r\\n') >= 1 and b'HTTP/1.1 4' in out: break
except (socket.timeout, ssl.SSLError, ConnectionError) as e: out += repr(e).encode()
print(out.decode('latin1'))
"""
POST = r"POST /v1/chat/completions HTTP/1.1\r\nHost: api.openai.com\r\n"


@pytest.mark.parametrize("head", [
    POST + r"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST + r"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    POST + r"Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n",
    POST + r"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST + r"X: a\rb\r\n\r\n", POST + r"X: a\nContent-Length: 5\r\n\r\n", POST + r": empty\r\n\r\n", POST + r" folded\r\n\r\n",
    POST + r"X: a\x00b\r\n\r\n", r"POST /v1/chat/completions HTTP/1.1\r\n\r\n",
    POST + r"Host: api.openai.com\r\n\r\n", r"GET http://api.openai.com/v1/models HTTP/1.1\r\nHost: api.openai.com\r\n\r\n",
    r"CONNECT api.openai.com:443 HTTP/1.1\r\nHost: api.openai.com:443\r\n\r\n",
    POST + r"Connection: content-length\r\nContent-Length: 3\r\n\r\nabc",
])
def test_smuggling_heads_are_refused(world, head):
    r = world.in_agent("bot", ["python3", "-c", RAW, str(world.state / "ca/bundle.pem"), head])
    assert "HTTP/1.1 400" in r.stdout, r.stdout + r.stderr
    assert world.requests() == []


def test_another_host_on_our_connection(world):
    for host in ("api.anthropic.com", "evil.test", "api.openai.com:444"):
        r = world.curl("bot", "https://api.openai.com/v1/models", "-H", "Host: " + host, "-w", "\n%{http_code}")
        assert r.stdout.endswith("421"), r.stdout
    assert world.requests() == []


def test_a_bad_upstream_certificate_is_told_and_nothing_sent(make_world):
    for cert, word in [(lambda ca: ca.leaf("bad", ["wrong.test"]), "another name"),
                       (lambda ca: ca.leaf("old", list(worlds.NAMES), expired=True), "expired")]:
        w = make_world(cert=cert)
        status, text, _ = w.chat()
        assert status == 502 and word in text and "certificate" in text
        assert w.requests() == []
        assert nano(w.account()["windows"]["day"]["held"]) == 0


def test_keys_and_prompts_reach_neither_disk_nor_log(world):
    world.chat(args=["-H", "authorization: Bearer sk-canary-1"], messages=[{"role": "user", "content": "canary-prompt"}])
    world.chat(model="none", messages=[{"role": "user", "content": "canary-prompt"}], args=["-H", "authorization: Bearer sk-canary-1"])
    world.stop()
    for f in [world.daemon_log, *world.state.rglob("*")]:
        if f.is_file():
            assert b"canary" not in f.read_bytes(), f
