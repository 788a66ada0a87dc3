# SPDX-License-Identifier: Apache-2.0
"""What passes, passes as it was sent. The same request is made twice, by an agent through purse and by a process that is no agent straight
to the provider; what the provider received and what the client received must be the same, but for what docs/transparency.md lists."""
import json

import pytest
import world as worlds

CHAT = {"model": "fake-mini", "max_tokens": 40, "messages": [{"role": "user", "content": "häufig \U0001f600"}]}
STREAM = dict(CHAT, stream=True)
CASES = {
    "whole": ("https://api.openai.com/v1/chat/completions", CHAT, "out=7"),
    "whole, gzip": ("https://api.openai.com/v1/chat/completions", CHAT, "out=7,gzip"),
    "an error": ("https://api.openai.com/v1/chat/completions", CHAT, "status=429"),
    "stream, usage not asked for": ("https://api.openai.com/v1/chat/completions", STREAM, "out=7"),
    "stream, usage refused": ("https://api.openai.com/v1/chat/completions", dict(STREAM, stream_options={"include_usage": False}), "out=7"),
    "stream, usage asked for": ("https://api.openai.com/v1/chat/completions", dict(STREAM, stream_options={"include_usage": True}), "out=7"),
    "stream, gzip": ("https://api.openai.com/v1/chat/completions", dict(STREAM, stream_options={"include_usage": True}), "out=7,gzip"),
    "stream with an error inside": ("https://api.openai.com/v1/chat/completions", STREAM, "out=7,fail=3"),
    "responses stream": ("https://api.openai.com/v1/responses", {"model": "fake-mini", "input": "x", "max_output_tokens": 40, "stream": True}, "out=7"),
    "messages": ("https://api.anthropic.com/v1/messages", dict(CHAT, model="fake-haiku"), "out=7,cached=3"),
    "messages stream": ("https://api.anthropic.com/v1/messages", dict(STREAM, model="fake-haiku"), "out=7"),
    "messages stream, gzip": ("https://api.anthropic.com/v1/messages", dict(STREAM, model="fake-haiku"), "out=7,gzip"),
    "models": ("https://api.openai.com/v1/models?limit=3&after=a%2Fb", None, None),
    "count tokens": ("https://api.anthropic.com/v1/messages/count_tokens", {"model": "fake-haiku", "messages": []}, None),
}
# Order, case, an empty value, a name twice, a long one, one that is not ASCII.
HEADERS = ["X-First: 1", "authorization: Bearer sk-1", "x-API-key: k", "OpenAI-Organization: o", "anthropic-version: 2023-06-01",
           "X-Empty;", "X-Twice: a", "X-Twice: b", "X-Long: " + "y" * 3000, "X-Latin: f\u00fcr", "Idempotency-Key: i-1", "X-Last: 9"]


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[{"name": "bot", "day": "1000USD"}]).start()
    yield w
    w.close()


def call(w, who, url, body, fake, http, encoding):
    """What the provider got (target, headers, body) and what the client got (status line, headers, body)."""
    out, head = w.folder / "answer", w.folder / "head"
    args = ["curl", "-sS", http, "-D", head, "-o", out, "--max-time", "20", "-A", "client/1.0", *(["--raw"] if encoding else [])]
    for h in HEADERS:
        args += ["-H", h]
    if encoding:
        args += ["-H", "Accept-Encoding: " + encoding]
    if body is not None:
        args += ["-H", "Content-Type: application/json", "--data-binary", json.dumps(body, ensure_ascii=False, indent=1)]
    if fake:
        args += ["-H", "x-fake: " + fake]
    if who == "outside":
        args += ["--cacert", w.ca.path]
    r = w.in_agent(who, [*args, url])
    assert r.returncode == 0, r.stderr
    seen = w.requests()[-1]
    lines = [line for line in head.read_bytes().decode("latin-1").split("\r\n") if line]
    return (seen["request"], seen["headers"], seen.get("body")), (lines[0], [line.split(": ", 1) for line in lines[1:]], out.read_bytes())


