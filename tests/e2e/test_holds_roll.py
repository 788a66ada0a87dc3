# SPDX-License-Identifier: Apache-2.0
"""Rolling holds (docs/holds.md): a stream holds its input and what can have been made by now, grows with what is made, and ends with the
provider's own error event when what it needs does not fit any more. The provider here makes tokens at a set pace, below the
output_rate of 500 that purse goes by, and bills by its own count, also what it makes after a cancel until it notices."""
import json
import sys

import pytest
import world as worlds
from world import nano

CHAT, RESPONSES, MESSAGES = "https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1/responses", "https://api.anthropic.com/v1/messages"
HELLO = [{"role": "user", "content": "hello"}]

AGENT = """
import http.client, json, os, ssl, sys, threading, time
threads, fake = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context()
body = json.dumps({"model": "fake-pro", "max_tokens": 64000, "messages": [{"role": "user", "content": "write it"}], "stream": True})
def work():
    while True:
        c = http.client.HTTPSConnection("api.anthropic.com", context=context, timeout=120)
        c.request("POST", "/v1/messages", body, {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-fake": fake})
        r = c.getresponse()
        text = r.read().decode()
        c.close()
        if r.status == 429:
            time.sleep(0.2)
        elif r.status != 200:
            assert r.status == 402, text
            return
for t in [threading.Thread(target=work) for _ in range(threads)]: t.start()
"""


def limit_of(usd, **more):
    return dict({"name": "bot", "day": f"{usd}USD"}, **more)


def ask(w, url, *args, model, fake, max_tokens=60000, timeout=60, **more):
    body = dict({"model": model, "stream": True}, **more)
    body["input" if url == RESPONSES else "messages"] = "hello" if url == RESPONSES else HELLO
    body["max_output_tokens" if url == RESPONSES else "max_tokens"] = max_tokens
    r = w.curl("bot", url, "-w", "\n%{http_code}", *args, body=body, fake=fake, timeout=timeout)
    text, _, status = r.stdout.rpartition("\n")
    return int(status or 0), text, r


def events(text):
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def never_a_cent_over(w, limit):
    w.quiet().audit()
    worlds.wait_for("the provider to have noticed", lambda: len(w.bills()) == len(w.requests()))
    view = w.account()["windows"]["day"]
    assert nano(view["held"]) == 0 and nano(view["spent"]) == w.charged()
    assert w.billed() <= limit and w.charged() <= limit
    # What is not estimated is exact, and no estimate is below the bill.
    bills = {b["id"]: b["bill"] for b in w.bills()}
    for c in w.ledger():
        if c["request_id"]:
            bill = bills[c["request_id"]]
            assert nano(c["cost"]) == bill or (c["estimated"] and nano(c["cost"]) >= bill), (c, bill)


def test_a_coding_agent_can_use_its_budget(make_world):
    """max_tokens 64k, four calls in flight, five dollars: the ceiling of one call is more than half of it. At twice the price of the dearest
    coding model, and near the rate that purse goes by, so that a minute is enough to spend it."""
    limit = 5 * 10**9
    w = make_world(agents=[limit_of(5)])
    p = w.spawn("bot", [sys.executable, "-c", AGENT, "4", "in=100,out=2500,tok=8,pace=450,notice=0.5"], env=w.agent_env())
    assert p.wait(150) == 0
    never_a_cent_over(w, limit)
    print("billed", w.billed() / limit, "charged", w.charged() / limit, "calls", len(w.ledger()))
    assert w.billed() >= limit * 95 // 100
    assert {c["end"] for c in w.ledger()} == {"done", "budget-cut"}


