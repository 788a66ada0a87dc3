# SPDX-License-Identifier: Apache-2.0
"""The providers' own Python SDKs, unmodified, no base URL set: they need not know that purse is there."""
import pytest
from world import wait_for

pytest.importorskip("openai", reason="the openai package is missing (tests/lib/requirements.txt)")
pytest.importorskip("anthropic", reason="the anthropic package is missing (tests/lib/requirements.txt)")

CHAT = """
import openai
client = openai.OpenAI()
fake = lambda s: {"x-fake": s}
ask = dict(model="fake-mini", messages=[{"role": "user", "content": "hello"}], max_tokens=50)
"""
MESSAGES = """
import anthropic
client = anthropic.Anthropic()
fake = lambda s: {"x-fake": s}
ask = dict(model="fake-haiku", messages=[{"role": "user", "content": "hello"}], max_tokens=50)
"""


def ok(world, code, **env):
    r = world.python("bot", code, **env)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def test_openai_chat(world):
    ok(world, CHAT + """
a = client.chat.completions.create(**ask, extra_headers=fake("in=40,out=6,cached=8"))
assert a.usage.completion_tokens == 6 and a.choices[0].message.content.startswith("tok")
t = client.chat.completions.create(**ask, tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}], extra_headers=fake("tool"))
assert t.choices[0].message.tool_calls[0].function.name == "look"
""")
    world.assert_exact()


def test_openai_stream_without_and_with_usage(world):
    ok(world, CHAT + """
chunks = list(client.chat.completions.create(**ask, stream=True, extra_headers=fake("out=9")))
assert sum(len(c.choices[0].delta.content or "") for c in chunks) == 36
assert all(c.usage is None and c.choices for c in chunks)
chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}, extra_headers=fake("out=9")))
assert chunks[-1].usage.completion_tokens == 9 and not chunks[-1].choices
""")
    world.assert_exact()


def test_openai_responses_completions_embeddings(world):
    ok(world, CHAT + """
assert client.responses.create(model="fake-mini", input="hi", max_output_tokens=64).output_text.startswith("tok")
kinds = [e.type for e in client.responses.create(model="fake-mini", input="hi", max_output_tokens=64, stream=True)]
assert kinds[-1] == "response.completed"
assert client.completions.create(model="fake-instruct", prompt="hi").choices[0].text
assert client.embeddings.create(model="fake-embed", input="hi", encoding_format="float").data[0].embedding == [0.5, 0.25]
assert [m.id for m in client.models.list()] == ["fake-mini"]
""")
    world.assert_exact()


def test_openai_async_parallel_and_http2(world):
    ok(world, """
import asyncio, openai
async def main():
    for http2 in (False, True):
        client = openai.AsyncOpenAI(http_client=openai.DefaultAsyncHttpxClient(http2=http2))
        async def one(i):
            if i % 2:
                return await client.chat.completions.create(model="fake-odd", messages=[{"role": "user", "content": str(i)}], max_tokens=9)
            async for _ in await client.chat.completions.create(model="fake-odd", messages=[], max_tokens=9, stream=True): pass
        await asyncio.gather(*[one(i) for i in range(30)])
asyncio.run(main())
""")
    world.assert_exact()
    assert len(world.ledger()) == 60


def test_openai_errors_and_retries(world):
    ok(world, CHAT + """
try: client.with_options(max_retries=2).chat.completions.create(**ask, extra_headers=fake("status=500")); raise SystemExit("no error")
except openai.InternalServerError: pass
try: list(client.chat.completions.create(**ask, stream=True, extra_headers=fake("fail=2"))); raise SystemExit("no error")
except openai.APIError as e: assert "on purpose" in str(e)
""")
    assert len(world.requests()) == 4  # each attempt is a call of its own
    world.quiet().audit()
    ends = [(c["status"], c["end"], c["estimated"]) for c in world.ledger()]
    assert ends == [(200, "error", True)] + [(500, "error", False)] * 3
    assert world.charged() >= world.billed() > 0


def test_openai_client_that_leaves(world):
    ok(world, CHAT + """
stream = client.chat.completions.create(**ask, stream=True, extra_headers=fake("out=40,gap=0.05"))
for i, chunk in enumerate(stream):
    if i == 5: break
stream.close(); client.close()
""")
    world.quiet().audit()
    wait_for("the provider to notice", world.bills)
    (call,) = world.ledger()
    assert call["estimated"] and world.charged() >= world.billed() > 0


def test_openai_refusal_is_shown_and_not_retried(make_world):
    w = make_world(agents=[{"name": "bot", "total": "0.000001USD"}])
    out = ok(w, CHAT + """
try: client.with_options(max_retries=5).chat.completions.create(**ask)
except openai.APIStatusError as e: print(e.status_code, e.body["type"], e.message)
""")
    assert out.startswith("402 insufficient_quota") and "total budget of \"bot\"" in out
    assert w.requests() == [] and len(w.refusals()) == 1


def test_anthropic_messages(world):
    ok(world, MESSAGES + """
a = client.messages.create(**ask, extra_headers=fake("in=300,cached=100,w5=50,out=7"))
assert a.usage.output_tokens == 7 and a.usage.cache_read_input_tokens == 100
t = client.messages.create(**ask, tools=[{"name": "look", "input_schema": {"type": "object"}}], extra_headers=fake("tool"))
assert t.content[0].name == "look"
with client.messages.stream(**ask, extra_headers=fake("in=300,w1h=20,out=8")) as s:
    assert len(s.get_final_text()) == 32
    assert s.get_final_message().usage.output_tokens == 8
assert client.messages.count_tokens(model="fake-haiku", messages=ask["messages"]).input_tokens == 12
assert client.models.list().data[0].id
""")
    world.assert_exact()


def test_anthropic_errors_and_refusals(make_world):
    w = make_world(agents=[{"name": "bot", "total": "0.002USD"}])
    out = ok(w, MESSAGES + """
try:
    with client.messages.stream(**ask, extra_headers=fake("fail=1")) as s: s.get_final_text()
    raise SystemExit("no error")
except anthropic.APIStatusError as e: assert "on purpose" in str(e)
ask["max_tokens"] = 4000
try: client.messages.create(**ask)
except anthropic.APIStatusError as e: print(e.status_code, e.body["error"]["type"], e.request_id)
""")
    assert out.startswith("402 billing_error purse-")
    w.quiet().audit()
    assert w.charged() >= w.billed() > 0


def test_anthropic_http2_parallel(world):
    ok(world, """
import anthropic, asyncio
async def main():
    client = anthropic.AsyncAnthropic(http_client=anthropic.DefaultAsyncHttpxClient(http2=True))
    async def one(i):
        async with client.messages.stream(model="fake-opus", max_tokens=30, messages=[{"role": "user", "content": "x"}]) as s:
            await s.get_final_text()
    await asyncio.gather(*[one(i) for i in range(20)])
asyncio.run(main())
""")
    world.assert_exact()
    assert len(world.ledger()) == 20
