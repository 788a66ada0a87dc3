# SPDX-License-Identifier: Apache-2.0
"""`purse agent kill`: calls in flight are cut, told why, and charged at what they used; nothing of that account goes on."""
import json

import pytest
import world as worlds
from world import nano

CHAT, MESSAGES = "https://api.openai.com/v1/chat/completions", "https://api.anthropic.com/v1/messages"
HELLO = [{"role": "user", "content": "hello"}]


def call(w, agent, url, *args, fake, stream, http="--http1.1", model=None):
    """Begins one; its output stands in the file that is handed back with the process."""
    model = model or ("fake-opus" if url == MESSAGES else "fake-large")
    body = json.dumps({"model": model, "stream": stream, "max_tokens": 60000, "messages": HELLO})
    out = w.folder / f"answer-{agent}-{len(list(w.folder.glob('answer-*')))}"
    p = w.spawn(agent, ["curl", "-sSi", http, *args, "-H", "content-type: application/json", "-H", "x-fake: " + fake, "-d", body, url],
                env=w.agent_env(), stdout=open(out, "w"))
    return p, out


def flowing(out):
    worlds.wait_for("text to come", lambda: "tok" in out.read_text())


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
@pytest.mark.parametrize("url", [CHAT, MESSAGES])
def test_a_stream_is_ended_and_told_why(world, url, http):
    p, out = call(world, "bot", url, http=http, fake="in=100,out=50000,tok=4,pace=400,notice=0.3", stream=True)
    flowing(out)
    world.purse("agent", "kill", "bot")
    # In good order, with the provider's error event as the last thing.
    assert p.wait(10) == 0
    last = json.loads([line for line in out.read_text().splitlines() if line.startswith("data: {")][-1][6:])
    assert last["error"]["purse"]["reason"] == "stopped" and "stopped by the operator" in last["error"]["message"], last
    world.quiet().audit()
    worlds.wait_for("the provider to have noticed", world.bills)
    row, = world.ledger()
    assert row["end"] == "killed" and row["estimated"] and nano(row["held"]) >= nano(row["cost"]) >= world.billed() > 0
    assert nano(world.account()["windows"]["day"]["held"]) == 0


@pytest.mark.parametrize("http", ["--http1.1", "--http2"])
def test_one_that_is_not_answered_yet_gets_402(world, http):
    p, out = call(world, "bot", CHAT, http=http, fake="delay=20", stream=False)
    worlds.wait_for("the provider to be asked", world.requests)
    world.purse("agent", "kill", "bot")
    assert p.wait(10) == 0
    text = out.read_text()
    assert " 402" in text.splitlines()[0] and "x-should-retry: false" in text.lower() and "purse_stopped" in text
    row, = world.quiet().ledger()
    # It is made whole before it is sent: it may be billed whole.
    assert row["end"] == "killed" and row["estimated"] and row["cost"] == row["held"]


def test_all_below_and_nobody_else(make_world):
    w = make_world(accounts=[{"name": "team", "day": "10USD"}], agents=[{"name": "a", "account": "team", "day": "5USD"},
                                                                       {"name": "b", "account": "team", "day": "5USD"}, {"name": "other", "day": "5USD"}])
    fake = "in=100,out=50000,tok=4,pace=200"
    calls = {n: call(w, n, CHAT, fake=fake, stream=True) for n in ("a", "b", "other")}
    for p, out in calls.values():
        flowing(out)
    w.purse("agent", "kill", "a")
    assert calls["a"][0].wait(10) == 0
    before = calls["b"][1].stat().st_size
    worlds.wait_for("the others to go on", lambda: calls["b"][1].stat().st_size > before)
    assert calls["b"][0].poll() is None and calls["other"][0].poll() is None
    for p, _ in calls.values():
        if p.poll() is None:
            p.kill()
            p.wait()
    w.quiet().audit()
    assert sorted((c["agent"], c["end"]) for c in w.ledger()) == [("a", "killed"), ("b", "agent-gone"), ("other", "agent-gone")]


KEPT = """
import http.client, json, ssl, sys
c = http.client.HTTPSConnection("api.openai.com", context=ssl.create_default_context(), timeout=20)
def ask(method, path, body=None):
    try:
        c.request(method, path, body, {"content-type": "application/json"})
        r = c.getresponse()
        print(r.status, r.read()[:300].decode(), flush=True)
    except (OSError, http.client.HTTPException) as e:
        print("gone", type(e).__name__, flush=True)
        sys.exit()
ask("GET", "/v1/models")
sys.stdin.readline()
c.auto_open = 0
ask("GET", "/v1/models")
"""


@pytest.mark.parametrize("verb, expected", [("pause", "402 "), ("kill", "gone")])
def test_a_connection_that_was_kept(world, verb, expected):
    """A paused agent gets nothing more on it, also not what is free; a killed one's is closed."""
    import subprocess
    import sys
    p = world.spawn("bot", [sys.executable, "-c", KEPT], env=world.agent_env(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert p.stdout.readline().startswith("200 ")
    world.purse("agent", verb, "bot")
    p.stdin.write("\n")
    p.stdin.flush()
    assert p.stdout.readline().startswith(expected)
    p.wait(10)
    assert len(world.requests()) == 1


def test_many_at_once(world):
    """Forty streams over a few HTTP/2 and HTTP/1.1 connections."""
    body = json.dumps({"model": "fake-large", "stream": True, "max_tokens": 1000, "messages": HELLO})
    ps = []
    for http in ("--http1.1", "--http2"):
        argv = ["curl", "-sS", "--parallel", "--parallel-max", "20", http]
        for i in range(20):
            argv += (["--next", "-sS", http] if i else []) + ["-H", "content-type: application/json", "-H", "x-fake: out=5000,tok=4,pace=40", "-d", body, CHAT]
        ps.append(world.spawn("bot", argv, env=world.agent_env(), stdout=open(world.folder / f"many{http}", "w")))
    worlds.wait_for("all to be asked", lambda: len(world.requests()) == 40, 30)
    world.purse("agent", "kill", "bot")
    for p in ps:
        p.wait(20)
    world.quiet().audit()
    rows = world.ledger()
    assert len(rows) == 40 and {r["end"] for r in rows} == {"killed"}
    worlds.wait_for("the provider to have noticed", lambda: len(world.bills()) == 40)
    assert world.charged() >= world.billed()
