# SPDX-License-Identifier: Apache-2.0
"""Items 44 to 46 of docs/others.md: calls that were counted twice elsewhere, windows that never began or forgot what was spent, restarts that lost it."""
import datetime
import json
import signal
import time
import zoneinfo

import pytest
import world as worlds
from failio import FailIO
from world import nano, wait_for

from .helpers import OPENAI, Script, agent, ask, chat, never_below, respond, rows, together, usd, window

HOUR, DAY = 3600, 86400
CALL, FAKE, COST = chat(max_tokens=20), "in=60,out=20", 60 * 150 + 20 * 600
LIMIT = 60000  # two calls: each costs 21,000 nano-dollars and is held at less than 39,000


@pytest.fixture(scope="module")
def clocked(tmp_path_factory):
    """A machine whose time of day the tests move, forward only: `clocked.at(moment)`."""
    w = worlds.World(agents=[])
    f = FailIO(tmp_path_factory.mktemp("clock"))
    agent_env = w.agent_env
    w.agent_env = lambda **more: dict(agent_env(**more), **f.env())  # agents live on the same machine
    w.clock_env, w.ahead = f.env(), 0

    def at(moment):
        assert moment - time.time() >= w.ahead
        w.ahead = moment - time.time()
        f.clock(w.ahead)
        time.sleep(1.2)  # the daemon's own timer looks once a second
    w.at, w.now = at, lambda: time.time() + w.ahead
    w.start(env=w.clock_env)
    yield w
    w.close()


@pytest.fixture(scope="module")
def shared():
    w = worlds.World(agents=[]).start()
    yield w
    w.close()


@pytest.fixture(scope="module")
def script():
    s = Script()
    yield s
    s.w.close()


def spend_all(w, name):
    """Calls until the budget says no; how many."""
    for n in range(20):
        if ask(w, name, CALL, fake=FAKE)[0] != 200:
            return n
    raise AssertionError("no end to the budget")


def next_hour(w, minutes=0):
    return (w.now() // HOUR + 1) * HOUR + minutes * 60


@pytest.mark.parametrize("call", [respond(), respond(stream=True), respond(store=True), respond(stream=True, store=True)],
                         ids=["whole", "stream", "stored", "stored-stream"])
def test_litellm_15740_one_row_for_a_responses_call(shared, call):
    """There each call of that API wrote two rows."""
    name = agent(shared)
    assert ask(shared, name, call, fake="in=100,out=20")[0] == 200
    row, = rows(shared, name)
    assert nano(row["cost"]) == nano(window(shared, name)["spent"]) == 100 * 150 + 20 * 600
    shared.assert_exact()


def test_litellm_17814_reading_a_stored_response_is_not_a_call(script):
    """There an answer that was fetched again later was billed again, since its usage stands in it."""
    w, name = script.w, agent(script.w, "--day", "1")
    answer = {"id": "resp_1", "object": "response", "status": "completed", "model": "fake-mini", "service_tier": "default",
              "output": [{"type": "message", "content": [{"type": "output_text", "text": "hello"}]}],
              "usage": {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120}}
    _, row = script.call(name, respond(store=True), answer, 27000)
    assert nano(row["cost"]) == 27000
    for path in ("responses/resp_1", "responses/resp_1/input_items", "responses/resp_1?include[]=usage"):
        text, _ = script.call(name, (OPENAI + path, None), answer, 0)
        assert '"total_tokens": 120' in text, text
    assert len(rows(w, name)) == 1 and nano(window(w, name, "day")["spent"]) == 27000
    w.assert_exact()


def test_litellm_5651_7129_24675_9098_every_window_begins_anew_and_total_does_not(clocked):
    """There some budgets were never reset, and months were thirty days."""
    w = clocked
    names = {which: agent(w, f"--{which}", usd(LIMIT)) for which in ("hour", "day", "week", "month", "total")}
    first = {which: spend_all(w, name) for which, name in names.items()}
    assert all(n == 2 for n in first.values())
    assert all(spend_all(w, name) == 0 for name in names.values())
    month = datetime.datetime.fromisoformat(w.account(names["month"])["windows"]["month"]["resets_at"])
    now = datetime.datetime.fromtimestamp(w.now(), datetime.UTC)
    assert month == datetime.datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=datetime.UTC)  # of the calendar
    seconds = max(month.timestamp(), w.now() + 8 * DAY)
    w.at(seconds + 5)
    again = {which: spend_all(w, name) for which, name in names.items()}
    assert again == dict(first, total=0)
    never_below(w)


