# SPDX-License-Identifier: Apache-2.0
"""Items 16 to 24 of docs/others.md: callers that were refused elsewhere although their budget was not spent. A hold is given back at every
end of a call; what stands as spent is what the ledger says; and there is no second place that says no."""
import json
import subprocess
import time

import pytest
import world as worlds
from world import nano, wait_for

from .helpers import agent, ask, chat, hold_of, message, never_below, respond, rows, together, usd, window

ALERTS = [{"name": "ops", "at": ["99%"], "forecast": False, "exec": ["/bin/true"]}]


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[], config={"response_timeout": "1s", "alerts": ALERTS}).start()
    yield w
    w.close()


def in_parallel(w, name, times, call, fake, timeout):
    """Clients that give up after that time."""
    argv = ["curl", "-sS", "-o", "/dev/null", "--max-time", str(timeout), "-H", "content-type: application/json", "-H", "anthropic-version: 2023-06-01",
            "-H", "x-fake: " + fake, "-d", json.dumps(call[1]), call[0]]
    for p in [w.spawn(name, argv, env=w.agent_env(), stderr=subprocess.DEVNULL) for _ in range(times)]:
        p.wait(30)


def uses_all_that_is_left(w, name):
    """One call whose ceiling is all that is left, but for a token: only if nothing is held and nothing was counted twice does it fit."""
    call = chat("fake-mini", 10)
    at_10 = hold_of(w, call)
    left = nano(window(w, name)["left"])
    more = (left - at_10) // 600 - 10 * 6  # the number has more digits, and each byte is held as a token
    status, text = ask(w, name, chat("fake-mini", 10 + more), fake="in=10,out=5")
    assert status == 200, text
    assert nano(rows(w, name)[0]["held"]) > left * 9 // 10


# How calls end badly: (what, its call, x-fake, seconds until the client gives up)
ENDS = {
    "the client leaves before the answer": (chat(stream=True), "delay=0.6", 0.3),
    "the client leaves a stream": (chat(stream=True, max_tokens=400), "out=400,gap=0.02", 0.4),
    "the client leaves a stream of messages": (message(stream=True, max_tokens=400), "out=400,gap=0.02", 0.4),
    "the client leaves a whole answer": (chat(), "delay=0.6", 0.3),
    "the provider fails": (chat(), "status=500", 5),
    "the provider has a limit too": (message(), "status=429", 5),
    "the provider is overloaded": (message(stream=True), "status=529", 5),
    "the provider cuts": (respond(stream=True, max_tokens=200), "out=200,cut=20", 5),
    "the provider reports an error in the stream": (respond(stream=True), "out=20,fail=3", 5),
    "the provider does not answer in time": (chat(), "delay=1.6", 5),
    "the provider falls silent": (chat(stream=True), "out=20,gap=1.6", 5),
}


def test_litellm_27639_30522_30519_30460_40050_no_end_of_a_call_leaves_a_hold(shared):
    """There holds stayed after a cancel, a timeout or an error: refusals with nothing in the ledger, counters at twice what was spent."""
    names = {}
    for what, (call, fake, timeout) in ENDS.items():
        names[what] = agent(shared, "--total", "0.05")
        in_parallel(shared, names[what], 4, call, fake, timeout)
    never_below(shared)
    for what, name in names.items():
        seen = window(shared, name)
        assert seen["held"] == "0.00", what
        assert nano(seen["spent"]) == sum(nano(r["cost"]) for r in rows(shared, name)), what
        uses_all_that_is_left(shared, name)
    never_below(shared)