def test_a_stream_holds_a_slice_not_the_ceiling(world):
    ends = {}
    for stream in (True, False):
        assert world.chat(model="fake-large", fake="out=5", max_tokens=100000, stream=stream)[0] == 200
        ends[stream] = nano(world.quiet().ledger()[0]["held"])
    assert ends[False] > 100000 * 15000
    # 500 tokens a second, for the second and a quarter that a cancel takes at most; two of it when it has grown once; the input is the same.
    assert ends[True] <= ends[False] - 100000 * 15000 + (2 * 625 + 500) * 15000
    world.assert_exact()


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("url, model, usd", [(CHAT, "fake-large", "0.03"), (RESPONSES, "fake-large", "0.03"), (MESSAGES, "fake-opus", "0.04")])
def test_what_does_not_fit_ends_the_stream(make_world, url, model, usd, http):
    w = make_world(agents=[limit_of(usd)])
    status, text, r = ask(w, url, http, "-i", model=model, fake="in=100,out=20000,tok=4,pace=450,notice=0.5")
    # In good order, with an event that names the budget and its figures, and nothing behind it.
    assert status == 200 and r.returncode == 0, (r.returncode, r.stderr, text[-500:])
    assert "data: [DONE]" not in text and "message_stop" not in text
    last = events(text)[-1]
    error = last["error"]
    assert error["purse"]["reason"] == "budget_exhausted" and error["purse"]["account"] == "bot" and nano(error["purse"]["limit_usd"]) == nano(usd)
    assert "does not have enough left" in error["message"]
    if url == MESSAGES:
        assert last["type"] == "error" and text.rstrip().splitlines()[-2] == "event: error"
    never_a_cent_over(w, nano(usd))
    call, = w.ledger()
    assert call["end"] == "budget-cut" and call["estimated"] and nano(call["held"]) <= nano(usd)
    assert w.billed() > 0 and w.bills()[0]["end"] == "cut"


def test_the_sdks_show_why(make_world):
    pytest.importorskip("openai")
    pytest.importorskip("anthropic")
    code = """
import anthropic, openai
def run(name, stream, error):
    try:
        for _ in stream(): pass
        print(name, "no error")
    except error as e:
        print(name, type(e).__name__, e)
o, a = openai.OpenAI(max_retries=0), anthropic.Anthropic(max_retries=0)
hello, fake = [{"role": "user", "content": "hello"}], {"x-fake": "in=100,out=20000,tok=4,pace=450"}
run("openai", lambda: o.chat.completions.create(model="fake-large", messages=hello, max_tokens=60000, stream=True, extra_headers=fake), openai.APIError)
run("anthropic", lambda: a.messages.create(model="fake-opus", messages=hello, max_tokens=60000, stream=True, extra_headers=fake), anthropic.APIError)
"""
    w = make_world(agents=[limit_of("0.03")])
    r = w.python("bot", code)
    said = r.stdout.splitlines()
    assert said and said[0].startswith("openai APIError") and "day budget" in said[0], (said, r.stderr[-800:])
    w.quiet()
    w.purse("agent", "set", "bot", "--day", "0.07USD")
    said = w.python("bot", code.replace('run("openai"', '#')).stdout.splitlines()
    assert said[0].startswith("anthropic API") and "day budget" in said[0], said
    never_a_cent_over(w, nano("0.07"))


def test_a_silent_stream_is_held_by_time(make_world):
    """A model that thinks unseen: no byte comes, and yet it costs."""
    w = make_world(agents=[limit_of("0.03")])
    status, text, r = ask(w, CHAT, model="fake-large", fake="in=100,out=10,think=20000,tok=10,pace=450,notice=0.5", reasoning_effort="high")
    assert status == 200 and events(text)[-1]["error"]["code"] == "purse_budget_exhausted", text[-500:]
    never_a_cent_over(w, nano("0.03"))
    call, = w.ledger()
    assert call["end"] == "budget-cut" and call["estimated"]


@pytest.mark.parametrize("url, model", [(MESSAGES, "fake-opus"), (CHAT, "fake-large")])
def test_what_a_slow_reader_has_not_seen_is_held_and_charged(make_world, url, model):
    """The agent hardly reads, so purse stops reading; what waits between here and the provider was made, and is billed. Then it leaves."""
    w = make_world(agents=[limit_of("5")])
    ask(w, url, "--limit-rate", "1k", "--max-time", "8", model=model, fake="in=100,out=20000,tok=2,pace=300,pad=300000,ahead", timeout=8)
    never_a_cent_over(w, nano("5"))
    call, = w.ledger()
    bill, = w.bills()
    assert call["end"] == "agent-gone" and call["estimated"] and bill["usage"]["output"] > 1500
    assert nano(call["cost"]) <= nano(call["held"])


LATE_READER = """
import http.client, json, ssl, time
c = http.client.HTTPSConnection("api.anthropic.com", context=ssl.create_default_context(), timeout=30)
c.request("POST", "/v1/messages", json.dumps({"model": "fake-opus", "max_tokens": 60000, "stream": True, "messages": [{"role": "user", "content": "hello"}]}),
          {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-fake": "in=100,out=20000,tok=2,pace=450,pad=100000,ahead"})
r = c.getresponse()
time.sleep(8)
end = time.monotonic() + 0.5
while time.monotonic() < end: r.read1(1 << 20)
c.sock.close()
"""


