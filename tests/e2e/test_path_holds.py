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
