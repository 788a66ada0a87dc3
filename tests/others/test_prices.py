# SPDX-License-Identifier: Apache-2.0
"""Items 36 to 43 of docs/others.md: kinds of tokens that were charged twice, at the wrong price or not at all elsewhere, and models without a price."""
import pytest
import world as worlds
from world import nano

from .helpers import OPENAI, Script, agent, ask, chat, message, never_below, respond, rows

HOSTS = (*worlds.NAMES, "api.x.ai", "llm.example.internal")
PROVIDERS = [{"name": "openai", "dialect": "openai", "hosts": ["api.openai.com"]}, {"name": "anthropic", "dialect": "anthropic", "hosts": ["api.anthropic.com"]},
             {"name": "xai", "dialect": "xai", "hosts": ["api.x.ai"], "prices_as": "openai"},
             {"name": "own", "dialect": "anthropic", "hosts": ["llm.example.internal"]}]
OWN_PRICES = """
as_of: 2026-11-01
providers:
  own:
    models:
      no-cache-price: {input: 1, output: 5, max_input: 200000, max_output: 64000}
"""
# A warm cache: nearly all of a long prompt is read from it, little is written. Worked out by hand, nano-dollars.
OPENAI_COST = (20000 - 19000) * 150 + 19000 * 75 + 20 * 600
ANTHROPIC_COST = (20000 - 19000 - 600 - 300) * 1000 + 19000 * 100 + 600 * 1250 + 300 * 2000 + 20 * 5000
WARM = {"chat": (chat(), "in=20000,cached=19000,out=20", OPENAI_COST), "responses": (respond(), "in=20000,cached=19000,out=20", OPENAI_COST),
        "messages": (message(), "in=20000,cached=19000,w5=600,w1h=300,out=20", ANTHROPIC_COST)}


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[]).start()
    yield w
    w.close()


@pytest.fixture(scope="module")
def script():
    s = Script(names=HOSTS, config={"providers": PROVIDERS}, more_prices=OWN_PRICES)
    yield s
    s.w.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", WARM)
def test_litellm_9812_11364_11789_39088_bifrost_3451_904_cached_tokens_once_and_at_their_price(shared, what, stream):
    """There tokens read from or written to a cache were counted a second time as plain input, or at the plain price: up to eight times too much."""
    (url, body), fake, by_hand = WARM[what]
    name = agent(shared)
    assert ask(shared, name, (url, dict(body, stream=stream)), fake=fake)[0] == 200
    row, = rows(shared, name)
    assert not row["estimated"] and nano(row["cost"]) == by_hand == shared.bills()[-1]["bill"]
    assert (row["input"], row["cache_read"], row["output"]) == (20000, 19000, 20)
    never_below(shared)


