# SPDX-License-Identifier: Apache-2.0
"""What an operator says beside amounts: rules that refuse by name, dry runs that only note it, when windows begin; and sees what is in force."""
import datetime
import json
import zoneinfo

import pytest
from world import nano


def refused_by(text):
    return json.loads(text)["error"]["purse"].get("rule")


def account(w, name="bot"):
    return w.account(name)


def figures(w, name="bot"):
    return {r["rule"]: r for r in account(w, name).get("rule_figures", [])}


RULES = [
    ({"models": {"allow": ["fake-large"]}}, "models"),
    ({"models": {"deny": ["*-mini"]}}, "models"),
    ({"per_call": "0.000001"}, "per_call"),
    ({"requests_per_minute": 2}, "requests_per_minute"),
    ({"tokens_per_minute": 60}, "tokens_per_minute"),
    ({"loop": {"times": 3, "within": "1m"}}, "loop"),
]


@pytest.mark.parametrize("rules,name", RULES, ids=[f"{n}-{i}" for i, (_, n) in enumerate(RULES)])
def test_a_rule_refuses_and_is_named(make_world, rules, name):
    w = make_world(agents=[{"name": "bot", "day": "10USD", "rules": rules}])
    for _ in range(4):
        status, text, _ = w.chat()
        if status != 200:
            break
    assert status in (402, 403, 429), text
    assert refused_by(text) == name and name in json.loads(text)["error"]["message"]
    w.assert_exact()
    assert figures(w)[name]["refused"] == 1 and not figures(w)[name]["dry_run"]
    refusals = w.refusals()
    assert [r["reason"] for r in refusals] == ["rule"] and refusals[0]["rule"] == name


@pytest.mark.parametrize("rules,name", RULES, ids=[f"{n}-{i}" for i, (_, n) in enumerate(RULES)])
def test_a_dry_run_only_notes_it(make_world, rules, name):
    w = make_world(agents=[{"name": "bot", "day": "10USD", "rules": dict(rules, dry_run=[name])}])
    for _ in range(4):
        assert w.chat()[0] == 200
    w.assert_exact()
    seen = figures(w)[name]
    assert seen["dry_run"] and seen["would_refuse"] > 0 and seen["refused"] == 0
    assert "dry run" in w.purse("status").stdout


def test_rules_of_a_group_hold_for_all_below(make_world):
    w = make_world(accounts=[{"name": "team", "day": "10USD", "rules": {"models": {"deny": ["fake-large"]}}}],
                   agents=[{"name": "bot", "account": "team"}])
    assert w.chat()[0] == 200
    status, text, _ = w.chat(model="fake-large")
    assert status in (402, 403, 429) and refused_by(text) == "models"
    assert json.loads(text)["error"]["purse"]["account"] == "team"


def test_flags_set_rules_at_once_and_keep_the_others(world):
    world.purse("agent", "set", "bot", "--rpm", "100", "--deny-models", "fake-large,*-pro", "--loop", "50/1m", "--dry-run", "loop")
    world.purse("agent", "set", "bot", "--per-call", "0.50")
    world.purse("agent", "set", "bot", "--tpm", "100000", "--in-flight", "8", "--burn-rate", "10/10m")
    assert account(world)["rules"] == {
        "requests_per_minute": 100, "tokens_per_minute": 100000, "calls_in_flight": 8, "per_call": "0.50",
        "loop": {"times": 50, "within_s": 60}, "burn_rate": {"times": 10, "within_s": 600},
        "models": {"deny": ["fake-large", "*-pro"]}, "dry_run": ["loop"]}
    status, text, _ = world.chat(model="fake-large")
    assert status != 200 and refused_by(text) == "models"
    world.purse("agent", "set", "bot", "--deny-models", "none", "--rpm", "none")
    assert world.chat(model="fake-large")[0] == 200
    assert "models" not in account(world)["rules"] and account(world)["rules"]["per_call"] == "0.50"
    # What is in the trail: who, what, before and after.
    change = world.purse_json("ledger", "--changes")["changes"][0]
    assert "agent set" in json.dumps(change) and "fake-large" in json.dumps(change)
    bad = world.purse("agent", "set", "bot", "--loop", "5", check=False)
    assert bad.returncode == 2 and "--loop" in bad.stderr
    bad = world.purse("agent", "set", "bot", "--dry-run", "lop", check=False)
    assert bad.returncode == 1 and "dry_run" in bad.stderr


