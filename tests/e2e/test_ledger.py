# SPDX-License-Identifier: Apache-2.0
"""The ledger as its operator reads it: sums, an invoice to compare with, pruning; and a power cut while a call is in flight."""
import csv
import io
import json
import sqlite3
import threading
import time

import pytest
import world as worlds


def rows(world, *args):
    return list(csv.DictReader(io.StringIO(world.purse("ledger", "--csv", *args).stdout)))


def test_sums_are_the_rows_added_up(world):
    for model in ("fake-mini", "fake-odd", "fake-mini"):
        assert world.chat(model=model)[0] == 200
    world.quiet()
    listed = world.purse_json("ledger")
    groups = world.purse_json("ledger", "--group-by", "model,day,agent")
    assert listed["sums"]["calls"] == 3
    assert {g["model"]: g["calls"] for g in groups["groups"]} == {"fake-mini": 2, "fake-odd": 1}
    assert {g["agent"] for g in groups["groups"]} == {"bot"}
    for kind in ("cost", "input", "output", "cache_read", "calls"):
        assert groups["sums"][kind] == listed["sums"][kind], kind
    one = listed["calls"][0]
    assert [c["call_id"] for c in world.purse_json("ledger", "--pid", str(one["pid"]))["calls"]] == [one["call_id"]]
    assert world.purse_json("ledger", "--cgroup", str(one["cgroup_id"]))["sums"]["calls"] == 3
    assert world.purse_json("ledger", "--status", "500")["calls"] == []
    assert world.purse_json("ledger", "--min-cost", "100USD")["calls"] == []
    assert world.purse_json("ledger", "--account", "bot", "--group-by", "pid")["sums"]["calls"] == 3
    assert "3 calls" in world.purse("ledger").stdout and "fake-odd" in world.purse("ledger", "--group-by", "model").stdout
    # The same without a daemon.
    world.stop()
    assert world.purse_json("ledger", "--group-by", "model,day,agent") == groups
    assert {r["model"]: r["calls"] for r in rows(world, "--group-by", "model")} == {"fake-mini": "2", "fake-odd": "1"}


@pytest.mark.parametrize("args, says", [
    (["--group-by", "agent,moon"], "moon"),
    (["--group-by", "agent", "--refusals"], "choose one"),
    (["--refusals", "--pid", "3"], "about calls"),
    (["export"], "whose invoice"),
    (["export", "--provider", "openai"], "which time"),
    (["export", "--provider", "openai", "--month", "2026-13"], "2026-13"),
    (["export", "--provider", "openai", "--month", "2026-11", "--zone", "Mars/Phobos"], "Mars/Phobos"),
    (["prune"], "--before"),
])
def test_what_cannot_be_asked_is_told(world, args, says):
    r = world.purse("ledger", *args, check=False)
    assert r.returncode == 2 and says in r.stderr, r.stderr


def test_the_bill_and_the_providers_own(world, tmp_path):
    for model in ("fake-mini", "fake-odd"):
        assert world.chat(model=model)[0] == 200
    world.quiet()
    calls = world.ledger()
    month, day = calls[0]["started"][:7], calls[0]["started"][:10]
    bill = world.purse_json("ledger", "export", "--provider", calls[0]["provider"], "--month", month)
    assert sorted(line["model"] for line in bill["bill"]) == sorted(c["served_model"] or c["model"] for c in calls)
    assert {line["price"] for line in bill["bill"]} == {c["price"] for c in calls}
    assert bill["sums"]["cost"] == world.purse_json("ledger")["sums"]["cost"] and bill["sums"]["estimated"] == 0
    theirs = tmp_path / "costs.csv"
    theirs.write_text("date,model,amount\n" + "".join(f"{day},{c['served_model'] or c['model']},{c['cost']}\n" for c in calls))
    same = world.purse("ledger", "export", "--provider", calls[0]["provider"], "--month", month, "--compare", theirs)
    assert "0 differences" in same.stdout
    theirs.write_text(theirs.read_text() + f"{day},fake-mini,1.00\n")
    other = world.purse("ledger", "export", "--provider", calls[0]["provider"], "--month", month, "--compare", theirs, check=False)
    assert other.returncode == 1 and "-1.00" in other.stdout and "1 differences" in other.stdout
    theirs.write_text("what,is,this\n")
    bad = world.purse("ledger", "export", "--provider", calls[0]["provider"], "--month", month, "--compare", theirs, check=False)
    assert bad.returncode == 1 and "costs.csv, line 1" in bad.stderr


