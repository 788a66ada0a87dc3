# SPDX-License-Identifier: Apache-2.0
"""What the tests in this folder share: many agents in one world, calls that start at the same moment, rows against bills."""
import itertools
import json
import sys

import world as worlds
from world import nano

OPENAI, ANTHROPIC = "https://api.openai.com/v1/", "https://api.anthropic.com/v1/"
HELLO = [{"role": "user", "content": "hello"}]
NUMBERS = itertools.count(1)

# One line of JSON on stdin: {url, body, fake, times}. All are connected before the first sends; a line of JSON per answer: [status, text].
TOGETHER = """
import http.client, json, ssl, sys, threading
job = json.loads(sys.stdin.read())
context, say = ssl.create_default_context(), threading.Lock()
host, _, path = job["url"].removeprefix("https://").partition("/")
ready = threading.Barrier(job["times"])
def work():
    out = [0, ""]
    try:
        c = http.client.HTTPSConnection(host, context=context, timeout=60)
        c.connect()
        ready.wait(30)
        c.request("POST", "/" + path, json.dumps(job["body"]), {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-fake": job["fake"]})
        a = c.getresponse()
        out = [a.status, a.read().decode()]
    except OSError as e:
        out[1] = repr(e)
    with say: print(json.dumps(out), flush=True)
for t in [threading.Thread(target=work) for _ in range(job["times"])]: t.start()
"""

# Reads LINES lines of the answer and is gone.
LEAVER = """
import http.client, json, ssl, sys
host, path, body, fake, lines = sys.argv[1:6]
c = http.client.HTTPSConnection(host, context=ssl.create_default_context(), timeout=60)
c.request("POST", path, body, {"content-type": "application/json", "anthropic-version": "2023-06-01", "x-fake": fake})
a = c.getresponse()
for _ in range(int(lines)): a.readline()
"""


def chat(model="fake-mini", max_tokens=20, **more):
    return OPENAI + "chat/completions", dict({"model": model, "max_tokens": max_tokens, "messages": HELLO}, **more)


def respond(model="fake-mini", max_tokens=20, **more):
    return OPENAI + "responses", dict({"model": model, "max_output_tokens": max_tokens, "input": "hello"}, **more)


def message(model="fake-haiku", max_tokens=20, **more):
    return ANTHROPIC + "messages", dict({"model": model, "max_tokens": max_tokens, "messages": HELLO}, **more)


def usd(nanos):
    return f"{nanos // 10**9}.{nanos % 10**9:09d}USD"


def agent(w, *flags):
    """One more agent, made at run time."""
    name = f"agent-{next(NUMBERS)}"
    w.purse("agent", "add", name, "--cgroup", f"/{w.name}/{name}", *flags)
    return name


def ask(w, name, call, *args, fake="", timeout=30):
    """status, text of one call; status 0 if there was none."""
    url, body = call
    r = w.curl(name, url, "-H", "anthropic-version: 2023-06-01", "-w", "\n%{http_code}", *args, body=body, fake=fake, timeout=timeout)
    text, _, status = r.stdout.rpartition("\n")
    return int(status or 0), text


def together(w, name, call, times, fake="", cgroup=None):
    """The same call, `times` times at once: [(status, text)]."""
    job = json.dumps({"url": call[0], "body": call[1], "fake": fake, "times": times})
    r = w.in_agent(cgroup or name, [sys.executable, "-c", TOGETHER], input=job)
    assert r.returncode == 0, r.stderr
    return [tuple(json.loads(line)) for line in r.stdout.splitlines()]


def leave(w, name, call, lines, fake):
    """A client that reads so many lines of the answer."""
    url, body = call
    host, _, path = url.removeprefix("https://").partition("/")
    r = w.in_agent(name, [sys.executable, "-c", LEAVER, host, "/" + path, json.dumps(body), fake, str(lines)])
    assert r.returncode == 0, r.stderr
    w.quiet()


def window(w, name, which="total"):
    return w.account(name)["windows"][which]


def rows(w, name):
    return w.quiet().ledger(agent=name)


def hold_of(w, call, fake=""):
    """What is held for such a call."""
    name = agent(w)
    assert ask(w, name, call, fake=fake)[0] == 200
    return nano(rows(w, name)[0]["held"])


def never_below(w):
    """Map = ledger; no hold is left; each row is its bill, or is marked as an estimate and is not below it."""
    w.quiet()
    worlds.wait_for("the provider to be done", lambda: len(w.bills()) == sum(r["method"] == "POST" for r in w.requests()))
    w.audit()
    bills = {b["id"]: b["bill"] for b in w.bills()}
    for r in w.ledger():
        bill = bills.get(r["request_id"])
        assert r["estimated"] or nano(r["cost"]) == bill, (r, bill)
        assert nano(r["cost"]) >= (bill or 0), (r, bill)
    assert w.charged() >= w.billed()
    for a in w.purse_json("status")["accounts"]:
        assert all(nano(x["held"]) == 0 for x in a["windows"].values()), a


def refused_by(text):
    error = json.loads(text)["error"]["purse"]
    return error.get("rule") or error["reason"]


class Script:
    """A world whose provider (scripted.py) says what a test writes down."""

    def __init__(self, more_prices=None, **kw):
        def provider(chain, key):
            folder = self.folder = worlds.pathlib.Path(chain).parent.parent
            return [sys.executable, worlds.pathlib.Path(__file__).parent / "scripted.py", chain, key, worlds.PROVIDER4, folder, folder / "fake.log"]
        w = self.w = worlds.World(agents=[], provider=provider, **kw)
        if more_prices:
            (w.folder / "more.yaml").write_text(more_prices)
            w.extra["prices"] = [str(w.folder / "prices.yaml"), str(w.folder / "more.yaml")]
            w.write_config()
        w.start()

    def call(self, name, call, answer, bill, cut=False, kind="application/json"):
        """What the client got, and the row. answer: one JSON value, or a list of the events of a stream."""
        n = next(NUMBERS)
        stream = isinstance(answer, list)
        if stream:
            events = [(f"event: {e['type']}\n" if "type" in e else "") + "data: " + (e if isinstance(e, str) else json.dumps(e)) + "\n\n" for e in answer]
            body, kind = "".join(events).encode(), "text/event-stream"
        else:
            body = json.dumps(answer).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nx-request-id: scripted-{n}\r\nrequest-id: scripted-{n}\r\nconnection: close\r\n"
        head += "\r\n" if stream else f"content-length: {len(body)}\r\n\r\n"
        if stream and cut:  # a told length that does not come
            head = head.replace("\r\n\r\n", f"\r\ncontent-length: {len(body) + 100}\r\n\r\n")
        (self.folder / f"answer-{n}").write_bytes(head.encode() + body)
        (self.folder / f"answer-{n}.json").write_text(json.dumps({"bill": bill, "id": f"scripted-{n}", "cut": cut}))
        _, text = ask(self.w, name, call, "-4", "-H", f"x-answer: answer-{n}")
        seen = rows(self.w, name)
        return text, (seen[0] if seen else None)
