# SPDX-License-Identifier: Apache-2.0
"""Odd but lawful shapes of requests and answers: they pass as they are, and the charge is exact."""
import gzip
import json
import sys

import pytest
import world as worlds
from world import nano

CANNED = """
import socket, ssl, sys, threading
c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); c.load_cert_chain(sys.argv[1], sys.argv[2])
answer = open(sys.argv[4], "rb").read()
def serve(s):
    try:
        s = c.wrap_socket(s, server_side=True)
        got = b""
        while b"\\r\\n\\r\\n" not in got: got += s.recv(65536)
        head, _, body = got.partition(b"\\r\\n\\r\\n")
        n = [int(l.split(b":")[1]) for l in head.split(b"\\r\\n") if l.lower().startswith(b"content-length")]
        while n and len(body) < n[0]: body += s.recv(65536)
        s.sendall(answer); s.unwrap()
    except OSError: pass
l = socket.create_server((sys.argv[3], 443))
while True: threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
"""
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
COST = 10 * 150 + 2 * 600
WHOLE = json.dumps({"object": "chat.completion", "model": "fake-mini", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
                    "usage": USAGE}).encode()


def chunk(delta, **more):
    return dict({"object": "chat.completion.chunk", "model": "fake-mini", "choices": [{"index": 0, "delta": {"content": delta}}], "usage": None}, **more)


def events(*deltas):
    out = [chunk(d) for d in deltas] + [chunk("", choices=[], usage=USAGE)]
    return b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in out) + b"data: [DONE]\n\n"


def chunked(body, size=7000, end=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[i:i + size] for i in range(0, len(body), size))) + end


def head(*fields, kind="application/json", status="200 OK"):
    return "\r\n".join([f"HTTP/1.1 {status}", f"content-type: {kind}", *fields, "", ""]).encode()


@pytest.fixture
def canned(make_world, tmp_path):
    def make(answer):
        (tmp_path / "answer").write_bytes(answer)
        return make_world(provider=lambda cert, key: [sys.executable, "-c", CANNED, cert, key, worlds.PROVIDER4, tmp_path / "answer"])
    return make


def charged_exactly(w):
    w.quiet().audit()
    (call,) = w.ledger()
    assert not call["estimated"] and nano(call["cost"]) == COST


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + head(f"content-length: {len(WHOLE)}") + WHOLE,
    head("transfer-encoding: chunked", "trailer: x-sum") + chunked(WHOLE, 5, b"0\r\nx-sum: 1\r\n\r\n"),
    head("connection: close") + WHOLE,
    b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + WHOLE,
], ids=["interim", "trailers", "until-close", "http-1.0"])
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_framings_of_answers(canned, answer, http):
    w = canned(answer)
    status, text, r = w.chat(args=["-4", http])
    assert status == 200 and text.encode() == WHOLE, r.stderr
    charged_exactly(w)


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("size", [300_000, 6_000_000])
def test_a_very_long_event_in_an_edited_stream(canned, http, size):
    """Held back to be edited as far as it may, passed on whole beyond; the usage behind it is read."""
    w = canned(head("transfer-encoding: chunked", kind="text/event-stream") + chunked(events("a", "x" * size, "b")))
    status, text, r = w.chat(stream=True, args=["-4", http])
    assert status == 200 and text.count("x" * size) == 1 and text.rstrip().endswith("[DONE]"), r.stderr
    assert '"prompt_tokens"' not in text
    charged_exactly(w)


def test_no_answer_and_an_error_after_output_cost_something(world):
    """Each by itself: a dear estimate of one call must not hide that another was given away."""
    for kw in (dict(fake="cut=0"), dict(stream=True, fake="out=9,fail=4"), dict(stream=True, fake="out=9,cut=0")):
        world.chat(**kw)
    calls = world.quiet().ledger()
    assert len(calls) == 3 and all(c["estimated"] and nano(c["held"]) >= nano(c["cost"]) > 0 for c in calls)
    assert all(nano(c["cost"]) >= b["bill"] for c, b in zip(reversed(calls), world.bills()))


def answer_with(**more):
    body = json.dumps(dict(json.loads(WHOLE), **more)).encode()
    return head(f"content-length: {len(body)}") + body