def test_model_limits_are_budgets_of_their_own(make_world):
    w = make_world(agents=[{"name": "bot", "day": "10USD", "rules": {"model_limits": [{"models": "fake-large", "day": "0.01USD"}]}}])
    for _ in range(100):
        status, text, _ = w.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")
        if status != 200:
            break
    assert status == 402 and json.loads(text)["error"]["purse"]["rule"] == "model_limit"
    assert w.chat()[0] == 200
    limits = account(w)["model_limits"]
    assert limits[0]["models"] == "fake-large" and 0 < nano(limits[0]["windows"]["day"]["spent"]) <= 10**7
    w.assert_exact()


def test_model_limits_by_flags(world):
    world.purse("agent", "set", "bot", "--rpm", "100", "--model-limit", "fake-large=day:0.01,month:5", "--model-limit", "openai/fake-x*=total:1")
    assert account(world)["rules"] == {"requests_per_minute": 100, "model_limits": [
        {"models": "fake-large", "day": "0.01", "month": "5.00"}, {"models": "openai/fake-x*", "total": "1.00"}]}
    statuses = [world.chat(model="fake-large", max_tokens=100, fake="out=100,in=20")[0] for _ in range(12)]
    assert 402 in statuses and world.chat()[0] == 200
    # What is given is the whole list, as with other lists; the other rules stay.
    world.purse("agent", "set", "bot", "--model-limit", "fake-large=day:5")
    assert account(world)["rules"]["model_limits"] == [{"models": "fake-large", "day": "5.00"}]
    world.purse("agent", "set", "bot", "--model-limit", "none")
    assert account(world)["rules"] == {"requests_per_minute": 100}
    world.purse("account", "add", "team", "--model-limit", "fake-large=hour:1")
    assert account(world, "team")["rules"]["model_limits"] == [{"models": "fake-large", "hour": "1.00"}]
    bad = world.purse("agent", "set", "bot", "--model-limit", "fake-large=5", check=False)
    assert bad.returncode == 2 and "write e.g. claude-opus*=day:5USD" in bad.stderr


def test_windows_begin_by_the_clock_of_their_place(make_world):
    w = make_world(config={"timezone": "Asia/Tokyo", "resets_at": "06:00"},
                   agents=[{"name": "bot", "day": "10USD"}, {"name": "ny", "day": "1USD", "timezone": "America/New_York", "resets_at": "00:00"}])
    for name, zone, hour in (("bot", "Asia/Tokyo", 6), ("ny", "America/New_York", 0)):
        window = account(w, name)["windows"]["day"]
        at = datetime.datetime.fromisoformat(window["resets_at"]).astimezone(zoneinfo.ZoneInfo(zone))
        assert (at.hour, at.minute) == (hour, 0) and window["resets_local"] == at.strftime("%Y-%m-%d %H:%M")
        assert 0 < (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds() <= 25 * 3600
    assert "Asia/Tokyo" in w.purse("status").stdout
    w.purse("agent", "set", "ny", "--timezone", "none", "--resets-at", "none")
    assert account(w, "ny")["timezone"] == "Asia/Tokyo" and account(w, "ny")["resets_at"] == "06:00"
    w.purse("agent", "add", "made", "--day", "1", "--timezone", "Europe/Berlin")
    assert account(w, "made")["timezone"] == "Europe/Berlin"
    w.stop()
    w.start()
    assert account(w, "made")["timezone"] == "Europe/Berlin" and account(w, "made")["resets_at"] == "06:00"
    w.audit()


def test_an_edit_holds_at_once_below_what_is_spent(world):
    assert world.chat(model="fake-large", fake="out=10,in=100")[0] == 200
    world.quiet()
    spent = account(world)["windows"]["day"]["spent"]
    world.purse("agent", "set", "bot", "--day", "0.000001")
    window = account(world)["windows"]["day"]
    assert window["spent"] == spent and window["left"].startswith("-")
    assert world.chat()[0] != 200
    world.purse("agent", "set", "bot", "--day", "10")
    assert world.chat()[0] == 200
    world.assert_exact()
