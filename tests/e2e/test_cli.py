# SPDX-License-Identifier: Apache-2.0
"""The command line: purse run from beginning to end, and every other command, for people and as JSON."""
import json
import os
import sqlite3
import subprocess
import time

import pytest
import world as worlds
from world import nano

CHAT = ["curl", "-sS", "-H", "content-type: application/json", "-d",
        '{"model":"fake-mini","max_tokens":20,"messages":[{"role":"user","content":"hi"}]}', "https://api.openai.com/v1/chat/completions"]


def purse_run(w, *args, **kw):
    env = w.agent_env()
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        env.pop(name)  # purse run is to set them
    return w.in_agent("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "run", *args], env=env, **kw)


def test_run_with_a_daemon_there(world):
    r = purse_run(world, "--agent", "job", "--total", "1USD", "--", "sh", "-c", " ".join(f"'{a}'" for a in CHAT) + "; exit 7")
    assert r.returncode == 7, r.stderr
    assert '"usage"' in r.stdout
    assert "purse: job spent" in r.stderr and "1 call" in r.stderr
    world.quiet()
    (call,) = world.ledger(agent="job")
    assert nano(call["cost"]) == world.billed()


def test_run_starts_its_own_daemon_and_stops_it(make_world):
    w = make_world(start=False)
    r = purse_run(w, "--total", "1USD", "--", *CHAT)
    assert r.returncode == 0 and '"usage"' in r.stdout, r.stderr
    assert w.purse("status", check=False).returncode == 3
    w.audit()  # offline
    assert len(w.bills()) == 1
    w.start()
    w.assert_exact()


def test_run_keeps_its_child_in_its_cgroup(world):
    """What could write to cgroup.procs would be no agent any more."""
    leave = f"echo $$ > {worlds.CGROUPS}/cgroup.procs && echo left; mkdir {world.root}/mine && echo made"
    r = purse_run(world, "--total", "1USD", "--", "sh", "-c", leave)
    assert "left" not in r.stdout and "made" not in r.stdout and r.stderr.count("Read-only file system") == 2, r.stdout + r.stderr
    kept = purse_run(world, "--total", "1USD", "--keep-cap", "SYS_ADMIN", "--", "sh", "-c", f"mkdir {world.root}/mine && echo made")
    assert "made" in kept.stdout, kept.stderr
    (world.root / "mine").rmdir()


def test_run_stops_at_the_budget(world):
    loop = "for i in 1 2 3 4 5 6 7 8 9; do " + " ".join(f"'{a}'" for a in CHAT).replace("curl'", "curl' -f", 1) + " >/dev/null || exit 42; done"
    r = purse_run(world, "--agent", "small", "--total", "0.00005USD", "--", "sh", "-c", loop)
    assert r.returncode == 42, r.stdout + r.stderr
    assert "refused" in r.stderr
    assert world.billed() <= 50000


def test_run_leaves_nothing_behind(world):
    before = {p.name for p in world.root.rglob("*") if p.is_dir()}
    r = purse_run(world, "--total", "1USD", "--", "sh", "-c", "sleep 300 & grep CapEff /proc/self/status; ls -l /proc/self/fd | wc -l; cat /proc/self/cgroup")
    assert r.returncode == 0, r.stderr
    cap = int(r.stdout.split()[1], 16)
    for bit in (12, 13, 21, 39):  # NET_ADMIN, NET_RAW, SYS_ADMIN, BPF
        assert not cap & (1 << bit)
    assert {p.name for p in world.root.rglob("*") if p.is_dir()} <= before | {"purse"}
    assert not subprocess.run(["pgrep", "-f", "sleep 300"], capture_output=True).stdout


def test_agents_come_change_and_go(world):
    world.purse("account", "add", "team", "--month", "50USD")
    world.purse("agent", "add", "new", "--account", "team", "--day", "5USD", "--cgroup", f"/{world.name}/new")
    assert world.chat("new")[0] == 200
    world.quiet()
    assert world.account("team")["windows"]["month"]["spent"] == world.account("new")["windows"]["day"]["spent"] != "0.00"
    world.purse("agent", "set", "new", "--day", "none", "--week", "1USD")
    assert "day" not in world.account("new")["windows"] and "week" in world.account("new")["windows"]
    world.kill9()
    world.start()  # made at run time, and still there
    assert world.chat("new")[0] == 200
    world.quiet().audit()
    worlds.empty_cgroup(world.root / "new")
    world.purse("agent", "rm", "new")
    assert "new" not in [a["name"] for a in world.purse_json("status")["agents"]]
    world.audit()
    changes = world.purse_json("ledger", "--changes")["changes"]
    assert any("new" in c["what"] and "uid 0" in c["who"] for c in changes)


def test_ledger_filters_and_csv(world):
    for model in ("fake-mini", "fake-odd", "fake-mini"):
        world.chat(model=model)
    world.quiet()
    assert len(world.ledger(model="fake-odd")) == 1
    assert len(world.ledger(agent="nobody")) == 0
    lines = world.purse("ledger", "--csv").stdout.strip().splitlines()
    assert len(lines) == 4 and "cost" in lines[0]
    assert "fake-odd" in world.purse("ledger").stdout


def test_events_follow(world):
    p = subprocess.Popen([world.build / "purse", "-c", world.folder / "purse.yaml", "events", "-f", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(0.3)
        world.purse("agent", "pause", "bot")
        world.chat()
        seen = [json.loads(p.stdout.readline()) for _ in range(1)]
        assert seen[0]["agent"] == "bot" and seen[0]["comm"] == "curl"
    finally:
        p.kill()
        p.wait()


def test_the_others_speak(world):
    prices = world.purse_json("prices")
    assert "fake-mini" in json.dumps(prices)
    assert "SSL_CERT_FILE" in world.purse("trust", "env").stdout
    assert world.purse("trust", "show").stdout
    r = world.purse("doctor", check=False)
    assert "cgroup" in r.stdout and r.returncode in (0, 1)
    assert world.purse("config", "check").returncode == 0
    assert "others" in world.purse("config", "show").stdout


@pytest.mark.parametrize("args, code, words", [
    (["no-such-command"], 2, "no-such-command"),
    (["agent", "add", "bad name"], 1, "bad name"),
    (["agent", "add", "x", "--day", "12EUR"], 2, "12EUR"),
    (["agent", "pause", "nobody"], 1, "nobody"),
    (["ledger", "--limit", "many"], 2, "many"),
    (["run", "--day", "1USD"], 2, "COMMAND"),
])
def test_errors_say_what_and_what_then(world, args, code, words):
    r = world.purse(*args, check=False)
    assert r.returncode in (1, 2) and words.lower() in (r.stderr + r.stdout).lower(), (r.returncode, r.stderr)


@pytest.mark.parametrize("text, words", [
    ("agents:\n  - name: bot\n    day: 25EUR\n", ["purse.yaml:3", "day", "25EUR"]),
    ("workrs: 2\n", ["purse.yaml:1", "workrs", "workers"]),
    ("workers: 0\n", ["purse.yaml:1", "workers", "0"]),
    ("agents: [\n", ["purse.yaml:"]),
])
def test_a_bad_config_names_file_line_key_value(tmp_path, text, words):
    path = tmp_path / "purse.yaml"
    path.write_text(text)
    r = worlds.run(worlds.BUILD / "pursed", "-c", path, check=False, timeout=20)
    assert r.returncode == 78, (r.returncode, r.stderr)
    for word in words:
        assert word in r.stderr, r.stderr


@pytest.mark.parametrize("text, words", [
    ("providers: {openai: {models: {m: {input: -1, output: 1}}}}\n", ["prices.yaml:1", "-1"]),
    ("source: x\nas_of: 2026-01-01\nproviders:\n  openai:\n    models:\n      m:\n        input: cheap\n        output: 1\n",
     ["prices.yaml:7", "input", "cheap"]),
    (None, ["cannot be opened"]),
])
def test_a_bad_price_list_is_refused(make_world, text, words):
    w = make_world(start=False)
    path = w.folder / "prices.yaml"
    path.unlink() if text is None else path.write_text(text)
    w.start(expect_ready=False)
    assert w.daemon.wait(20) != 0
    for word in words:
        assert word in w.daemon_log.read_text(), w.daemon_log.read_text()


def test_a_damaged_ledger_is_not_overwritten(world):
    world.chat()
    world.quiet()
    world.stop()
    db = world.state / "ledger.db"
    with sqlite3.connect(db) as sql:
        sql.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(db.read_bytes())
    data[4096:8192] = os.urandom(4096)
    db.write_bytes(data)
    world.start(expect_ready=False)
    assert world.daemon.wait(20) != 0
    said = world.daemon_log.read_text()
    assert str(db) in said.splitlines()[-1], said
    assert db.read_bytes() == bytes(data)
    assert world.chat()[2].returncode == 7  # closed


@pytest.mark.parametrize("words,code,says", [
    (["help"], 0, "usage: purse [flags] COMMAND"),
    (["help", "ledger"], 0, "--group-by"),
    (["help", "legder"], 2, 'did you mean "ledger"?'),
    (["agent", "list"], 2, '"list" is not one of add, set, raise, pause, resume, kill, rm; `purse status` lists those that there are'),
    (["agent", "pause"], 2, "pause which agent? A name is missing"),
    (["status", "bot"], 2, '"bot" is one word too many\nusage: purse status\n'),
    (["agent", "add", "unlimited"], 0, "it has no limit of its own; `purse agent set unlimited --day 5USD` sets one"),
    (["ledger", "--agent", "nobody"], 0, "nothing on record that matches"),
    (["prices", "--provider", "nobody"], 1, 'provider "nobody" is not in the price list'),
    (["prices", "reload"], 0, "the daemon has read its price lists again"),
    (["prices", "relaod"], 2, "or `purse prices reload`"),
])
def test_what_a_newcomer_types_is_answered(world, words, code, says):
    r = world.purse(*words, check=False)
    assert r.returncode == code and says in r.stdout + r.stderr, r.stdout + r.stderr


def test_changes_are_one_column_however_long(world):
    globs = ",".join(f"a-model-with-a-long-name-{i}*" for i in range(12))
    world.purse("agent", "add", "x", "--day", "5", "--deny-models", globs)
    world.purse("agent", "set", "x", "--day", "6")
    world.purse("agent", "rm", "x")
    gone, changed, made = world.purse("ledger", "--changes").stdout.splitlines()[1:4]
    assert gone.endswith(" -> gone") and '"6.00"' in gone and "name-11*" in gone
    assert '"day":"5.00"' in changed.split(" -> ")[0] and '"day":"6.00"' in changed.split(" -> ")[1]
    assert " -> " not in made and made.index("{") == gone.index("{") == changed.index("{")
