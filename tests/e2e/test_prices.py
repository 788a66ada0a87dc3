# SPDX-License-Identifier: Apache-2.0
"""Every kind of token, tier and cliff, at every endpoint: the row in the ledger is the provider's bill to the nano-dollar."""
import pytest
import world as worlds
from world import nano

OPENAI, ANTHROPIC = "https://api.openai.com/v1/", "https://api.anthropic.com/v1/"
SEARCH = [{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}]


def chat(model, **more):
    return OPENAI + "chat/completions", dict({"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": "x" * 3000}]}, **more)


def respond(model, **more):
    return OPENAI + "responses", dict({"model": model, "max_output_tokens": 400, "input": "x" * 3000}, **more)


def message(model, **more):
    return ANTHROPIC + "messages", dict({"model": model, "max_tokens": 400, "messages": [{"role": "user", "content": "x" * 3000}]}, **more)


# what is asked, how the provider answers, the dollars per million tokens of it (worked out by hand), searches
CASES = {
    "plain": (chat("fake-odd"), "in=17,out=13", 17 * 1.337 + 13 * 7.777),
    "a single token is rounded up": (chat("fake-odd"), "in=1,cached=1,out=0", 0.3331),
    "nearly all cached": (chat("fake-mini"), "in=1000,cached=999,out=1", 0.15 + 999 * 0.075 + 0.6),
    "reasoning is output": (chat("fake-mini"), "in=10,out=50,reason=45", 10 * 0.15 + 50 * 0.6),
    "flex, asked and served": (chat("fake-mini", service_tier="flex"), "in=100,out=10", 100 * 0.075 + 10 * 0.3),
    "priority, asked and served": (chat("fake-mini", service_tier="priority"), "in=100,out=10", 100 * 0.25 + 10),
    "priority, asked and not served": (chat("fake-mini", service_tier="priority"), "in=100,out=10,tier=default", 100 * 0.15 + 10 * 0.6),
    "auto, served as priority": (chat("fake-mini", service_tier="auto"), "in=100,out=10,tier=priority", 100 * 0.25 + 10),
    "at the cliff": (chat("fake-large"), "in=2000,cached=500,out=10", 1500 * 2.5 + 500 * 0.25 + 10 * 15),
    "over the cliff, all of it": (chat("fake-large"), "in=2001,cached=500,out=10", 1501 * 5 + 500 * 0.5 + 10 * 22.5),
    "over the cliff with priority": (chat("fake-large", service_tier="priority"), "in=2001,out=10", 2001 * 10 + 10 * 45),
    "served by another model": (chat("fake-mini"), "model=fake-odd,in=10,out=2", 10 * 1.337 + 2 * 7.777),
    "a dated model": (chat("fake-mini"), "model=fake-mini-2026-02-03,in=10,out=2", 10 * 0.15 + 2 * 0.6),
    "responses": (respond("fake-mini"), "in=100,cached=64,out=20,reason=9", 36 * 0.15 + 64 * 0.075 + 20 * 0.6),
    "responses, flex": (respond("fake-mini", service_tier="flex"), "in=100,out=20", 100 * 0.075 + 20 * 0.3),
    "messages": (message("fake-haiku"), "in=100,out=20", 100 + 20 * 5),
    "messages, every kind of cache": (message("fake-haiku"), "in=1000,cached=300,w5=200,w1h=100,out=20", 400 + 30 + 250 + 200 + 100),
    "messages, searches": (message("fake-haiku", tools=SEARCH), "in=100,out=20,search=3", 100 + 20 * 5 + 3 * 10000),
}


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[{"name": "bot", "day": "1000USD"}]).start()
    yield w
    w.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES)
def test_price(shared, case, stream):
    (url, body), fake, dollars = CASES[case]
    before = len(shared.bills())
    r = shared.curl("bot", url, "-H", "anthropic-version: 2023-06-01", "-w", "%{http_code}", body=dict(body, stream=stream), fake=fake)
    assert r.stdout.endswith("200"), r.stdout + r.stderr
    shared.quiet()
    bills, call = shared.bills(), shared.ledger(limit=1)[0]
    assert len(bills) == before + 1 and not call["estimated"] and call["usage_known"], call
    by_hand = -(-round(dollars * 10**4) // 10)  # prices have at most four digits: exact, then up to the nano-dollar
    assert nano(call["cost"]) == bills[-1]["bill"] == by_hand
    assert nano(call["held"]) >= by_hand


def test_all_of_it_adds_up(shared):
    shared.assert_exact()


@pytest.mark.parametrize("body, words", [
    (dict(message("fake-haiku")[1], tools=[{"type": "web_search_20250305", "name": "web_search"}]), "max_uses"),
    (dict(chat("fake-mini")[1], model="fake-nothing"), "fake-nothing"),
])
def test_what_has_no_bound_or_no_price_is_refused(shared, body, words):
    before = len(shared.requests())
    url = ANTHROPIC + "messages" if "tools" in body else OPENAI + "chat/completions"
    r = shared.curl("bot", url, "-w", "%{http_code}", body=body)
    assert r.stdout.endswith("400") and words in r.stdout, r.stdout
    assert len(shared.requests()) == before


def test_an_answer_without_a_price_is_charged_as_what_was_asked_for(shared):
    """A router may serve a model that the list does not know: its tokens at the asked model's price, and marked."""
    url, body = chat("fake-mini")
    shared.curl("bot", url, body=body, fake="model=no-such-model,in=10,out=3")
    shared.quiet().audit()
    call = shared.ledger(limit=1)[0]
    assert call["estimated"] and call["served_model"] == "no-such-model" and nano(call["cost"]) == 3300
