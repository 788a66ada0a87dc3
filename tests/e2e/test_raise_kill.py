# SPDX-License-Identifier: Apache-2.0
"""An operator in a hurry: a limit raised for a while, an agent or a team stopped at once, and started again."""
import json
import time

import pytest
import world as worlds
from world import nano, wait_for


def fits(w):
    """A call that needs more than a cent."""
    return w.chat(model="fake-large", max_tokens=5000, fake="out=5,in=5")[0] == 200


def test_a_raise_is_on_and_over(make_world):
    w = make_world(agents=[{"name": "bot", "day": "0.01USD"}])
    assert not fits(w)
    w.purse("agent", "raise", "bot", "--day", "10", "--for", "4s")
    seen = w.account()
    assert seen["windows"]["day"]["limit"] == "10.01" and seen["windows"]["day"]["raised"] == "10.00"
    assert seen["raise"]["day"] == "10.00" and seen["raise"]["until"].endswith("Z")
    assert "is raised until" in w.purse("status").stdout
    assert fits(w)
    wait_for("the raise to be over", lambda: w.account()["windows"]["day"]["limit"] == "0.01", 8)
    assert not fits(w)
    wait_for("its end to be on record", lambda: "purse" in {c["who"] for c in w.purse_json("ledger", "--changes")["changes"]}, 5)
    assert w.account()["raise"] is None
    w.assert_exact()


def test_a_raise_survives_a_restart_and_is_taken_back(make_world):
    w = make_world(agents=[{"name": "bot", "day": "0.01USD"}], accounts=[{"name": "team", "month": "1USD"}])
    w.purse("agent", "raise", "bot", "--day", "5", "--for", "2h")
    w.purse("account", "raise", "team", "--month", "7USD", "--until", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7200)))
    w.kill9()
    w.start()
    assert w.account()["windows"]["day"]["limit"] == "5.01" and w.account("team")["windows"]["month"]["limit"] == "8.00"
    assert fits(w)
    w.purse("agent", "raise", "bot", "--end")
    assert w.account()["windows"]["day"]["limit"] == "0.01" and not fits(w)
    who = [c["who"] for c in w.purse_json("ledger", "--changes")["changes"] if "raise" in json.dumps(c)]
    assert len(who) == 3 and all(who_.startswith("uid 0 pid ") for who_ in who)
    w.assert_exact()


@pytest.mark.parametrize("flags,text", [
    (["--day", "5"], "how long?"), (["--for", "2h"], "nothing to raise"), (["--day", "5", "--for", "2h", "--rpm", "5"], "raise takes limits"),
    (["--week", "5", "--for", "2h"], "has no week limit"), (["--day", "5", "--for", "400d"], "366 days"), (["--end"], "no raise is on"),
    (["--day", "5", "--until", "2020-01-01"], "ends between now and"), (["--day", "5", "--for", "soon"], "is not a duration")])
def test_raises_that_cannot_be(world, flags, text):
    r = world.purse("agent", "raise", "bot", *flags, check=False)
    assert r.returncode in (1, 2) and text in r.stderr


def streaming(w, agent="bot"):
    return w.spawn(agent, ["curl", "-sSN", "--max-time", "40", "-H", "x-fake: out=600,gap=0.05", "-H", "content-type: application/json", "-d",
                           json.dumps({"model": "fake-mini", "max_tokens": 1000, "stream": True, "messages": []}),
                           "https://api.openai.com/v1/chat/completions"], env=w.agent_env(), stdout=worlds.subprocess.PIPE,
                   stderr=worlds.subprocess.PIPE, text=True)


@pytest.mark.parametrize("what,name", [("agent", "bot"), ("account", "team")])
def test_kill_cuts_what_is_in_flight(make_world, what, name):
    w = make_world(accounts=[{"name": "team", "day": "10USD"}],
                   agents=[{"name": "bot", "account": "team"}, {"name": "other", "day": "10USD"}])
    p, other = streaming(w), streaming(w, "other")
    wait_for("both calls", lambda: w.purse_json("status")["daemon"]["in_flight"] == 2)
    time.sleep(0.5)
    began = time.monotonic()
    w.purse(what, "kill", name)
    out, _ = p.communicate(timeout=10)
    assert time.monotonic() - began < 5
    assert "error" in out and "[DONE]" not in out
    wait_for("its hold to go", lambda: nano(w.account("bot")["windows"]["total"]["held"]) == 0, 10)
    wait_for("its row", lambda: w.purse_json("status")["daemon"]["in_flight"] == 1)
    assert other.poll() is None
    assert w.account(name)["paused"]
    assert w.chat()[0] != 200
    # The other one goes on as long as it likes.
    assert w.chat("other")[0] == 200
    w.purse(what, "resume", name)
    assert w.chat()[0] == 200
    other.kill()
    other.communicate()
    w.quiet().audit()
    cut = next(c for c in w.ledger() if c["agent"] == "bot" and c["end"] != "done")
    assert cut["estimated"] and nano(cut["cost"]) > 0
    verbs = json.dumps(w.purse_json("ledger", "--changes")["changes"])
    assert f"{what} kill" in verbs and f"{what} resume" in verbs


def test_a_paused_team_stays_so(make_world):
    w = make_world(accounts=[{"name": "team", "day": "10USD"}], agents=[{"name": "bot", "account": "team"}])
    w.purse("account", "pause", "team")
    assert w.chat()[0] != 200
    w.stop()
    w.start()
    assert w.account("team")["paused"] and w.chat()[0] != 200
    w.purse("account", "resume", "team")
    assert w.chat()[0] == 200
    w.assert_exact()
