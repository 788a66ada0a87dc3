# SPDX-License-Identifier: Apache-2.0
"""One call, in all its forms, by curl: agent asks, provider answers, ledger says."""
import json

import pytest
import world as worlds
from world import nano


def test_a_call_is_charged_exactly(world):
    status, text, _ = world.chat(fake="in=1000,out=7,cached=600")
    assert status == 200
    assert json.loads(text)["usage"]["completion_tokens"] == 7
    world.assert_exact()
    (call,) = world.ledger()
    assert (call["input"], call["cache_read"], call["output"]) == (1000, 600, 7)
    # 400 x 0.15 + 600 x 0.075 + 7 x 0.60 dollars per million
    assert nano(call["cost"]) == 109200
    assert not call["estimated"] and call["end"] == "done" and call["agent"] == "bot" and call["comm"] == "curl"


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("stream", [False, True])
def test_both_versions_streamed_and_not(world, http, stream):
    for _ in range(3):
        assert world.chat(model="fake-odd", stream=stream, fake="in=13,out=3", args=[http])[0] == 200
    world.assert_exact()
    assert world.account()["calls"] == 3


def test_usage_is_asked_for_and_hidden(world):
    _, text, _ = world.chat(stream=True, fake="out=2")
    assert "usage" not in text and "[DONE]" in text
    assert json.loads(world.requests()[-1]["body"])["stream_options"] == {"include_usage": True}
    world.assert_exact()
    _, text, _ = world.chat(stream=True, fake="out=2", stream_options={"include_usage": True})
    assert '"total_tokens"' in text
    world.assert_exact()


def test_anthropic_with_cache(world):
    body = {"model": "fake-haiku", "max_tokens": 50, "messages": [{"role": "user", "content": "hi"}]}
    for stream in (False, True):
        r = world.curl("bot", "https://api.anthropic.com/v1/messages", "-H", "anthropic-version: 2023-06-01",
                       body=dict(body, stream=stream), fake="in=500,cached=200,w5=100,w1h=50,out=9")
        assert r.returncode == 0, r.stderr
    world.assert_exact()
    call = world.ledger()[0]
    assert (call["input"], call["cache_read"], call["cache_write_5m"], call["cache_write_1h"]) == (500, 200, 100, 50)


def test_other_endpoints(world):
    base = "https://api.openai.com/v1/"
    assert "data" in world.curl("bot", base + "models").stdout
    for path, body in [("embeddings", {"model": "fake-embed", "input": "x"}),
                       ("completions", {"model": "fake-instruct", "prompt": "x"}),
                       ("responses", {"model": "fake-mini", "input": "x", "max_output_tokens": 50}),
                       ("responses", {"model": "fake-mini", "input": "x", "max_output_tokens": 50, "stream": True})]:
        r = world.curl("bot", base + path, body=body)
        assert r.returncode == 0 and "error\":{" not in r.stdout, r.stdout
    world.assert_exact()
    assert len(world.ledger()) == 4  # models is free


def test_long_context_and_gzip_and_other_model(world):
    assert world.chat(model="fake-large", fake="in=2000")[0] == 200
    assert world.chat(model="fake-large", fake="in=2001")[0] == 200
    assert world.chat(fake="gzip,out=4", args=["--compressed"])[0] == 200
    assert world.chat(fake="model=fake-odd,out=4")[0] == 200
    world.assert_exact()


def test_ipv6(world):
    assert world.chat(args=["-6"])[0] == 200
    assert world.chat(args=["-4"])[0] == 200
    world.assert_exact()


def test_errors_cost_nothing(world):
    assert world.chat(fake="status=500")[0] == 500
    assert world.chat(fake="status=429")[0] == 429
    assert world.chat(stream=True, fake="fail=0")[0] == 200
    world.assert_exact()
    assert world.charged() == 0


def test_no_usage_is_estimated_never_zero(world):
    assert world.chat(fake="nousage")[0] == 200
    assert world.chat(fake="nousage", stream=True)[0] == 200
    world.quiet().audit()
    calls = world.ledger()
    assert len(calls) == 2 and all(c["estimated"] and nano(c["cost"]) > 0 for c in calls)
    assert world.charged() >= world.billed()


def test_a_client_that_leaves_is_charged(world):
    assert world.chat(stream=True, fake="out=200,gap=0.05", max_tokens=400, args=["--max-time", "1"])[2].returncode == 28
    world.quiet().audit()
    (call,) = world.ledger()
    assert call["estimated"] and call["end"] == "agent-gone"
    assert nano(call["held"]) >= nano(call["cost"]) >= world.billed()


def test_a_call_that_is_not_streamed_runs_on(world):
    assert world.chat(fake="delay=1.5", args=["--max-time", "0.5"])[2].returncode == 28
    world.assert_exact()
    assert world.ledger()[0]["end"] == "agent-gone"


def test_a_provider_that_cuts(world):
    assert world.chat(stream=True, fake="out=10,cut=4,gap=0.05")[2].returncode != 0
    assert world.chat(fake="cut=0")[0] == 502
    world.quiet().audit()
    assert [c["end"] for c in world.ledger()] == ["provider-cut"] * 2
    assert world.charged() >= world.billed()


def test_bodies_and_names_pass_as_sent(world):
    body = '{ "model":"fake-mini",\t"max_tokens" : 20, "messages":[{"role":"user","content":"\\u00e4 \\ud83d\\ude00"}] }'
    r = world.curl("bot", "https://api.openai.com/v1/chat/completions", "-i", "--http1.1", "-H", "X-My-Header: One Two", body=body)
    seen = world.requests()[-1]
    assert seen["body"] == body
    assert ["X-My-Header", "One Two"] in seen["headers"]
    assert "X-Odd-Case: Kept" in r.stdout and "alt-svc" not in r.stdout.lower()


def test_not_an_llm_host_is_spliced(world):
    r = world.curl("bot", "https://other.test/v1/models", "--cacert", str(world.ca.path))
    assert '"data"' in r.stdout, r.stderr
    assert world.ledger() == []


def test_a_compatible_host_by_configuration(make_world):
    """Its own name, prefix, price list and uplift: rows of the config, no code."""
    w = make_world(names=("llm.example.test",), config={"providers": [
        {"name": "mine", "dialect": "openai-compatible", "hosts": ["llm.example.test"], "addresses": [worlds.PROVIDER4], "prices_as": "openai",
         "price_percent": 110}]})
    r = w.curl("bot", "https://llm.example.test/v1/chat/completions", body={"model": "fake-mini", "max_tokens": 9, "messages": []}, fake="in=101,out=3")
    assert '"usage"' in r.stdout, r.stderr
    w.quiet().audit()
    (call,) = w.ledger()
    # (101 x 0.15 + 3 x 0.60) dollars per million, and a tenth more, rounded up once
    assert nano(call["cost"]) == -(-(101 * 150 + 3 * 600) * 110 // 100) and call["provider"] == "mine"
