# SPDX-License-Identifier: Apache-2.0
"""Connections that end badly (F7 to F9). Cuts after any byte are in tests/e2e/test_cuts.py; here: half-closes, readers that never read, retries
with one idempotency key, and an upstream that stops for long."""
import json
import os
import sys
import time

import pytest
from checker import check
from world import nano, wait_for

LONG = bool(os.environ.get("FAULTS_LONG"))

CLIENT = """
import json, os, socket, ssl, struct, sys, time
how, n = sys.argv[1], int(sys.argv[2])
raw = socket.create_connection(("api.openai.com", 443), timeout=20)
s = ssl.create_default_context().wrap_socket(raw, server_hostname="api.openai.com")
body = json.dumps({"model": "fake-odd", "max_tokens": 60, "stream": True, "messages": [{"role": "user", "content": "x"}]}).encode()
head = f"POST /v1/chat/completions HTTP/1.1\\r\\nHost: api.openai.com\\r\\nx-fake: out=40,gap=0.01\\r\\ncontent-type: application/json\\r\\ncontent-length: {len(body)}\\r\\n\\r\\n".encode()
def reset():
    raw_ = s.detach()
    k = socket.socket(fileno=raw_)
    k.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    k.close()
if how == "request-reset":
    s.sendall((head + body)[:n]); time.sleep(0.2); reset(); sys.exit()
s.sendall(head + body)
if how == "half-close":
    time.sleep(0.1)
    s.shutdown(socket.SHUT_WR) if n else raw.shutdown(socket.SHUT_WR)
    got = b""
    try:
        while b := s.recv(65536): got += b
    except OSError: pass
    print(len(got))
elif how == "never-reads":
    time.sleep(n)
    reset()
"""


def client(w, how, n, timeout=60):
    return w.in_agent("bot", [sys.executable, "-c", CLIENT, how, str(n)], timeout=timeout)


@pytest.mark.parametrize("at", range(1, 400, 3) if LONG else [1, 60, 180, 240, 300])
def test_the_agent_resets_within_its_request(world, at):
    """Nothing went upstream, nothing is charged; or all of it did, and it is."""
    client(world, "request-reset", at)
    check(world)


@pytest.mark.parametrize("tls", [0, 1])
def test_the_agent_half_closes(world, tls):
    client(world, "half-close", tls)
    wait_for("the bill", world.bills)
    check(world)


def test_the_agent_never_reads(world):
    client(world, "never-reads", 3)
    wait_for("the bill", world.bills)
    check(world)


def test_an_sdk_tries_again_with_the_same_key(world):
    """One charge for each execution by the provider: the failed tries are free, the one that worked is paid once."""
    key = ("-H", "idempotency-key: same-one")
    assert world.chat(fake="status=429", args=key)[0] == 429
    assert world.chat(fake="status=503", args=key)[0] == 503
    assert world.chat(fake="status=500", args=key)[0] == 500
    assert world.chat(args=key)[0] == 200
    assert world.chat(args=key)[0] == 200  # the provider did it again, and billed it again
    check(world)
    assert [b["bill"] > 0 for b in world.bills()] == [False, False, False, True, True]


def test_a_daemon_that_was_stopped_for_a_while(world):
    """SIGSTOP in the midst of a stream: agents are refused by the gate, the call goes on afterwards and is charged exactly."""
    seconds = 60 if LONG else 4
    p = world.spawn("bot", ["curl", "-sSN", "--max-time", "90", "-H", "x-fake: out=40,gap=0.05", "-H", "content-type: application/json", "-d",
                            json.dumps({"model": "fake-odd", "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}),
                            "https://api.openai.com/v1/chat/completions"], env=world.agent_env(), stdout=-1, text=True)
    wait_for("the call", world.requests)
    time.sleep(0.3)
    os.kill(world.daemon.pid, 19)
    time.sleep(seconds)
    assert world.curl("bot", "https://api.openai.com/v1/models", timeout=3).returncode != 0
    os.kill(world.daemon.pid, 18)
    assert "[DONE]" in p.communicate(timeout=60)[0]
    wait_for("calls to pass again", lambda: world.chat()[0] == 200)
    check(world)


@pytest.mark.parametrize("agents", [1, 3])
def test_a_price_list_that_comes_while_a_stream_runs(make_world, agents):
    """F22: the price is fixed when the hold is taken, whatever is loaded meanwhile."""
    w = make_world(agents=[{"name": f"bot{i}", "day": "1USD"} for i in range(agents)])
    body = json.dumps({"model": "fake-odd", "stream": True, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]})
    ps = [w.spawn(f"bot{i}", ["curl", "-sSN", "-H", "x-fake: out=20,gap=0.05", "-H", "content-type: application/json", "-d", body,
                              "https://api.openai.com/v1/chat/completions"], env=w.agent_env(), stdout=-1, text=True) for i in range(agents)]
    wait_for("the calls", lambda: len(w.requests()) == agents)
    text = (w.folder / "prices.yaml").read_text()
    dearer = "\n".join(dear(line) for line in text.split("\n"))
    assert dearer != text
    (w.folder / "prices.yaml").write_text(dearer)
    os.kill(w.daemon.pid, 1)
    wait_for("the prices", lambda: "prices: loaded again" in w.daemon_log.read_text(), 5)
    assert all("[DONE]" in p.communicate(timeout=30)[0] for p in ps)
    check(w)  # to the nano-dollar at the old price
    assert all(nano(c["cost"]) > 0 for c in w.ledger())


def dear(line):
    """Twice the price of output."""
    name, colon, value = line.partition("output:")
    if not colon:
        return line
    number = value.split(",")[0].split("}")[0].strip().strip('"')
    return f"{name}output: {float(number) * 2:g}{value[value.index(number) + len(number):].lstrip(chr(34))}" if number.replace(".", "").isdigit() else line