def events(first, last):
    start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "fake-haiku", "content": [], "usage": first}}
    return [start, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}, {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": last}, {"type": "message_stop"}]


CACHE = {"input_tokens": 100, "cache_read_input_tokens": 19000, "cache_creation_input_tokens": 900,
         "cache_creation": {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 300}}
FLAT = {k: v for k, v in CACHE.items() if k != "cache_creation"}
STREAMED = {
    "in the first event only": (CACHE, {}), "in both": (CACHE, CACHE), "in the last event only": ({"input_tokens": 0}, CACHE),
    "the split in the first only": (CACHE, FLAT),
}


@pytest.mark.parametrize("where", STREAMED)
def test_litellm_34497_bifrost_3451_cache_counts_wherever_a_stream_has_them(script, where):
    """There a stream's cache counts were dropped, and all of it was charged as plain input; or added up over its events."""
    first, last = STREAMED[where]
    name = agent(script.w)
    _, row = script.call(name, message(stream=True), events(dict(first, output_tokens=1), dict(last, output_tokens=20)), ANTHROPIC_COST)
    assert not row["estimated"] and nano(row["cost"]) == ANTHROPIC_COST
    assert (row["input"], row["cache_read"], row["cache_write_5m"], row["cache_write_1h"], row["output"]) == (20000, 19000, 600, 300, 20)
    never_below(script.w)


def test_litellm_29145_cached_tokens_without_a_price_of_their_own_are_input(script):
    """There cached tokens of a model whose entry had no price for them cost nothing."""
    answer = {"id": "m", "type": "message", "role": "assistant", "model": "no-cache-price", "content": [{"type": "text", "text": "hello"}],
              "usage": dict(FLAT, output_tokens=20)}
    bill = 20000 * 1000 + 20 * 5000
    call = "https://llm.example.internal/v1/messages", message("no-cache-price")[1]
    _, row = script.call(agent(script.w), call, answer, bill)
    assert not row["estimated"] and nano(row["cost"]) == bill
    never_below(script.w)


UNKNOWN = {"chat": chat("fake-unheard-of"), "responses": respond("fake-unheard-of"), "messages": message("claude-unheard-of"),
           "embeddings": (OPENAI + "embeddings", {"model": "embed-unheard-of", "input": "x"}),
           "another provider's": chat("fake-haiku"), "nearly": chat("fake-mini-x"), "upper case": chat("FAKE-MINI")}


@pytest.mark.parametrize("what", UNKNOWN)
def test_litellm_35914_36561_bifrost_5243_6036_3666_a_model_without_a_price_is_refused(shared, what):
    """There a model that the list did not know cost nothing, or next to nothing, and no budget moved."""
    name, sent = agent(shared, "--day", "100"), len(shared.requests())
    status, text = ask(shared, name, UNKNOWN[what])
    assert status == 400 and ("purse_model_not_priced" in text or "no price is known" in text), text
    assert len(shared.requests()) == sent and rows(shared, name) == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_litellm_36561_an_answer_by_a_model_without_a_price_is_not_free(shared, stream):
    """The same from the other side: the answer names a model that nobody has a price for."""
    name = agent(shared)
    assert ask(shared, name, chat(stream=stream), fake="model=unheard-of,in=10,out=5")[0] == 200
    row, = rows(shared, name)
    assert row["estimated"] and nano(row["held"]) >= nano(row["cost"]) >= 10 * 150 + 5 * 600


def test_bifrost_6036_an_entry_without_a_price_is_no_entry(shared):
    """There a price that was missing in an entry was read as zero."""
    for text in ("{input: 1}", "{output: 1}", "{}", "{input: '', output: 1}", "{input: 1, output: -1}"):
        f = shared.folder / "bad.yaml"
        f.write_text(f"as_of: 2026-11-01\nproviders:\n  openai:\n    models:\n      x: {text}\n")
        shared.extra["prices"] = [str(shared.folder / "prices.yaml"), str(f)]
        shared.write_config()
        r = shared.purse("config", "check", shared.folder / "purse.yaml", check=False)
        r = r if r.returncode else shared.purse("prices", check=False)
        assert r.returncode != 0 and "bad.yaml" in r.stdout + r.stderr, (text, r.stdout[-300:], r.stderr)
    shared.extra.pop("prices")
    shared.write_config()


REASONED = {
    "in the output": ({"prompt_tokens": 10, "completion_tokens": 50, "total_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 45}}, "openai"),
    "beside it, as the total says": ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 45}}, "xai"),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("where", REASONED)
def test_kong_14816_reasoning_is_in_the_sum(script, where, stream):
    """There tokens that were thought and not shown were missing from the total."""
    usage, provider = REASONED[where]
    call = {"openai": OPENAI, "xai": "https://api.x.ai/v1/"}[provider] + "chat/completions", chat(max_tokens=100, stream=stream)[1]
    frame = {"id": "x", "object": "chat.completion.chunk", "model": "fake-mini"}
    answer = {"id": "x", "object": "chat.completion", "model": "fake-mini", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}],
              "usage": usage}
    if stream:
        answer = [dict(frame, choices=[{"index": 0, "delta": {"content": "hello"}, "finish_reason": None}]), dict(frame, choices=[], usage=usage), "[DONE]"]
    _, row = script.call(agent(script.w), call, answer, 10 * 150 + 50 * 600)
    assert not row["estimated"] and nano(row["cost"]) == 10 * 150 + 50 * 600 and (row["output"], row["reasoning"]) == (50, 45)
    never_below(script.w)