def test_reading_up_after_a_pause_is_no_proof_of_what_was_made(make_world):
    """All that has arrived is read, and yet more was made meanwhile: it waits where we cannot see it."""
    w = make_world(agents=[limit_of("5")])
    w.python("bot", LATE_READER)
    never_a_cent_over(w, nano("5"))
    bill, = w.bills()
    print(w.ledger(), bill)
    assert bill["usage"]["output"] > 3500


def test_one_that_was_not_answered_yet_is_refused_as_a_whole(make_world):
    w = make_world(agents=[limit_of("0.03")])
    status, text, _ = ask(w, CHAT, "-i", model="fake-large", fake="in=100,out=10,delay=6")
    assert status == 402 and "x-should-retry: false" in text.lower() and "does not have enough left" in text, text
    call, = w.quiet().ledger()
    assert call["end"] == "budget-cut" and nano(call["cost"]) > 0


def test_compressed_bytes_are_not_written_into(make_world):
    w = make_world(agents=[limit_of("0.04")])
    r = w.curl("bot", MESSAGES, "-o", w.folder / "answer", body={"model": "fake-opus", "stream": True, "messages": HELLO, "max_tokens": 60000},
               fake="in=100,out=20000,tok=4,pace=450,gzip")
    answer = (w.folder / "answer").read_bytes()
    assert r.returncode != 0 and answer[:2] == b"\x1f\x8b" and b"purse" not in answer
    w.quiet().audit()
    assert w.ledger()[0]["end"] == "budget-cut" and w.charged() <= nano("0.04")


def test_several_that_grow_share_what_there_is(make_world):
    """Sixteen streams at once, more than there is for all of them to end."""
    w = make_world(agents=[limit_of("0.5")])
    ps = [w.spawn("bot", [sys.executable, "-c", AGENT, "4", "in=100,out=600,tok=20,pace=450,notice=0.3"], env=w.agent_env()) for _ in range(4)]
    for p in ps:
        assert p.wait(120) == 0
    never_a_cent_over(w, nano("0.5"))
    assert w.billed() > 0


def test_killed_when_the_hold_has_grown(make_world):
    if not (worlds.CRASH_BUILD / "pursed").exists():
        pytest.skip(f"no build with crash points at {worlds.CRASH_BUILD} (make O=build-crash CRASH=1)")
    w = make_world(build=worlds.CRASH_BUILD, start=False, agents=[limit_of("1")])
    w.start(crash="extended:2")
    ask(w, MESSAGES, model="fake-opus", fake="in=100,out=20000,tok=4,pace=450")
    worlds.wait_for("the crash", lambda: w.daemon.poll() is not None, 20)
    w.start()
    w.quiet().audit()
    call, = w.ledger()
    assert call["end"] == "orphan" and call["cost"] == call["held"] and w.billed() <= w.charged() <= nano("1")


def test_an_agent_that_leaves_is_estimated_not_held_whole(world):
    r = world.curl("bot", MESSAGES, body={"model": "fake-opus", "max_tokens": 60000, "stream": True, "messages": HELLO},
                   fake="in=100,out=20000,tok=4,pace=450,notice=0.5", timeout=2)
    assert r.returncode == 28
    never_a_cent_over(world, 10 * 10**9)
    call, = world.ledger()
    assert call["end"] == "agent-gone" and call["estimated"] and nano(call["cost"]) < 2 * world.billed()


@pytest.mark.parametrize("fits", [True, False], ids=["to-the-end", "until-it-does-not-fit"])
def test_a_provider_that_is_drained(make_world, fits):
    providers = [{"name": "anthropic", "dialect": "anthropic", "hosts": ["api.anthropic.com"], "prefix": "/v1", "on_abort": "drain"}]
    w = make_world(agents=[limit_of(10 if fits else "0.05")], config={"providers": providers})
    r = w.curl("bot", MESSAGES, body={"model": "fake-opus", "max_tokens": 60000, "stream": True, "messages": HELLO},
               fake="in=100,out=1500,tok=4,pace=450", timeout=1)
    assert r.returncode == 28
    w.quiet().audit()
    call, = w.ledger()
    assert call["end"] == "agent-gone" and call["estimated"] == (not fits)
    assert (w.charged() == w.billed()) if fits else (w.billed() <= w.charged() <= nano("0.05"))
