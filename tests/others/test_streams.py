# SPDX-License-Identifier: Apache-2.0
"""Items 25 to 35 of docs/others.md: streams whose usage was lost, guessed or counted in part elsewhere, and clients that left them."""
import json

import pytest
import world as worlds
from world import nano

from .helpers import Script, agent, ask, chat, leave, message, never_below, respond, rows

HOSTS = (*worlds.NAMES, "api.mistral.ai")
DRAIN = {"on_abort": "drain"}
PROVIDERS = [dict({"name": "openai", "dialect": "openai", "hosts": ["api.openai.com"]}),
             dict({"name": "anthropic", "dialect": "anthropic", "hosts": ["api.anthropic.com"]}),
             {"name": "mistral", "dialect": "openai-reporting", "hosts": ["api.mistral.ai"], "prices_as": "openai"}]
STREAMS = {"chat": chat(stream=True, max_tokens=900), "responses": respond(stream=True, max_tokens=900), "messages": message(stream=True, max_tokens=900)}


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[]).start()
    yield w
    w.close()


@pytest.fixture(scope="module")
def drained():
    w = worlds.World(agents=[], config={"providers": [dict(p, **DRAIN) for p in PROVIDERS[:2]]}).start()
    yield w
    w.close()


@pytest.fixture(scope="module")
def script():
    s = Script(names=HOSTS, config={"providers": PROVIDERS})
    yield s
    s.w.close()


def last(w, name):
    return rows(w, name)[0]


@pytest.mark.parametrize("what", STREAMS)
def test_litellm_14457_newapi_5235_5289_5290_who_leaves_a_stream_pays_for_what_was_made(shared, what):
    """There a client that left in the middle got its usage lost, or all its money back; or the visible text stood as if it were all that was used."""
    name = agent(shared)
    leave(shared, name, STREAMS[what], 60, "in=100,out=900,gap=0.004")
    never_below(shared)
    row, bill = last(shared, name), shared.bills()[-1]
    assert bill["end"] == "cut" and 0 < bill["usage"]["output"] < 900
    assert row["end"] == "agent-gone" and row["estimated"] and nano(row["held"]) >= nano(row["cost"]) >= bill["bill"] > 0
    assert not row["usage_known"]  # no count of visible text stands as if the provider had told it


@pytest.mark.parametrize("what", STREAMS)
def test_litellm_34147_35958_a_provider_that_goes_on_after_a_disconnect_is_charged_for_exactly_that(drained, what):
    """There the provider billed the answer to its end while the gateway had written down the part that the client saw, once mended and broken again."""
    name = agent(drained)
    leave(drained, name, STREAMS[what], 20, "in=100,out=300,gap=0.002")
    row = last(drained, name)
    assert row["end"] == "agent-gone" and not row["estimated"] and row["output"] == 300
    drained.assert_exact()


@pytest.mark.parametrize("call", [chat(), respond(), message()], ids=["chat", "responses", "messages"])
def test_litellm_13245_a_whole_answer_that_nobody_waits_for_is_charged_exactly(shared, call):
    """There it was the same with answers that are not streamed."""
    name = agent(shared)
    ask(shared, name, call, fake="in=100,out=17,delay=0.5", timeout=0.2)
    row = last(shared, name)
    assert not row["estimated"] and row["output"] == 17 and nano(row["cost"]) == shared.bills()[-1]["bill"] > 0
    never_below(shared)


@pytest.mark.parametrize("call", [chat(), chat(stream=True), message()], ids=["chat", "chat-stream", "messages"])
def test_litellm_37992_a_reported_zero_is_a_zero(shared, call):
    """There an explicit zero was taken as missing, and an estimate put in its place."""
    name = agent(shared)
    ask(shared, name, call, fake="in=100,cached=100,out=0")
    row = last(shared, name)
    price = 100 if "messages" in call[0] else 75
    assert not row["estimated"] and row["usage_known"] and row["output"] == 0 and nano(row["cost"]) == 100 * price
    assert (row["input"], row["cache_read"]) == (100, 100)
    never_below(shared)