def test_litellm_27639_a_refused_call_leaves_nothing(shared):
    """There refusals themselves left holds, so that one led to the next."""
    hold = hold_of(shared, chat())
    name = agent(shared, "--total", usd(hold * 3 // 2))
    for _ in range(10):
        assert ask(shared, name, chat("fake-large", 500))[0] == 402
        assert ask(shared, name, chat("no-such-model"))[0] == 400
    assert window(shared, name)["held"] == window(shared, name)["spent"] == "0.00"
    assert ask(shared, name, chat())[0] == 200
    never_below(shared)


def test_litellm_38647_27735_40050_large_ceilings_do_not_fill_a_budget(shared):
    """There each call of a coding agent held its worst case: a few of them filled the budget and were refused, and users turned holds off."""
    name = agent(shared, "--total", "0.50")
    # 64,000 tokens of output may cost 1.60 each, and use a thousandth of it.
    answers = together(shared, name, message("fake-opus", 64000, stream=True), 8, "in=100,out=60,gap=0.01")
    assert [s for s, _ in answers] == [200] * 8
    shared.quiet()
    assert nano(window(shared, name)["spent"]) == 8 * (100 * 5000 + 60 * 25000) and window(shared, name)["held"] == "0.00"
    never_below(shared)


def test_litellm_40020_there_is_no_second_cap_beside_the_one_that_is_shown(shared):
    """There a process had a cap of its own that neither a reset nor a greater limit took back."""
    name = agent(shared, "--total", usd(2 * hold_of(shared, chat())))

    def until_refused():
        for _ in range(5):
            status = ask(shared, name, chat(), fake="in=50,out=20")[0]
            if status != 200:
                return status
        return 200
    assert until_refused() == 402
    shared.purse("agent", "set", name, "--total", "1")
    assert until_refused() == 200
    shared.purse("agent", "set", name, "--total", "0.0001")
    assert until_refused() in (0, 402)
    shared.purse("agent", "raise", name, "--total", "1", "--for", "1h")
    assert until_refused() == 200
    shared.purse("agent", "raise", name, "--end")
    assert until_refused() in (0, 402)
    shared.purse("agent", "set", name, "--total", "none")
    assert until_refused() == 200
    never_below(shared)


def test_litellm_22726_20615_without_a_limit_nothing_is_exceeded(shared):
    """There callers without any budget were told that theirs was exceeded."""
    name = agent(shared)
    answers = together(shared, name, message("fake-opus", 64000), 24, "in=100,out=400,delay=0.2")  # 38 dollars held at once
    assert [s for s, _ in answers] == [200] * 24
    seen = shared.quiet().account(name)
    assert all(w["limit"] is None for w in seen["windows"].values()) and seen["refusals"] == 0
    never_below(shared)


def test_bifrost_5770_at_99_percent_means_99_percent(shared):
    """There a rule for 99 % of the budget was taken at 40 cents of 15 dollars."""
    name = agent(shared, "--total", "15")

    def told():
        return [f for f in shared.purse_json("alerts")["fired"] if f.get("account") == name]
    assert ask(shared, name, message("fake-opus", 16000), fake="in=10,out=15998")[0] == 200  # 40 cents
    shared.quiet()
    assert nano(window(shared, name)["spent"]) == 400 * 10**6
    time.sleep(1.3)  # balances are looked at once a second
    assert told() == [] and ask(shared, name, chat())[0] == 200
    # 98.9 %, then 99.1 %
    shared.purse("agent", "set", name, "--total", "0.4045")
    time.sleep(1.3)
    assert told() == []
    shared.purse("agent", "set", name, "--total", "0.4037")
    wait_for("the alert", lambda: [f["text"].split(" of ")[0] for f in told()] == [f"{name}: 99%"])
    never_below(shared)


def test_litellm_27639_a_call_that_could_not_be_sent_stops_nothing(make_world):
    """The same at the earliest end of all: nobody listens at the provider. Here such a call once ended the ledger's writer, and every change hung."""
    w = make_world(agents=[{"name": "bot", "total": "1USD"}])
    w.fake.kill()
    w.fake.wait()
    for _ in range(5):
        assert w.chat()[0] == 502
    w.purse("agent", "set", "bot", "--total", "2", timeout=10)
    seen = window(w, "bot")
    assert seen["held"] == seen["spent"] == "0.00" and w.ledger() == []