@pytest.mark.parametrize("more", [dict(model="made-up-9"), dict(usage=None), dict(usage={"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})],
                         ids=["unknown-model", "no-usage", "all-zero"])
def test_what_cannot_be_priced_exactly_is_marked(canned, more):
    w = canned(answer_with(**more))
    assert w.chat(args=["-4"])[0] == 200
    w.quiet().audit()
    (call,) = w.ledger()
    assert call["estimated"] and nano(call["held"]) >= nano(call["cost"]) >= (COST if "model" in more else 1)


def test_an_error_with_usage_is_charged(canned):
    """What the provider says it counted is owed, whatever the status."""
    answer = answer_with().replace(b"200 OK", b"500 Internal Server Error")
    w = canned(answer)
    assert w.chat(args=["-4"])[0] == 500
    charged_exactly(w)


@pytest.mark.parametrize("tier, cost", [("flex", 10 * 75 + 2 * 300), ("priority", 10 * 250 + 2 * 1000), ("default", COST)])
def test_the_tier_that_served_decides(canned, tier, cost):
    w = canned(answer_with(service_tier=tier))
    assert w.chat(args=["-4"], service_tier="auto")[0] == 200
    w.quiet().audit()
    (call,) = w.ledger()
    assert nano(call["cost"]) == cost and not call["estimated"]


def test_absurd_counts_are_not_believed(canned):
    w = canned(answer_with(usage={"prompt_tokens": 2 ** 52, "completion_tokens": 2 ** 52, "total_tokens": 2 ** 53}))
    assert w.chat(args=["-4"])[0] == 200
    w.quiet().audit()
    (call,) = w.ledger()
    assert call["estimated"] and nano(call["held"]) >= nano(call["cost"]) >= COST


HAIKU = {"model": "fake-haiku", "max_tokens": 500, "messages": [{"role": "user", "content": "hi"}]}


def anthropic(w, **more):
    r = w.curl("bot", "https://api.anthropic.com/v1/messages", "-4", "-H", "anthropic-version: 2023-06-01", body=dict(HAIKU, **more))
    w.quiet().audit()
    (call,) = w.ledger()
    return r, call


def message(**usage):
    return {"type": "message", "role": "assistant", "model": "fake-haiku", "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
            "usage": usage}


def test_parts_served_by_several_models_are_priced_apart(canned):
    parts = [{"type": "message", "model": "fake-opus", "input_tokens": 10, "output_tokens": 3},
             {"type": "message", "model": "fake-haiku", "input_tokens": 20, "output_tokens": 4}]
    body = json.dumps(message(input_tokens=20, output_tokens=4, iterations=parts)).encode()
    r, call = anthropic(canned(head(f"content-length: {len(body)}") + body))
    assert r.stdout.encode() == body
    assert nano(call["cost"]) == 10 * 5000 + 3 * 25000 + 20 * 1000 + 4 * 5000 and not call["estimated"]


def test_more_parts_than_can_be_told_apart_cost_the_hold(canned):
    body = json.dumps(message(input_tokens=20, output_tokens=4, iterations=[{"type": "message", "input_tokens": 1, "output_tokens": 1}] * 40)).encode()
    r, call = anthropic(canned(head(f"content-length: {len(body)}") + body))
    assert (call["estimated"], call["cost"]) == (True, call["held"])


def test_what_a_cut_stream_said_so_far_is_not_its_price(canned):
    """message_start counts the input and one token of output, message_delta what there is then; the text that came after it was made, too."""
    text = "some words " * 60
    said = [{"type": "message_start", "message": dict(message(input_tokens=100, output_tokens=1), content=[])},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 2}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}]
    body = b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), json.dumps(e).encode()) for e in said)
    r, call = anthropic(canned(head("transfer-encoding: chunked", kind="text/event-stream") + chunked(body, end=b"")), stream=True)
    assert r.returncode != 0 and call["end"] == "provider-cut" and call["estimated"]
    # No token is longer than some letters: 660 bytes are far more than 60 tokens.
    assert nano(call["held"]) >= nano(call["cost"]) >= 100 * 1000 + 60 * 5000


def test_usage_is_hidden_in_a_stream_of_told_length(canned):
    """What was cut out would be missing at the end: the length that the provider told is not handed on."""
    body = events("a", "b")
    w = canned(head(f"content-length: {len(body)}", kind="text/event-stream") + body)
    status, text, r = w.chat(stream=True, args=["-4", "--http1.1", "-i"])
    assert status == 200 and "[DONE]" in text and "usage" not in text, r.stderr
    assert "content-length" not in text.lower() and "transfer-encoding: chunked" in text.lower()
    charged_exactly(w)


