# SPDX-License-Identifier: Apache-2.0
"""A random workload with faults, and a watcher who looks at every balance all the time.

    at every look   spent + held <= limit, in every window of every account; spent never falls
    when quiet      every account's spent = the rows of the agents below it; rows = calls that reached the provider, ids once each;
                    limit >= charged >= billed; nothing held; audit clean
The seed is printed; PURSE_SEED=n runs it again.
"""
import json
import os
import random
import socket
import sys
import threading
import time

import world as worlds
from world import nano

AGENTS = {"a": "one", "b": "one", "c": "two", "d": "two"}
LIMITS = {"org": 400_000_000, "one": 200_000_000, "two": 300_000_000, "a": 90_000_000}  # nano-dollars, about what the workload would spend

WORKER = """
import http.client, json, random, ssl, sys
dice, until = random.Random(sys.argv[1]), float(sys.argv[2])
import time
context = ssl.create_default_context()
conns, tally = {}, {}
while time.time() < until:
    host, path, model, limit = dice.choice([("api.openai.com", "/v1/chat/completions", "fake-odd", "max_tokens"),
        ("api.openai.com", "/v1/responses", "fake-large", "max_output_tokens"), ("api.anthropic.com", "/v1/messages", "fake-haiku", "max_tokens")])
    body = {"model": model, limit: dice.choice([20, 100, 1000]), "stream": dice.random() < 0.5}
    body["input" if "responses" in path else "messages"] = "x" if "responses" in path else [{"role": "user", "content": "x" * dice.randrange(2000)}]
    fake = ["in=%d" % dice.randrange(1, 100), "out=%d" % dice.randrange(0, 20)]
    fault = dice.random()
    if fault < 0.05: fake.append("status=%d" % dice.choice([400, 429, 500, 529]))
    elif fault < 0.10: fake.append("at=%d" % dice.randrange(1, 1500))
    elif fault < 0.15 and body["stream"]: fake.append("fail=%d" % dice.randrange(5))
    elif fault < 0.20: fake.append("nousage")
    elif fault < 0.25: fake.append("gzip")
    leave = body["stream"] and dice.random() < 0.1
    if leave: fake.append("gap=0.01")
    try:
        c = conns.get(host) or conns.setdefault(host, http.client.HTTPSConnection(host, context=context, timeout=30))
        c.request("POST", path, json.dumps(body), {"content-type": "application/json", "x-fake": ",".join(fake)})
        a = c.getresponse()
        if leave:
            a.read1(dice.randrange(1, 400))
            conns.pop(host).close()
        else: a.read()
        end = str(a.status)
    except (OSError, http.client.HTTPException) as e:
        end = type(e).__name__
        if host in conns: conns.pop(host).close()
        time.sleep(0.01)
    tally[end] = tally.get(end, 0) + 1
print(json.dumps(tally))
"""


class Watcher(threading.Thread):
    """Reads the status as fast as it can. What it finds wrong stands in `wrong`."""

    def __init__(self, w):
        super().__init__(daemon=True)
        self.path, self.wrong, self.looks, self.stop = str(w.folder / "run/control.sock"), [], 0, False
        self.most = {}

    def status(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(10)
        with s:
            s.connect(self.path)
            s.sendall(b"GET /v1/status HTTP/1.1\r\nHost: purse\r\nConnection: close\r\n\r\n")
            data = b""
            while got := s.recv(1 << 16):
                data += got
        return json.loads(data.partition(b"\r\n\r\n")[2])

    def run(self):
        while not self.stop:
            try:
                accounts = self.status()["accounts"]
            except (OSError, ValueError):
                time.sleep(0.05)  # killed just now
                continue
            self.looks += 1
            for a in accounts:
                for name, v in a["windows"].items():
                    spent, held = nano(v["spent"]), nano(v["held"])
                    if v["limit"] is not None and spent + held > nano(v["limit"]):
                        self.wrong.append(f"{a['name']}/{name}: {v}")
                    if held < 0 or spent < self.most.get((a["name"], name), 0):
                        self.wrong.append(f"{a['name']}/{name} fell from {self.most[a['name'], name]}: {v}")
                    self.most[a["name"], name] = spent


def usd(n):
    return f"{n // 10**9}.{n % 10**9:09d}USD"


def check(w):
    w.quiet().audit()
    rows, bills = w.ledger(), w.bills()
    ids = [r["call_id"] for r in rows]
    assert len(ids) == len(set(ids))
    by_request = {b["id"]: b for b in bills}
    for r in rows:
        assert nano(r["cost"]) <= nano(r["held"]), r
        if r["request_id"]:
            bill = by_request[r["request_id"]]["bill"]
            assert nano(r["cost"]) == bill or (r["estimated"] and nano(r["cost"]) >= bill), (r, bill)
    assert sum(nano(r["cost"]) for r in rows) >= sum(b["bill"] for b in bills)
    below = {name: {name} for name in AGENTS}
    below.update(one={"a", "b"}, two={"c", "d"}, org=set(AGENTS))
    for a in w.purse_json("status")["accounts"]:
        spent = sum(nano(r["cost"]) for r in rows if r["agent"] in below[a["name"]])
        for name, v in a["windows"].items():
            assert (nano(v["spent"]), nano(v["held"])) == (spent, 0), (a["name"], name, v, spent)
            assert v["limit"] is None or spent <= nano(v["limit"])
    return rows, bills


def storm(w, dice, seconds, workers):
    until = time.time() + seconds
    return [w.spawn(dice.choice("abcd"), [sys.executable, "-c", WORKER, str(dice.random()), str(until)], env=w.agent_env(),
                    stdout=worlds.subprocess.PIPE, text=True) for _ in range(workers)]


def make(make_world):
    seed = int(os.environ.get("PURSE_SEED", random.randrange(10**6)))
    print("PURSE_SEED =", seed)
    w = make_world(accounts=[{"name": "org", "month": usd(LIMITS["org"])}, {"name": "one", "parent": "org", "day": usd(LIMITS["one"])},
                             {"name": "two", "parent": "org", "total": usd(LIMITS["two"])}],
                   agents=[dict({"name": n, "account": up}, **({"week": usd(LIMITS[n])} if n in LIMITS else {})) for n, up in AGENTS.items()])
    return w, random.Random(seed)


def test_balances_hold_at_every_look(make_world):
    w, dice = make(make_world)
    watcher = Watcher(w)
    watcher.start()
    ends = {}
    for p in storm(w, dice, 6, 12):
        for end, n in json.loads(p.communicate(timeout=60)[0]).items():
            ends[end] = ends.get(end, 0) + n
    watcher.stop = True
    watcher.join(15)
    print(ends, watcher.looks, "looks")
    rows, bills = check(w)
    assert not watcher.wrong, watcher.wrong[:5]
    assert watcher.looks > 100 and ends["200"] > 100
    assert len(rows) == len(bills)


def test_balances_hold_while_the_daemon_is_killed(make_world):
    w, dice = make(make_world)
    watcher = Watcher(w)
    watcher.start()
    ps = storm(w, dice, 8, 8)
    for _ in range(4):
        time.sleep(dice.uniform(0.3, 1.5))
        w.kill9()
        w.audit()  # without a daemon
        seen = len(w.records())
        time.sleep(0.2)
        assert sum("request" in r for r in w.records()[seen:]) == 0
        w.start()
    for p in ps:
        p.communicate(timeout=60)
    watcher.stop = True
    watcher.join(15)
    check(w)
    assert not watcher.wrong, watcher.wrong[:5]
