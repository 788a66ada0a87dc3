# SPDX-License-Identifier: Apache-2.0
"""What is held before a call goes out, and what is refused because no bound can be held: seen in the ledger and at the provider."""
import json
import sys

import pytest
import world as worlds
from world import nano

URL = "https://api.openai.com/v1/"
MESSAGES = [{"role": "user", "content": "hello"}]
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]}]


def held(w, *args, url=URL + "chat/completions", **body):
    before = len(w.ledger())
    r = w.curl("bot", url, *args, body=dict({"model": "fake-mini", "messages": MESSAGES, "max_tokens": 50}, **body))
    assert r.returncode == 0 and '"usage"' in r.stdout, r.stdout
    calls = w.quiet().ledger()
    assert len(calls) == before + 1
    return nano(calls[0]["held"])


def test_the_hold_knows_what_makes_a_call_dear(world):
    plain = held(world)
    # Each byte may be a token, and the provider adds some unseen.
    assert plain > len(json.dumps({"model": "fake-mini", "messages": MESSAGES, "max_tokens": 50})) * 150 + 50 * 600
    # The body has some bytes more, each of which is a token at most.
    assert held(world, n=3) >= plain + 2 * 50 * 600
    assert held(world, max_tokens=100) >= plain + 50 * 600
    # An input that is not all in the body may be as long as the model takes.
    assert held(world, messages=IMAGE) >= 400000 * 150
    # No bound said: the model's.
    assert held(world, max_tokens=None) >= 16384 * 600
    world.assert_exact()


def test_a_released_hold_leaves_nothing(make_world):
    """What was held for a call that never left is given back whole."""
    hangs_up = "import socket, sys\nl = socket.create_server((sys.argv[1], 443))\nwhile True: l.accept()[0].close()"
    w = make_world(provider=lambda chain, key: [sys.executable, "-c", hangs_up, worlds.PROVIDER4])
    for _ in range(2):
        assert w.chat(args=["-4"])[0] == 502
    w.quiet().audit()
    assert w.ledger() == [] and nano(w.account()["windows"]["day"]["held"]) == 0


@pytest.mark.parametrize("url, args, body, expected", [
    (URL + "chat/completions", ["-H", "Content-Encoding: gzip"], {"model": "fake-mini", "messages": []}, 400),
    (URL + "responses", [], {"model": "fake-mini", "input": "x", "max_output_tokens": 9, "tools": [{"type": "web_search"}]}, 400),
    ("https://api.anthropic.com/v1/messages", [], {"model": "fake-haiku", "max_tokens": 9, "messages": [],
                                                  "tools": [{"type": "web_search_20250305", "name": "web_search"}]}, 400),
    (URL + "%6dodels", [], None, 403),
    (URL + "models", ["-H", "Host: api.openai.com:8443"], None, 421),
    (URL + "models", ["-H", "Host: api.anthropic.com"], None, 421),
], ids=["coded", "endless-tool", "endless-search", "disguised-path", "other-port", "other-host"])
@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_no_bound_no_call(world, url, args, body, expected, http):
    r = world.curl("bot", url, "-i", http, *args, body=body)
    assert f" {expected} " in r.stdout.splitlines()[0] and "x-should-retry: false" in r.stdout.lower(), r.stdout
    assert world.requests() == [] and world.ledger() == []


def test_what_helps_is_said(make_world):
    """Held by others: wait and try again. Used up: do not."""
    w = make_world(agents=[{"name": "bot", "day": "0.0001USD"}])
    p = w.spawn("bot", ["curl", "-sS", "-H", "x-fake: delay=3", "-d", json.dumps({"model": "fake-mini", "messages": MESSAGES, "max_tokens": 100}),
                        URL + "chat/completions"], env=w.agent_env())
    worlds.wait_for("the first to be held", w.requests)
    r = w.curl("bot", URL + "chat/completions", "-i", body={"model": "fake-mini", "messages": MESSAGES, "max_tokens": 100})
    assert " 429" in r.stdout.splitlines()[0], r.stdout
    assert "retry-after: 1" in r.stdout.lower() and "x-should-retry: true" in r.stdout.lower()
    assert p.wait(20) == 0
    w.assert_exact()


def limits(**kw):
    return {"agents": [{"name": "bot", "day": "10USD", "rules": kw}]}


@pytest.mark.parametrize("rules, second, status, says", [
    ({"requests_per_minute": 1}, {}, 429, ["requests_per_minute", "Try again in"]),
    ({"loop": {"times": 2, "within": "1m"}}, {}, 429, ["rule loop", "Try again in"]),
    ({"models": {"deny": ["fake-l*"]}}, {"model": "fake-large"}, 403, ["rule models", "Waiting does not help"]),
    ({"per_call": "0.01USD"}, {"max_tokens": 100000}, 403, ["rule per_call", "Waiting does not help"]),
    ({"model_limits": [{"models": "fake-m*", "day": "0.0001USD"}]}, {"max_tokens": 5000}, 402, ["day budget", 'for models "fake-m*"', "does not have enough left"]),
], ids=["rate", "loop", "models", "per-call", "model-limit"])
def test_each_refusal_names_its_rule(make_world, rules, second, status, says):
    w = make_world(**limits(**rules))
    assert w.chat(fake="out=5", max_tokens=20)[0] == 200
    body = dict({"model": "fake-mini", "messages": MESSAGES, "max_tokens": 20}, **second)
    r = w.curl("bot", URL + "chat/completions", "-i", body=body)
    head, _, text = r.stdout.replace("\r\n", "\n").partition("\n\n")
    assert int(head.split()[1]) == status, r.stdout
    error = json.loads(text)["error"]
    assert all(word in error["message"] for word in [*says, '"bot"']), error["message"]
    # A client tries again only where that helps, and knows when.
    assert ("x-should-retry: true" in head.lower()) == (status == 429) == ("retry-after: " in head.lower())
    assert len(w.quiet().requests()) == 1 and len(w.refusals()) == 1


def test_bodies_of_one_agent_have_a_limit_together(make_world):
    """Nine requests of 31 MiB that never end: the ninth would make it more than 256 MiB."""
    code = """
import socket, ssl
context, open_ = ssl.create_default_context(), []
for i in range(9):
    s = context.wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
    open_.append(s)
    s.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\ncontent-length: 33000000\\r\\n\\r\\n{")
    try:
        for _ in range(31): s.sendall(b" " * (1 << 20))
    except OSError:
        pass
answer = open_[8].recv(1000).decode()
print(answer.split()[1], "bodies_per_agent" in answer)
"""
    w = make_world(config={"workers": 1})
    assert w.python("bot", code).stdout.split() == ["429", "True"]
    assert w.chat()[0] == 200