def test_an_edited_stream_is_asked_for_plain(world):
    assert world.chat(stream=True, args=["-H", "accept-encoding: gzip"])[0] == 200
    assert world.chat(args=["-H", "accept-encoding: gzip"])[0] == 200
    assert world.chat(args=["-H", "accept-encoding: gzip, made-up"])[0] == 200
    asked = [dict((k.lower(), v) for k, v in r["headers"])["accept-encoding"] for r in world.requests()]
    assert asked == ["identity", "gzip", "gzip"]


def test_a_coded_stream_though_none_was_asked_for(canned):
    """The provider codes against our wish: passed as it came, read all the same."""
    w = canned(head("content-encoding: gzip", "transfer-encoding: chunked", kind="text/event-stream") + chunked(gzip.compress(events("a", "b")), 10))
    status, text, r = w.chat(stream=True, args=["-4", "--compressed"])
    assert status == 200 and "[DONE]" in text
    charged_exactly(w)


RAW = """
import socket, ssl, sys, time
ctx = ssl.create_default_context()
c = ctx.wrap_socket(socket.create_connection(("api.openai.com", 443), timeout=10), server_hostname="api.openai.com")
for part in sys.argv[1:]:
    c.sendall(bytes.fromhex(part)); time.sleep(0.15)
c.settimeout(3)
out = b""
try:
    while got := c.recv(65536): out += got
except OSError: pass
sys.stdout.buffer.write(out)
"""


def raw(w, *parts):
    r = w.in_agent("bot", [sys.executable, "-c", RAW, *[p.hex() for p in parts]])
    assert r.returncode == 0, r.stderr
    return r.stdout


def request(body=None, path="/v1/chat/completions", fields=(), version="1.1"):
    lines = [f"{'POST' if body is not None else 'GET'} {path} HTTP/{version}", "Host: api.openai.com", *fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def call(out, delay=0):
    return request(json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 50}).encode(), fields=[f"x-fake: out={out},delay={delay}"])


def test_pipelined_requests_are_answered_in_order(world):
    train = b"".join(call(n, 0.2) for n in (1, 2)) + request(path="/v1/nothing") * 20 + call(3)
    out = raw(world, train[:500], train[500:700], train[700:], call(4) + request(path="/v1/models", fields=["Connection: close"]))
    tokens = [line for line in out.replace("HTTP/1.1", "\nHTTP/1.1").splitlines() if "completion_tokens" in line]
    assert [json.loads(t)["usage"]["completion_tokens"] for t in tokens] == [1, 2, 3, 4]
    assert out.count("HTTP/1.1 200") == 5 and out.count("HTTP/1.1 403") == 20
    world.assert_exact()


def test_an_old_client(world):
    body = json.dumps({"model": "fake-mini", "messages": [], "max_tokens": 50, "stream": True}).encode()
    out = raw(world, request(body, version="1.0", fields=["Expect: 100-continue"]))
    assert "transfer-encoding" not in out.lower() and "100 Continue" not in out and out.endswith("data: [DONE]\n\n")
    world.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_expect_continue(world, http):
    r = world.chat(args=[http, "-H", "Expect: 100-continue", "--expect100-timeout", "20", "-v"])
    assert r[0] == 200 and " 100" in r[2].stderr
    world.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_a_large_body_is_refused_early(world, http):
    r = world.curl("bot", "https://api.openai.com/v1/nothing", "-i", http, "-H", "Expect:", body="x" * 100_000)
    assert r.returncode == 0 and " 403" in r.stdout and "endpoint" in r.stdout, r.stderr
    assert world.requests() == []


@pytest.mark.parametrize("answer", [b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 77\r\n\r\n"])
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_answers_without_a_body(canned, answer, http):
    w = canned(answer)
    url = "https://api.openai.com/v1/models"
    r = w.in_agent("bot", ["curl", "-sS4", "--max-time", "5", http, "-w", "%{http_code} %{num_connects} ", url, "--next", "-sS4", "--max-time", "5", http, "-w",
                           "%{http_code} %{num_connects} ", url])
    code = answer[9:12].decode()
    assert r.stdout == f"{code} 1 {code} 0 ", r.stderr
