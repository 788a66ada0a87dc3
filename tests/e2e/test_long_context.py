# SPDX-License-Identifier: Apache-2.0
"""Input that is known (docs/holds.md): a conversation of hundreds of kilobytes holds what its last turn had in tokens and the bytes that
are new, not a token a byte. The provider here counts a token for four bytes, and says so; what it bills goes by the same count."""
import json
import sys

import pytest
import world as worlds
from world import nano

MESSAGES = "https://api.anthropic.com/v1/messages"

# Each thread has a conversation of its own, of FROM bytes at first, which grows until TO and then begins anew. `cached`: what stood in the
# turn before is read from the cache, the rest written to it.
AGENT = """
import http.client, json, random, ssl, sys, threading, time
threads, model, cached, out, first, last = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "cached", int(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
context = ssl.create_default_context()
tools = [{"name": f"tool{i}", "description": "what it does " * 60, "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}}} for i in range(20)]
def text(n, r):
    return "".join(r.choice("abcdefghijklmnopqrstuvwxyz     ") for _ in range(64)) * (n // 64)
def work(i):
    r = random.Random(i)
    messages, before = [], 0
    while True:
        if not messages or before > last:
            messages, before = [{"role": "user", "content": text(first, r)}], 0
        last_one = dict(messages[-1], content=[{"type": "text", "text": messages[-1]["content"], "cache_control": {"type": "ephemeral"}}])
        body = json.dumps({"model": model, "messages": messages[:-1] + [last_one] if cached else messages, "system": [{"type": "text", "text": "You are a coding agent. " * 200}],
            "tools": tools, "metadata": {"user_id": "u"}, "max_tokens": 64000, "stream": True})
        total = len(body) // 4
        fake = f"in={total},out={out},tok=8,pace=450,notice=0.3"
        if cached:
            fake += f",cached={before // 4},w5={total - before // 4}"
        c = http.client.HTTPSConnection("api.anthropic.com", context=context, timeout=120)
        c.request("POST", "/v1/messages", body, {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-fake": fake})
        answer = c.getresponse()
        said = answer.read().decode()
        c.close()
        if answer.status == 429:
            time.sleep(0.2)
            continue
        if answer.status != 200:
            assert answer.status == 402, said
            return
        before = len(body)
        messages += [{"role": "assistant", "content": "tok " * out}, {"role": "user", "content": text(6000, r)}]
for t in [threading.Thread(target=work, args=(i,)) for i in range(threads)]: t.start()
"""


def never_a_cent_over(w, limit):
    w.quiet().audit()
    worlds.wait_for("the provider to have noticed", lambda: len(w.bills()) == len(w.requests()))
    view = w.account()["windows"]["day"]
    assert nano(view["held"]) == 0 and nano(view["spent"]) == w.charged()
    assert w.billed() <= limit and w.charged() <= limit


# By bytes it is 83 % and 79 %. What stays unused is less than the next call needs at worst: its input at the price of writing it to the cache,
# since nobody can promise that the cache still has it. 100,000 tokens read from it are $0.05, written to it $0.63.
@pytest.mark.parametrize("model, cached, out, least", [("fake-sonnet", "plain", 400, 95), ("fake-opus", "cached", 400, 80)])
def test_a_long_conversation_can_use_its_budget(make_world, model, cached, out, least):
    limit = 5 * 10**9
    w = make_world(agents=[{"name": "bot", "day": "5USD"}])
    p = w.spawn("bot", [sys.executable, "-c", AGENT, "4", model, cached, str(out), "300000", "400000"], env=w.agent_env())
    assert p.wait(170) == 0
    never_a_cent_over(w, limit)
    calls = w.ledger()
    print("billed", w.billed() / limit, "charged", w.charged() / limit, "calls", len(calls), "held", [c["held"] for c in calls][:3])
    assert w.billed() * 100 >= limit * least


# ---- which requests are bound by others

TEXT = "The quick brown fox, and so on; " * 1000  # 32 kB
TOOLS = [{"name": "tool", "description": "what it does " * 200, "input_schema": {"type": "object"}}]


def turns(n):
    return [{"role": "user" if i % 2 == 0 else "assistant", "content": f"turn {i}: " + TEXT} for i in range(n)]


