# SPDX-License-Identifier: Apache-2.0
"""The hard cap under concurrency: what the provider billed never exceeds the limit, and is not less than what fits."""
import sys

from world import nano

CALLER = """
import http.client, json, os, ssl, sys, threading
threads, tries = int(sys.argv[1]), int(sys.argv[2])
context = ssl.create_default_context()
body = json.dumps({"model": "fake-mini", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}], "stream": sys.argv[3] == "stream"})
def work():
    c = None
    for _ in range(tries):
        try:
            c = c or http.client.HTTPSConnection("api.openai.com", context=context, timeout=60)
            c.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "x-fake": "in=100,out=10"})
            c.getresponse().read()
        except OSError:
            c = None
for t in [threading.Thread(target=work) for _ in range(threads)]: t.start()
"""
COST = 21000  # 100 x 0.15 + 10 x 0.60 dollars per million, in nano-dollars
FITS = 100


def storm(w, agents, threads, tries, mode="whole"):
    ps = [w.spawn(a, [sys.executable, "-c", CALLER, str(threads), str(tries), mode], env=w.agent_env()) for a in agents]
    for p in ps:
        assert p.wait(180) == 0
    w.quiet()


def check(w, limit, account):
    w.audit()
    assert w.billed() <= limit
    assert w.charged() == w.billed()
    view = w.account(account)["windows"]["day"]
    assert nano(view["held"]) == 0 and nano(view["spent"]) == w.billed()


def test_200_callers_in_four_cgroups_under_one_parent(make_world):
    limit = COST * FITS
    w = make_world(accounts=[{"name": "team", "day": f"0.{limit:09d}USD"}],
                   agents=[{"name": n, "account": "team", "day": "1USD"} for n in ("a", "b", "c", "d")])
    storm(w, ["a", "b", "c", "d"], threads=50, tries=6)
    check(w, limit, "team")
    # The hold is larger than the cost, so the last few cannot be had; serial calls take what still fits.
    held = max(nano(c["held"]) for c in w.ledger())
    assert w.billed() >= limit - held - COST


def test_streams_too(make_world):
    limit = COST * FITS
    w = make_world(agents=[{"name": "bot", "day": f"0.{limit:09d}USD"}])
    storm(w, ["bot", "bot"], threads=30, tries=6, mode="stream")
    check(w, limit, "bot")
    held = max(nano(c["held"]) for c in w.ledger())
    assert w.billed() >= limit - held - COST


def test_every_window_and_every_level_counts(make_world):
    w = make_world(accounts=[{"name": "org", "month": "1USD", "total": f"0.{COST * 10:09d}USD"},
                             {"name": "team", "parent": "org", "hour": "1USD"}],
                   agents=[{"name": "bot", "account": "team", "week": "5USD"}])
    storm(w, ["bot"], threads=20, tries=3)
    assert 0 < w.billed() <= COST * 10
    w.audit()
    assert {r["account"] for r in w.refusals()} == {"org"}


def test_a_limit_cut_below_what_is_spent_stops_at_once(world):
    assert world.chat(model="fake-large", fake="out=100", max_tokens=100)[0] == 200
    world.quiet()
    world.purse("agent", "set", "bot", "--day", "0.000001USD")
    assert world.chat()[2].returncode == 7  # EDQUOT
    world.purse("agent", "set", "bot", "--day", "1USD")
    assert world.chat()[0] == 200
    world.assert_exact()
