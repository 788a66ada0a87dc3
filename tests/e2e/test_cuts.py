# SPDX-License-Identifier: Apache-2.0
"""Cut after any byte, on either side: every call ends once, nothing stays held, and the ledger never has less than the provider billed."""
import json
import sys

import pytest
import world as worlds
from world import nano

# Calls one after the other, each cut a few bytes later, until one comes whole. A line of JSON per call: how it ended for the client.
CALLER = """
import http.client, json, os, socket, ssl, struct, sys, time
host, path, body, fake, step, side = sys.argv[1:7]
context = ssl.create_default_context()
c = None
for at in range(1, 20000, int(step)):
    c = c or http.client.HTTPSConnection(host, context=context, timeout=20)
    end, got = "whole", b""
    try:
        c.request("POST", path, body, {"content-type": "application/json", "x-fake": fake + (",at=%d" % at if side == "provider" else "")})
        a = c.getresponse()
        if side == "provider":
            got = a.read()
            end = "whole" if a.status == 200 else str(a.status)
        else:
            while len(got) < at:
                more = a.read1(at - len(got))
                if not more: break
                got += more
            if len(got) >= at:
                end = "left"
                if side == "reset": c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                c.close(); c = None
    except (OSError, http.client.HTTPException) as e:
        end = type(e).__name__
        c.close(); c = None
    print(json.dumps([at, end]), flush=True)
    time.sleep(0.005)
    if end == "whole": break
"""
CHAT = {"model": "fake-odd", "max_tokens": 40, "messages": [{"role": "user", "content": "x"}]}
MESSAGE = {"model": "fake-haiku", "max_tokens": 40, "messages": [{"role": "user", "content": "x"}]}
ANSWERS = {
    "whole": ("api.openai.com", "/v1/chat/completions", CHAT, "out=4", 19),
    "whole, gzip": ("api.openai.com", "/v1/chat/completions", CHAT, "out=4,gzip", 13),
    "stream, usage hidden": ("api.openai.com", "/v1/chat/completions", dict(CHAT, stream=True), "out=4", 37),
    "stream, usage shown": ("api.openai.com", "/v1/chat/completions", dict(CHAT, stream=True, stream_options={"include_usage": True}), "out=4", 37),
    "responses stream": ("api.openai.com", "/v1/responses", {"model": "fake-odd", "max_output_tokens": 40, "input": "x", "stream": True}, "out=4", 53),
    "messages stream": ("api.anthropic.com", "/v1/messages", dict(MESSAGE, stream=True), "out=4", 37),
    "messages stream, gzip": ("api.anthropic.com", "/v1/messages", dict(MESSAGE, stream=True), "out=4,gzip", 29),
}


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[{"name": "bot", "day": "1000USD"}]).start()
    yield w
    w.close()


def series(w, answer, side, fake=""):
    """Runs one and compares every bill with its row; returns the client's ends and the pairs of bill and row."""
    host, path, body, steer, step = ANSWERS[answer]
    seen, rows = len(w.bills()), len(w.ledger())
    r = w.in_agent("bot", [sys.executable, "-c", CALLER, host, path, json.dumps(body), steer + fake, str(step), side], timeout=120)
    assert r.returncode == 0, r.stderr
    ends = [json.loads(line) for line in r.stdout.splitlines()]
    w.quiet().audit()
    worlds.wait_for("all bills", lambda: len(w.bills()) - seen == len(ends))
    ledger = w.ledger()[:len(ends)]
    assert len(w.ledger()) - rows == len(ends), "calls and rows"
    assert nano(w.account()["windows"]["day"]["held"]) == 0
    assert w.daemon.poll() is None
    bills = {b["id"]: b for b in w.bills()[seen:]}
    # Where not even the head of the answer came, the row has no request id: those are compared as a whole.
    pairs = [(bills.pop(r["request_id"]), r) for r in ledger if r["request_id"]]
    rest = [r for r in ledger if not r["request_id"]]
    assert all(r["estimated"] for r in rest)
    assert sum(nano(r["cost"]) for r in rest) >= sum(b["bill"] for b in bills.values())
    for bill, row in pairs:
        assert nano(row["held"]) >= nano(row["cost"]) >= bill["bill"], (bill, row)
        if not row["estimated"]:
            assert nano(row["cost"]) == bill["bill"], (bill, row)
    return ends, pairs


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_provider_cuts_after_any_byte(shared, answer):
    ends, pairs = series(shared, answer, "provider")
    assert len(ends) > 20 and ends[-1][1] == "whole"
    assert sum(not row["estimated"] for _, row in pairs) >= 1
    if "stream" not in answer:
        assert {end for _, end in ends[:-1]} <= {"502", "IncompleteRead", "RemoteDisconnected"}, ends


@pytest.mark.parametrize("side", ["leaves", "reset"])
@pytest.mark.parametrize("answer", ["whole", "stream, usage hidden", "messages stream"])
def test_the_agent_goes_after_any_byte(shared, answer, side):
    ends, _ = series(shared, answer, side, ",gap=0.002")
    assert len(ends) > 10
