# SPDX-License-Identifier: Apache-2.0
"""Items 1 to 15 of docs/others.md: money that was spent past a limit elsewhere, because of races or because nobody looked."""
import json
import subprocess
import sys

import pytest
import world as worlds
from world import nano

from .helpers import OPENAI, agent, ask, chat, hold_of, message, refused_by, respond, rows, together, usd, window

OWN_HOST = "https://llm.example.internal/v1/"
HOSTS = (*worlds.NAMES, "openrouter.ai", "llm.example.internal")
PROVIDERS = [{"name": "openai", "dialect": "openai", "hosts": ["api.openai.com"]}, {"name": "anthropic", "dialect": "anthropic", "hosts": ["api.anthropic.com"]},
             {"name": "openrouter", "dialect": "openrouter", "hosts": ["openrouter.ai"]},
             {"name": "own", "dialect": "openai-compatible", "hosts": ["llm.example.internal"]}]
OWN_PRICES = """
source: our own machines
as_of: 2026-11-01
providers:
  own:
    models:
      fake-odd: {input: 1.337, cache_read: 0.3331, output: 7.777, max_input: 128000, max_output: 8192}
"""


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[], names=HOSTS, config={"providers": PROVIDERS, "workers": 4})
    (w.folder / "own.yaml").write_text(OWN_PRICES)
    w.extra["prices"] = [str(w.folder / "prices.yaml"), str(w.folder / "own.yaml")]
    w.write_config()
    w.start()
    yield w
    w.close()


def left_never_negative(w, name, processes):
    """Looks at the balance until all have ended; the smallest that was seen."""
    least = nano(window(w, name)["left"])
    while any(p.poll() is None for p in processes):
        least = min(least, nano(window(w, name)["left"]))
    return min(least, nano(window(w, name)["left"]))


def test_litellm_34732_26672_bifrost_3547_parallel_turns_over_all_workers_do_not_overshoot(shared):
    """There a check came before the sum was added (or each replica had a sum of its own): as many turns as ran at once went through."""
    hold = hold_of(shared, chat())
    name = agent(shared, "--total", usd(5 * hold))
    before = shared.billed()
    answers = together(shared, name, chat(), 24, "delay=0.6,out=20,in=100")
    assert sorted(s for s, _ in answers) == [200] * 5 + [429] * 19
    shared.assert_exact()
    assert shared.billed() - before == nano(window(shared, name)["spent"]) <= 5 * hold


def test_newapi_5690_6609_oneapi_2440_clirelay_1045_octopus_234_gbrain_4365_no_balance_is_ever_negative(shared):
    """There the balance was read, then checked, then lowered, and went below zero in between."""
    hold = hold_of(shared, chat())
    name = agent(shared, "--total", usd(12 * hold))
    code = ("import http.client, json, ssl, threading\n"
            "x = ssl.create_default_context()\n"
            "def work():\n"
            " c, status = http.client.HTTPSConnection('api.openai.com', context=x, timeout=30), 0\n"
            " while status != 402:\n"
            f"  c.request('POST', '/v1/chat/completions', {json.dumps(json.dumps(chat()[1]))}, {{'content-type': 'application/json', 'x-fake': 'in=60,out=20'}})\n"
            "  a = c.getresponse(); a.read(); status = a.status\n"
            "for t in [threading.Thread(target=work) for _ in range(16)]: t.start()\n")
    processes = [shared.spawn(f"{name}/{n}", [sys.executable, "-c", code], env=shared.agent_env()) for n in "ab"]
    assert left_never_negative(shared, name, processes) >= 0
    assert [p.wait() for p in processes] == [0, 0]
    shared.assert_exact()
    assert nano(window(shared, name)["left"]) < hold  # and it could be used: what no call fits into is all that is left