def call(w, n=5, tokens=None, agent="bot", model="fake-sonnet", args=(), fake="", messages=None, **more):
    """One call of n turns, not streamed; returns (bytes of the body, input tokens that were held)."""
    body = json.dumps(dict({"model": model, "max_tokens": 20, "messages": messages or turns(n), "tools": TOOLS}, **more))
    path = w.folder / "body"
    path.write_text(body)
    tokens = len(body) // 4 if tokens is None else tokens
    known = len(w.ledger())
    r = w.curl(agent, MESSAGES, "-w", "\n%{http_code}", *args, body=f"@{path}", fake=f"in={tokens}" + fake)
    assert r.stdout.endswith("\n200"), r.stdout[-500:]
    row = w.quiet().ledger()[0]
    assert len(w.ledger()) == known + 1
    rate, out = (3, 15) if model == "fake-sonnet" else (5, 25)
    return len(body), (nano(row["held"]) / 1000 - 20 * out) / rate


EXTRA = 64 + 16 * 12 + 1024 + 32  # for up to twelve messages and a tool


def by_bytes(size, held):
    return size <= held <= size + EXTRA


def by_known(size, held):
    return size / 4 <= held < size * 3 / 4


@pytest.fixture
def warm(make_world):
    w = make_world(agents=[{"name": "bot", "day": "50USD"}, {"name": "other", "day": "50USD"}])
    assert by_bytes(*call(w, 5))
    return w


def test_a_turn_that_follows_is_bound_by_the_one_before(warm):
    size, held = call(warm, 7)
    assert by_known(size, held), (size, held)
    # The same again has nothing new but what stands behind the last whole block.
    size, held = call(warm, 7)
    assert held <= size / 4 + 2 * 4088 + 512 + EXTRA, (size, held)
    # A branch: goes on from an earlier turn.
    size, held = call(warm, messages=turns(4) + [{"role": "user", "content": "and now for something else"}])
    assert held < size * 3 / 4, (size, held)
    warm.assert_exact()


@pytest.mark.parametrize("more", [
    {"agent": "other"}, {"model": "fake-opus"}, {"args": ("-H", "anthropic-beta: context-1m")}, {"unknown_member": 1}, {"tool_choice": {"type": "none"}},
    {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
    {"messages": [{"role": "user", "content": "x" + TEXT}] + turns(4)}], ids=lambda m: next(iter(m)))
def test_what_is_not_the_same_is_bound_by_its_bytes(warm, more):
    size, held = call(warm, **more)
    assert by_bytes(size, held), (size, held)
    # Nor does it say anything about others, if it may have been read in part.
    if "context_management" in more or "tool_choice" in more or "unknown_member" in more:
        call(warm, 9, tokens=5000, **more)
        size, held = call(warm, 9)
        assert held > size / 4, (size, held)


def test_a_report_that_shrank_is_not_used(make_world):
    """Far fewer tokens than there is text: something was left out that nobody told us of."""
    w = make_world(agents=[{"name": "bot", "day": "50USD"}])
    call(w, 5, tokens=9000)
    assert by_bytes(*call(w, 7, tokens=9000))
    assert by_bytes(*call(w, 7))
    assert by_known(*call(w, 7))


def test_thinking_counts_by_its_bytes(make_world):
    """It is in one turn's count and not in the next one's."""
    w = make_world(agents=[{"name": "bot", "day": "50USD"}])
    messages = turns(5)
    messages[1]["content"] = [{"type": "thinking", "thinking": TEXT * 2, "signature": "s"}, {"type": "text", "text": "so"}]
    assert by_bytes(*call(w, messages=messages))
    size, held = call(w, messages=messages)
    assert len(TEXT) * 2 + size / 4 <= held <= len(TEXT) * 2 + size / 4 + 3 * 4088 + 512 + EXTRA


def test_a_model_that_reads_more_than_it_did_is_not_relied_on(warm):
    """Its name has come to mean one with another tokenizer."""
    size, held = call(warm, 7, tokens=200000)
    assert held < 200000
    warm.assert_exact()
    assert "not relied on" in warm.daemon_log.read_text()
    assert by_bytes(*call(warm, 7))
    assert by_bytes(*call(warm, 7))
