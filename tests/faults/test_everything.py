# SPDX-License-Identifier: Apache-2.0
"""200 callers at once x windows that roll x a tree x kill -9: not a nano-dollar above any limit of any window, no hold left, and how much of the
budgets could be used is printed."""
import os
import random
import sys
import time

from checker import Checker, check
from failio import FailIO
from test_overspend import COST
from world import wait_for

CALLER = """
import http.client, json, ssl, sys, threading, time
threads, seconds = int(sys.argv[1]), float(sys.argv[2])
context, end = ssl.create_default_context(), time.monotonic() + seconds
body = json.dumps({"model": "fake-mini", "max_tokens": 10, "messages": [{"role": "user", "content": "x"}], "stream": sys.argv[3] == "stream"})
def work():
    c = None
    while time.monotonic() < end:
        try:
            c = c or http.client.HTTPSConnection("api.openai.com", context=context, timeout=10)
            c.request("POST", "/v1/chat/completions", body, {"content-type": "application/json", "x-fake": "in=100,out=10"})
            if c.getresponse().read().startswith(b'{"error'): time.sleep(0.3)
        except (OSError, http.client.HTTPException):
            c = None
            time.sleep(0.2)
for t in [threading.Thread(target=work) for _ in range(threads)]: t.start()
"""
LONG = bool(os.environ.get("FAULTS_LONG"))
HOURS = 4 if LONG else 2
TREE = {"org": None, "one": "org", "two": "org", "a": "one", "b": "one", "c": "two", "d": "two"}
# What the callers would spend is some 200 calls an hour and more.
HOURLY = {"one": 45 * COST, "two": 60 * COST, "a": 25 * COST, "d": 40 * COST}
TOTAL = {"org": 150 * COST}


def usd(nano):
    return f"0.{nano:09d}USD"


def below(name, top):
    while name and name != top:
        name = TREE[name]
    return name == top


def overspent(rows):
    """Every limit against the plain sum of the rows that count in it."""
    found = []
    for top, limit in HOURLY.items():
        hours = {}
        for r in rows:
            if below(r["account"], top):
                hour = r["started_ns"] // 3_600_000_000_000
                hours[hour] = hours.get(hour, 0) + r["cost_nanousd"]
        found += [(top, hour, spent, limit) for hour, spent in hours.items() if spent > limit]
    for top, limit in TOTAL.items():
        spent = sum(r["cost_nanousd"] for r in rows if below(r["account"], top))
        found += [(top, "total", spent, limit)] if spent > limit else []
    return found


def test_callers_times_windows_times_tree_times_kill(make_world, tmp_path):
    seed = int(os.environ.get("PURSE_SEED", random.randrange(10**6)))
    print("PURSE_SEED =", seed)
    dice = random.Random(seed)
    terms = {n: {**({"hour": usd(HOURLY[n])} if n in HOURLY else {}), **({"total": usd(TOTAL[n])} if n in TOTAL else {})} for n in TREE}
    w = make_world(start=False, accounts=[{"name": n, **({"parent": TREE[n]} if TREE[n] else {}), **terms[n]} for n in ("org", "one", "two")],
                   agents=[{"name": n, "account": TREE[n], **terms[n]} for n in "abcd"])
    f = FailIO(tmp_path)
    w.start(env=f.env())
    env = w.agent_env(**f.env())
    kills = 0
    for hour in range(HOURS):
        # To just before the end of an hour, so that calls are in flight when it rolls.
        f.clock(((time.time() // 3600 + 1 + hour) * 3600 - 3) - time.time())
        ps = [w.spawn(a, [sys.executable, "-c", CALLER, "50", "15" if LONG else "9", dice.choice(["whole", "stream"])], env=env, stderr=-3) for a in "abcd"]
        for _ in range(2):
            time.sleep(dice.uniform(0.4, 1.5))
            w.kill9()
            kills += 1
            w.start(env=f.env())
            w.audit()
        for p in ps:
            p.wait(180)
        rows = Checker(w).rows()
        assert not overspent(rows), (overspent(rows), seed)
    wait_for("the last call to be over", lambda: not Checker(w).holds(), 30)
    check(w, unseen=True)
    rows = Checker(w).rows()
    assert not overspent(rows)
    charged, billed = sum(r["cost_nanousd"] for r in rows), w.billed()
    guessed = sum(r["cost_nanousd"] for r in rows if r["estimated"])
    print(f"{len(rows)} calls, {kills} kills: charged {charged / TOTAL['org']:.1%} of the total limit, billed {billed / TOTAL['org']:.1%}, "
          f"{guessed / TOTAL['org']:.1%} for calls that a kill cut short")
    assert billed <= charged <= TOTAL["org"]
    assert charged >= TOTAL["org"] * 0.7