def test_oneapi_227_what_is_used_up_stays_shut(shared):
    """There a key went on working after its quota was gone."""
    hold = hold_of(shared, chat())
    name = agent(shared, "--total", usd(2 * hold))
    while ask(shared, name, chat(), fake="out=20,in=100")[0] == 200:
        pass
    sent = len(shared.requests())
    code = ("import http.client, ssl, json\n"
            "c = http.client.HTTPSConnection('api.openai.com', context=ssl.create_default_context(), timeout=30)\n"
            "for _ in range(5):\n"
            f" c.request('POST', '/v1/chat/completions', {json.dumps(json.dumps(chat()[1]))}, {{'content-type': 'application/json'}})\n"
            " a = c.getresponse(); a.read(); print(a.status)\n")
    assert shared.python(name, code).stdout.split() == ["402"] * 5
    for call in (chat(stream=True), respond(), message()):
        assert ask(shared, name, call)[0] == 402
    shared.stop()
    shared.start()
    assert ask(shared, name, chat())[0] == 402
    assert len(shared.requests()) == sent
    shared.assert_exact()


def test_litellm_40095_first_requests_of_somebody_new_have_the_budget_of_their_group(shared):
    """There the first requests of a user not seen before ran in parallel, before the default budget was attached to that user."""
    hold = hold_of(shared, chat())
    name = agent(shared, "--total", usd(5 * hold))
    before = shared.billed()
    argv = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-H", "x-fake: delay=1.5,out=20,in=100", "-H", "content-type: application/json",
            "-d", json.dumps(chat()[1]), "https://api.openai.com/v1/chat/completions"]
    processes = [shared.spawn(f"{name}/new-{i}", argv, env=shared.agent_env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for i in range(12)]
    statuses = sorted(p.communicate(timeout=30)[0] for p in processes)
    assert statuses == ["200"] * 5 + ["429"] * 7
    assert {r["account"] for r in rows(shared, name)} == {name} and len(rows(shared, name)) == 5
    shared.assert_exact()
    assert shared.billed() - before <= 5 * hold


# flags at creation, and the rule or reason that refuses one of the next few calls
SAID = [("--hour 0.00001", "budget_exhausted"), ("--day 0.00001", "budget_exhausted"), ("--week 0.00001", "budget_exhausted"),
        ("--month 0.00001", "budget_exhausted"), ("--total 0.00001", "budget_exhausted"), ("--per-call 0.00001", "per_call"),
        ("--rpm 2", "requests_per_minute"), ("--tpm 300", "tokens_per_minute"), ("--allow-models fake-mini", "models"),
        ("--deny-models fake-l*", "models"), ("--loop 3/1m", "loop"), ("--day 0.5 --burn-rate 1/10m", "burn_rate")]


def test_bifrost_5673_litellm_27381_all_that_is_said_at_creation_is_kept_and_enforced(shared):
    """There a budget given with a new key was neither stored nor enforced; and a limiter existed that nothing called."""
    made = [(agent(shared, *flags.split()), flags, rule) for flags, rule in SAID]
    shared.kill9()
    shared.start()
    for name, flags, rule in made:
        for _ in range(4):
            status, text = ask(shared, name, chat("fake-large", 400), fake="in=10,out=400")
            if status != 200:
                break
        assert status in (402, 403, 429), (flags, text)
        assert refused_by(text) == rule, (flags, text)
    # Calls at once need two of them.
    name = agent(shared, "--in-flight", "3")
    answers = together(shared, name, chat(), 8, "delay=0.5")
    assert sorted(s for s, _ in answers) == [200] * 3 + [429] * 5
    assert {refused_by(t) for s, t in answers if s == 429} == {"calls_in_flight"}
    shared.assert_exact()


ENDPOINTS = {
    "chat": chat(), "chat, streamed": chat(stream=True), "responses": respond(), "responses, streamed": respond(stream=True),
    "messages": message(), "messages, streamed": message(stream=True),
    "completions": (OPENAI + "completions", {"model": "fake-instruct", "prompt": "hello", "max_tokens": 20}),
    "embeddings": (OPENAI + "embeddings", {"model": "fake-embed", "input": "hello"}),
    "pictures": (OPENAI + "images/generations", {"model": "fake-picture", "prompt": "hello", "n": 1}),
    "speech": (OPENAI + "audio/speech", {"model": "fake-voice", "input": "hello", "voice": "x"}),
}
UNKNOWN = ("threads/runs", "batches", "fine_tuning/jobs", "realtime/sessions", "engines/x/completions", "../openai/v1/chat/completions")


def test_litellm_38176_13882_10750_36646_bifrost_2873_no_endpoint_is_beside_the_budget(shared):
    """There budgets did not look at some endpoints, nor at those that were only passed through; and wrote no row for them."""
    name = agent(shared, "--total", "10")
    for what, call in ENDPOINTS.items():
        before = nano(window(shared, name)["spent"])
        assert ask(shared, name, call, "-o", "/dev/null")[0] == 200, what
        shared.quiet()
        assert nano(window(shared, name)["spent"]) - before == shared.bills()[-1]["bill"] > 0, what
    assert len(rows(shared, name)) == len(ENDPOINTS)
    spent = nano(window(shared, name)["spent"])
    sent = len(shared.requests())
    for path in UNKNOWN:
        assert ask(shared, name, (OPENAI + path, chat()[1]), "--path-as-is")[0] == 403, path
    shared.purse("agent", "set", name, "--total", usd(spent + 1))  # not enough for any
    for what, call in ENDPOINTS.items():
        assert ask(shared, name, call)[0] == 402, what
    assert len(shared.requests()) == sent
    shared.assert_exact()


def test_litellm_41344_a_free_model_opens_no_way_to_one_that_is_paid(shared):
    """There the check was skipped since the model was free; then a fallback that costs money answered."""
    router = "https://openrouter.ai/v1/chat/completions"
    free = router, dict(chat("fake-free")[1])
    sent = len(shared.requests())
    name = agent(shared, "--total", "0.001")
    # Who names the fallback himself is refused: nothing says what the dearest of them costs.
    assert ask(shared, name, (router, dict(free[1], models=["fake-free", "fake-router"])))[0] in (400, 403)
    assert len(shared.requests()) == sent
    # What the provider falls back to unasked is charged as what it is, and what it is bills count.
    assert ask(shared, name, free, fake="model=fake-router,in=100,out=10")[0] == 200
    assert nano(rows(shared, name)[0]["cost"]) == 100 * 1000 + 10 * 2000
    assert ask(shared, name, free, fake="cost=0.0009,in=100,out=10")[0] == 200
    assert nano(rows(shared, name)[0]["cost"]) == 900000
    # Now nothing is left, and what is free is shut as well.
    assert ask(shared, name, free)[0] in (0, 402)
    assert len(shared.requests()) == sent + 2
    shared.assert_exact()


def test_litellm_25874_a_host_with_prices_of_its_own_is_not_free(shared):
    """There a self-hosted model with prices given by hand was taken for free, and the check left out."""
    own = OWN_HOST + "chat/completions", chat("fake-odd")[1]
    name = agent(shared, "--total", usd(2 * hold_of(shared, own)))
    n = 0
    while True:
        status, text = ask(shared, name, own, fake="in=50,out=20")
        if status != 200:
            break
        n += 1
    assert status == 402 and refused_by(text) == "budget_exhausted" and n >= 2
    assert nano(window(shared, name)["spent"]) == n * (50 * 1337 + 20 * 7777)
    # A model of that host without a price is refused, also one that is priced at another host.
    sent = len(shared.requests())
    assert ask(shared, agent(shared), (own[0], chat("fake-mini")[1]))[0] == 400
    assert len(shared.requests()) == sent
    shared.assert_exact()


def test_envoy_2394_the_very_call_that_meets_the_limit_is_stopped(shared):
    """There limits looked at what was spent before: the call that went over was let through, and only the next one refused."""
    name = agent(shared, "--total", "0.01")
    sent = len(shared.requests())
    assert ask(shared, name, chat("fake-large", 1000), fake="out=1000")[0] == 402  # the first of all: 0.015 of output
    assert len(shared.requests()) == sent
    assert ask(shared, name, chat("fake-large", 100), fake="out=100")[0] == 200
    shared.assert_exact()


def test_envoy_1754_1169_counters_move_with_every_call(shared):
    """There the counters of some routes stayed where they were."""
    name, spent = agent(shared, "--hour", "10", "--day", "10", "--week", "10", "--month", "10", "--total", "10"), 0
    for i, call in enumerate([chat(), chat(stream=True), respond(stream=True), message(), message(stream=True)], 1):
        assert ask(shared, name, call)[0] == 200
        spent += shared.quiet().bills()[-1]["bill"]
        seen = shared.account(name)
        assert {w: nano(x["spent"]) for w, x in seen["windows"].items()} == dict.fromkeys(("hour", "day", "week", "month", "total"), spent)
        assert seen["calls"] == i
    shared.assert_exact()