def test_litellm_37992_but_zeros_beside_text_are_not_believed(script):
    """The other side of it: text came and the usage says nothing was used. That is marked, and not free."""
    answer = {"object": "chat.completion", "model": "fake-mini", "choices": [{"index": 0, "message": {"role": "assistant", "content": "tok " * 20}}],
              "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}
    _, row = script.call(agent(script.w), chat(), answer, 0)
    assert row["estimated"] and not row["usage_known"] and nano(row["held"]) >= nano(row["cost"]) >= 20 * 600


def test_bifrost_3357_3709_806_deltas_are_not_one_token(shared):
    """There the 1 of an Anthropic stream's first event stood as the whole output when the last event did not come: a quarter of a month's bill."""
    long = message(stream=True, max_tokens=2000)
    for fake in ("in=100,out=900,cut=806", "in=100,out=900,fail=806", "in=100,out=900,gap=0.002"):
        name = agent(shared)
        if "gap" in fake:
            leave(shared, name, long, 3 * 450, fake)
        else:
            ask(shared, name, long, fake=fake)
        row, bill = last(shared, name), shared.bills()[-1]
        assert bill["usage"]["output"] >= 400
        assert row["estimated"] and nano(row["cost"]) >= bill["bill"] >= 400 * 5000
    never_below(shared)


HALF = """
import socket, ssl, sys
c = ssl.create_default_context().wrap_socket(socket.create_connection(("api.openai.com", 443)), server_hostname="api.openai.com")
c.sendall(b"POST /v1/chat/completions HTTP/1.1\\r\\nhost: api.openai.com\\r\\ncontent-type: application/json\\r\\ncontent-length: 500\\r\\n\\r\\n{\\"model\\": \\"fake-mini\\",")
c.close()
"""


def test_newapi_4168_what_was_given_up_before_it_was_sent_costs_nothing(shared):
    """There the prompt of a call was billed although it was aborted and no token made."""
    name, sent = agent(shared), len(shared.requests())
    for _ in range(3):
        assert shared.python(name, HALF).returncode == 0
    assert rows(shared, name) == [] and shared.account(name)["windows"]["total"]["held"] == "0.00"
    # Refused by the provider before the work, or failed without output: an error, no charge.
    for status in (400, 401, 404, 413, 429, 500, 503, 529):
        assert ask(shared, name, message(), fake=f"status={status}")[0] == status
    assert ask(shared, name, chat(stream=True), fake="out=9,fail=0")[0] == 200
    assert len(shared.requests()) == sent + 9
    assert sum(nano(r["cost"]) for r in rows(shared, name)) == 0
    never_below(shared)


def test_newapi_7486_a_retry_is_charged_once(shared):
    """There a call that was tried again was charged a second time."""
    name, key = agent(shared), ("-H", "idempotency-key: the-same")
    for fake in ("status=503", "status=429", "out=9,fail=0", "in=100,out=9"):
        ask(shared, name, chat(stream=True), *key, fake=fake)
    assert [nano(r["cost"]) for r in rows(shared, name)] == [100 * 150 + 9 * 600, 0, 0, 0]
    # One that broke off after output is billed by the provider, as is the next: both stand there, each once.
    for fake in ("in=100,out=9,cut=5", "in=100,out=9"):
        ask(shared, name, chat(stream=True), *key, fake=fake)
    seen = rows(shared, name)
    assert len(seen) == 6 and len({r["request_id"] for r in seen}) == 6 and [r["estimated"] for r in seen[:2]] == [False, True]
    never_below(shared)


def test_portkey_1259_usage_in_the_last_chunk_with_text(script):
    """There the usage of a Mistral stream, which comes unasked in the same chunk as the end, was lost."""
    name = agent(script.w)
    frame = {"id": "x", "object": "chat.completion.chunk", "model": "fake-mini"}
    answer = [dict(frame, choices=[{"index": 0, "delta": {"role": "assistant", "content": t}, "finish_reason": None}]) for t in ("a", "b")]
    answer.append(dict(frame, choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}],
                       usage={"prompt_tokens": 40, "completion_tokens": 20, "total_tokens": 60}))
    call = "https://api.mistral.ai/v1/chat/completions", chat(stream=True)[1]
    text, row = script.call(name, call, [*answer, "[DONE]"], 40 * 150 + 20 * 600)
    assert not row["estimated"] and (row["input"], row["output"]) == (40, 20)
    assert json.loads(script.w.requests()[-1]["body"]) == call[1]  # nothing was added to the request
    assert '"usage"' in text and "[DONE]" in text
    never_below(script.w)


@pytest.mark.parametrize("options", [None, {}, {"include_usage": False}, {"include_usage": True}], ids=["none", "empty", "false", "true"])
def test_kong_14535_streams_have_output_tokens_whether_the_client_asks_or_not(shared, options):
    """There the output of streamed calls was not counted; a client may also say itself that it wants no usage."""
    name = agent(shared)
    status, text = ask(shared, name, chat(stream=True, **({} if options is None else {"stream_options": options})), fake="in=100,out=17")
    row = last(shared, name)
    assert status == 200 and not row["estimated"] and (row["input"], row["output"]) == (100, 17)
    assert nano(row["cost"]) == 100 * 150 + 17 * 600
    assert ('"completion_tokens": 17' in text) == (options == {"include_usage": True})
    never_below(shared)


def test_apisix_13662_vercel_17326_both_sides_of_an_anthropic_stream(shared):
    """There the total of a stream was its output alone; and clients were handed a first event with zeros."""
    name = agent(shared)
    _, text = ask(shared, name, message(stream=True), fake="in=1000,cached=300,w5=200,w1h=100,out=17")
    row = last(shared, name)
    assert (row["input"], row["cache_read"], row["cache_write_5m"], row["cache_write_1h"], row["output"]) == (1000, 300, 200, 100, 17)
    start = next(json.loads(line[6:]) for line in text.splitlines() if "message_start" in line and line.startswith("data"))
    assert start["message"]["usage"]["input_tokens"] == 400 and start["message"]["usage"]["cache_read_input_tokens"] == 300
    never_below(shared)


def test_vercel_17326_zeros_in_the_first_event_are_not_the_bill(script):
    """There an Anthropic-shaped stream began with a usage of zeros; what counts is what comes at its end, and if no end comes an estimate."""
    def events(text, usage):
        message_start = {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant", "model": "fake-haiku", "content": [],
                                                              "usage": {"input_tokens": 0, "output_tokens": 0}}}
        return [message_start, {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
                *([{"type": "content_block_stop", "index": 0}, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
                   {"type": "message_stop"}] if usage else [])]
    name = agent(script.w)
    _, row = script.call(name, message(stream=True), events("tok " * 20, {"input_tokens": 100, "output_tokens": 20}), 100 * 1000 + 20 * 5000)
    assert not row["estimated"] and nano(row["cost"]) == 200000 and (row["input"], row["output"]) == (100, 20)
    never_below(script.w)
    _, row = script.call(agent(script.w), message(stream=True, max_tokens=900), events("tok " * 20, None), 12 * 1000 + 20 * 5000, cut=True)
    assert row["estimated"] and nano(row["cost"]) >= 12 * 1000 + 20 * 5000