def kept(headers, *dropped):
    dropped = {"x-request-id", "date", "content-length", "transfer-encoding", "connection", *dropped}
    return [[n, v] for n, v in headers if n.lower() not in dropped]


@pytest.mark.parametrize("case", CASES)
def test_as_it_was_sent(shared, case):
    url, body, fake = CASES[case]
    asks = bool(body) and body.get("stream") and "chat" in url and not (body.get("stream_options") or {}).get("include_usage")
    direct = call(shared, "outside", url, body, fake, "--http1.1", "gzip" if "gzip" in case else None)
    mine = call(shared, "bot", url, body, fake, "--http1.1", "gzip" if "gzip" in case else None)
    (target, headers, text), (status, answer_headers, answer) = mine
    assert target == direct[0][0]
    assert kept(headers, "accept-encoding") == kept(direct[0][1], "accept-encoding")
    if asks:
        assert json.loads(text) == dict(body, stream_options={"include_usage": True})
    else:
        assert text == direct[0][2]
    assert status == direct[1][0]
    assert kept(answer_headers) == kept(direct[1][1], "alt-svc")
    if "gzip" in case:  # --raw shows the framing too
        assert unframed(answer, answer_headers) == unframed(direct[1][2], direct[1][1])
    else:
        assert answer == direct[1][2]


def unframed(data, headers):
    if not any(n.lower() == "transfer-encoding" for n, _ in headers):
        return data
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        out, data = out + data[:int(size, 16)], data[int(size, 16) + 2:]
    return out


@pytest.mark.parametrize("case", ["whole", "stream, usage not asked for", "messages stream", "models"])
def test_the_same_over_http2(shared, case):
    url, body, fake = CASES[case]
    old = call(shared, "bot", url, body, fake, "--http1.1", None)
    new = call(shared, "bot", url, body, fake, "--http2", None)
    assert new[0][0] == old[0][0] and new[0][2] == old[0][2]
    assert kept(new[0][1], "host") == [[n.lower(), v] for n, v in kept(old[0][1], "host")]
    assert new[1][0].startswith("HTTP/2 200") and [[n.lower(), v] for n, v in kept(old[1][1])] == kept(new[1][1])
    assert new[1][2] == old[1][2]


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("how", ["chunked", "expect", "large"])
def test_bodies_in_every_framing(shared, http, how):
    """Forwarded with a length, whatever it came in; a body of a megabyte is kept whole."""
    body = json.dumps(dict(CHAT, messages=[{"role": "user", "content": "z" * (1000000 if how == "large" else 3000)}]))
    more = {"chunked": ["-H", "Transfer-Encoding: chunked"] if http == "--http1.1" else ["-H", "Content-Length:"],
            "expect": ["-H", "Expect: 100-continue"], "large": []}[how]
    before = len(shared.requests())
    r = shared.in_agent("bot", ["curl", "-sS", http, *more, "-H", "content-type: application/json", "--data-binary", "@-", "-w", "%{http_code}",
                                "https://api.openai.com/v1/chat/completions"], input=body)
    assert r.stdout.endswith("200"), r.stdout + r.stderr
    (seen,) = shared.requests()[before:]
    assert seen["body"] == body[:4000]
    assert [v for n, v in seen["headers"] if n.lower() == "content-length"] == [str(len(body))]
    assert not any(n.lower() in ("transfer-encoding", "expect") for n, _ in seen["headers"])


def test_all_of_it_adds_up(shared):
    shared.quiet().audit()
    exact = [c for c in shared.ledger() if not c["estimated"]]
    bills = {b["id"]: b["bill"] for b in shared.bills()}
    assert len(exact) > 20
    for c in exact:
        assert worlds.nano(c["cost"]) == bills[c["request_id"]]
