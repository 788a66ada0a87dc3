# SPDX-License-Identifier: Apache-2.0
"""The wall clock jumps under a running daemon and between two (F10): no window is granted twice, nothing settled is lost, timeouts do not fire."""
import datetime
import time

import pytest
from checker import Checker, check
from failio import FailIO
from world import nano, wait_for

HOUR, DAY = 3600, 86400
LIMIT = "0.000063USD"  # some three calls of fake-mini: 100 tokens in, 10 out


@pytest.fixture
def clocked(make_world, tmp_path):
    def make(**kw):
        w = make_world(start=False, **kw)
        f = FailIO(tmp_path)
        w.start(env=f.env())
        w.clock_env = f.env()
        agent_env = w.agent_env
        w.agent_env = lambda **more: dict(agent_env(**more), **f.env())  # agents live on the same machine
        return w, f
    return make


def spend_all(w):
    """Calls until the budget says no; what it cost."""
    before = w.billed()
    for _ in range(40):
        if w.chat(fake="in=100,out=10", max_tokens=10)[0] != 200:
            break
    else:
        raise AssertionError("no end to the budget")
    w.quiet()
    return w.billed() - before


def set_clock(w, f, seconds):
    f.clock(seconds)
    time.sleep(1.2)  # the daemon's own timer looks once a second


@pytest.mark.parametrize("window,ahead", [("hour", HOUR), ("day", DAY)])
def test_forward_and_back_grants_one_more_window_not_two(clocked, window, ahead):
    w, f = clocked(agents=[{"name": "bot", window: LIMIT}])
    first = spend_all(w)
    assert 0 < first <= nano(LIMIT[:-3])
    set_clock(w, f, ahead)
    second = spend_all(w)  # another window: granted once
    assert 0 < second <= nano(LIMIT[:-3])
    set_clock(w, f, 0)
    assert spend_all(w) == 0  # back in the first: what was spent then and what was spent "tomorrow" both stand
    set_clock(w, f, ahead)
    assert spend_all(w) == 0
    check(w)
    w.kill9()
    w.start(env=w.clock_env)
    assert spend_all(w) == 0
    check(w)


@pytest.mark.parametrize("back", [HOUR, DAY])
def test_back_over_an_edge_and_a_restart(clocked, back):
    """The clock goes back while no daemon runs: the newest row is ahead of it, windows wait until it has caught up."""
    w, f = clocked(agents=[{"name": "bot", "hour": LIMIT}])
    assert spend_all(w) > 0
    w.stop()
    f.clock(-back)
    w.start(env=w.clock_env)
    assert spend_all(w) == 0
    check(w)


def test_a_stream_does_not_notice(clocked):
    """Durations are measured on another clock: a call in flight neither times out nor is it charged to another window."""
    w, f = clocked(agents=[{"name": "bot", "day": "1USD"}])
    p = w.spawn("bot", ["curl", "-sSN", "--max-time", "20", "-H", "x-fake: out=30,gap=0.1", "-H", "content-type: application/json", "-d",
                        '{"model": "fake-odd", "stream": true, "max_tokens": 50, "messages": [{"role": "user", "content": "x"}]}',
                        "https://api.openai.com/v1/chat/completions"], env=w.agent_env(), stdout=-1, text=True)
    wait_for("the call", w.requests)
    began = time.time()
    for jump in (DAY, -DAY, HOUR, 0):
        f.clock(jump)
        time.sleep(0.6)
    body = p.communicate(timeout=30)[0]
    assert "[DONE]" in body and body.count('"content": "tok "') == 30
    f.clock(0)
    w.quiet()
    (row,) = Checker(w).rows()
    assert abs(row["started_ns"] / 1e9 - began) < 10 and 0 < row["total_us"] < 30e6
    check(w)


@pytest.mark.parametrize("zone,when", [
    ("Pacific/Kiritimati", None), ("Etc/GMT+12", None),  # UTC+14 and UTC-12: midnight is at another hour
    ("Europe/Berlin", "2027-03-28T00:59:50"), ("Europe/Berlin", "2027-10-31T00:59:50"),  # spring and autumn
])
def test_over_an_edge(clocked, zone, when):
    """Just before an hour's end of the zone, and over it: one window each side, exactly."""
    w, f = clocked(agents=[{"name": "bot", "hour": LIMIT, "timezone": zone}])
    if when:
        at = datetime.datetime.fromisoformat(when).replace(tzinfo=datetime.UTC).timestamp()
    else:
        at = (time.time() // HOUR + 2) * HOUR - 10
    set_clock(w, f, at - time.time())
    first = spend_all(w)
    assert first > 0
    set_clock(w, f, at + 30 - time.time())
    assert 0 < spend_all(w) <= nano(LIMIT[:-3])
    assert spend_all(w) == 0
    check(w)