def test_a_model_that_is_a_formula_is_only_text(world):
    world.chat(model="=HYPERLINK(1)")
    refusals = world.purse("ledger", "--refusals", "--csv").stdout
    assert '"\'=HYPERLINK(1)"' in refusals


def test_pruning_moves_old_calls_and_no_sum(world, tmp_path):
    assert world.chat()[0] == 200
    world.quiet()
    world.stop()
    old = int((time.time() - 100 * 86400) * 1e9)
    with sqlite3.connect(world.state / "ledger.db") as sql:  # what somebody spent a hundred days ago
        sql.execute("CREATE TEMP TABLE t AS SELECT * FROM calls")
        sql.execute("UPDATE t SET call_id = 1, started_ns = ?, cost_nanousd = 5000", (old,))
        sql.execute("INSERT INTO calls SELECT * FROM t")
        sql.execute("CREATE TEMP TABLE h AS SELECT * FROM hours")
        sql.execute("UPDATE h SET hour_s = ?, cost_nanousd = 5000", (old // 3600_000_000_000 * 3600,))
        sql.execute("INSERT INTO hours SELECT * FROM h")
    sql.close()
    world.start()
    world.audit()
    before = world.purse_json("ledger", "--group-by", "day")
    total = world.account()["windows"]["total"]["spent"]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    refused = world.purse("ledger", "prune", "--before", today, check=False)
    assert refused.returncode == 1 and "at most" in refused.stderr
    kept = tmp_path / "kept.jsonl"
    day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - 60 * 86400))
    done = world.purse_json("ledger", "prune", "--before", day, "--keep", kept)
    assert done == {"calls": 1, "cost": "0.000005"}
    assert [json.loads(line)["call_id"] for line in kept.read_text().splitlines()] == [1]
    assert world.purse("ledger", "prune", "--before", day, "--keep", kept, check=False).returncode == 1  # it is there
    world.audit()
    assert world.purse_json("ledger", "--group-by", "day") == before
    assert [c["call_id"] for c in world.ledger()] != [] and 1 not in [c["call_id"] for c in world.ledger()]
    assert world.purse_json("ledger", "--group-by", "pid")["pruned"] is True
    assert any(c["verb"] == "ledger pruned" and c["subject"] == day and json.loads(c["after"])["calls"] == 1
               for c in world.purse_json("ledger", "--changes")["changes"])
    world.kill9()
    world.start()
    assert world.account()["windows"]["total"]["spent"] == total
    world.audit()


def in_flight(world):
    with sqlite3.connect(f"file:{world.state / 'ledger.db'}?mode=ro", uri=True) as sql:
        return sql.execute("SELECT call_id, agent, model, amount_nanousd FROM open_calls").fetchall()


def test_a_power_cut_charges_what_was_in_flight(world):
    """Daemon and kernel memory gone, the disk is there: the call was sent, so it is charged at what was held for it."""
    t = threading.Thread(target=lambda: world.chat(stream=True, fake="out=50,gap=0.2"))
    t.start()
    worlds.wait_for("the hold to be on disk", lambda: in_flight(world))
    worlds.wait_for("the request", lambda: world.requests())
    ((call_id, agent, model, amount),) = in_flight(world)
    assert agent == "bot" and model == "fake-mini" and amount > 0
    world.kill9()
    t.join()
    ((call_id, _, _, amount),) = in_flight(world)
    world.purse("uninstall")
    world.start()
    (call,) = world.ledger()
    assert call["call_id"] == call_id and call["end"] == "power-cut" and call["estimated"] and not call["usage_known"]
    assert round(float(call["cost"]) * 1e9) == amount
    assert world.account()["windows"]["total"]["spent"] == call["cost"]
    assert in_flight(world) == []
    world.audit()
    assert world.chat()[0] == 200
    world.quiet().audit()