def test_litellm_9098_months_of_the_place(clocked):
    """And where the account lives, not where the machine stands."""
    name = agent(clocked, "--month", "1", "--timezone", "America/New_York", "--resets-at", "06:00")
    at = datetime.datetime.fromisoformat(window(clocked, name, "month")["resets_at"]).astimezone(zoneinfo.ZoneInfo("America/New_York"))
    assert (at.day, at.hour, at.minute) == (1, 6, 0)


def test_litellm_22013_nothing_is_forgotten_within_a_window(clocked):
    """There a reset came minutes after the budget was made, and wiped what had been spent."""
    w = clocked
    w.at(next_hour(w, 1))
    names = {which: agent(w, f"--{which}", usd(LIMIT)) for which in ("hour", "day", "week", "month", "total")}
    counts = {which: spend_all(w, name) for which, name in names.items()}
    for minutes in (11, 50):
        w.at(w.now() // HOUR * HOUR + minutes * 60)
        for which, name in names.items():
            assert nano(window(w, name, which)["spent"]) == counts[which] * COST and spend_all(w, name) == 0
    never_below(w)


def test_litellm_36941_34492_what_runs_over_an_edge_belongs_before_it(clocked):
    """There the counter was cleared before the new window stood in the database, and a new window began over its budget."""
    w = clocked
    w.at(next_hour(w, 40))
    name = agent(w, "--hour", usd(LIMIT), "--total", "1")
    assert spend_all(w, name) == 2
    w.purse("agent", "set", name, "--hour", usd(LIMIT * 2))
    # A call that begins before the edge and ends behind it.
    p = w.spawn(name, ["curl", "-sS", "-o", "/dev/null", "-H", "content-type: application/json", "-H", "x-fake: in=60,out=20,delay=3", "-d",
                       json.dumps(CALL[1]), CALL[0]], env=w.agent_env())
    wait_for("the call", lambda: w.purse_json("status")["daemon"]["in_flight"] == 1)
    w.purse("agent", "set", name, "--hour", usd(LIMIT))
    before = nano(window(w, name)["spent"])
    w.at(next_hour(w) + 5)
    seen = window(w, name, "hour")
    assert (seen["spent"], seen["held"]) == ("0.00", "0.00")  # the new window has nothing of it, neither now
    assert p.wait(20) == 0
    w.quiet()
    assert nano(window(w, name)["spent"]) == before + COST and window(w, name, "hour")["spent"] == "0.00"  # nor when it is over
    n = spend_all(w, name)
    assert n == 2
    # Killed behind the edge: what the new window has is what it had, and it is not granted a second time.
    w.kill9()
    w.start(env=w.clock_env)
    assert nano(window(w, name, "hour")["spent"]) == n * COST and spend_all(w, name) == 0
    never_below(w)


def test_bifrost_3548_a_kill_loses_no_call_that_was_answered(shared):
    """There usage was written every ten seconds, and each restart forgot what had come since."""
    name = agent(shared, "--day", "1")
    for _ in range(3):
        assert [s for s, _ in together(shared, name, CALL, 8, FAKE)] == [200] * 8
        shared.kill9()
        shared.start()
    assert len(rows(shared, name)) == 24 and nano(window(shared, name, "day")["spent"]) == 24 * COST
    shared.assert_exact()


def test_bifrost_5925_a_new_config_keeps_what_was_spent(shared):
    """There a sync of the configuration set usage to zero."""
    shared.agents = [{"name": "configured", "day": "1USD"}]
    shared.accounts = [{"name": "team", "month": "5USD"}]
    shared.write_config()
    shared.stop()
    shared.start()
    made = agent(shared, "--day", "1")
    for name in ("configured", made):
        assert ask(shared, name, CALL, fake=FAKE)[0] == 200
    shared.quiet()

    def spent():
        return [nano(window(shared, name, "day")["spent"]) for name in ("configured", made)]
    assert spent() == [COST, COST]
    said = len(shared.daemon_log.read_text())
    shared.daemon.send_signal(signal.SIGHUP)
    wait_for("the lists to be read", lambda: "price" in shared.daemon_log.read_text()[said:])
    shared.purse("agent", "set", made, "--day", "2", "--account", "team")
    assert spent() == [COST, COST] and nano(window(shared, "team", "month")["spent"]) == COST
    # The same limits, others, and a place in the tree: after each restart the sum is what it was.
    for agents in ([{"name": "configured", "day": "1USD"}], [{"name": "configured", "day": "3USD", "hour": "1USD"}],
                   [{"name": "configured", "day": "3USD", "account": "team"}]):
        shared.agents = agents
        shared.write_config()
        shared.stop()
        shared.start()
        assert spent() == [COST, COST]
    assert nano(window(shared, "team", "month")["spent"]) == 2 * COST
    shared.assert_exact()
