# SPDX-License-Identifier: Apache-2.0
"""What happens to a machine that runs purse: links taken away, cgroups that go and come back, new prices, a daemon that is gone, the end."""
import json
import signal
import time

import pytest
import world as worlds
from world import nano, wait_for

OTHER = "https://other.test/v1/models"


def connections(w):
    return sum("conn" in r for r in w.records())


def reach(w, url, agent="bot"):
    """Did it get an answer from the machine itself?"""
    return '"data"' in w.curl(agent, url, "-4", "--cacert", w.ca.path, timeout=2).stdout


def test_on_failure_open_is_for_other_hosts_only(make_world):
    w = make_world(agents=[{"name": "bot", "day": "1USD"}, {"name": "lax", "day": "1USD", "on_failure": "open"}])
    assert reach(w, OTHER) and reach(w, OTHER, "lax")  # spliced
    w.kill9()
    wait_for("the heartbeat to be stale", lambda: reach(w, OTHER, "lax"), 10)
    assert not reach(w, OTHER)
    before = connections(w)
    for agent in ("bot", "lax"):
        assert not reach(w, "https://api.openai.com/v1/models", agent)
    assert connections(w) == before


@pytest.mark.parametrize("hook", ["gate_connect4", "gate_sock_create", "gate_egress", "gate_sockops"])
def test_a_link_that_is_taken_away_is_put_back(world, hook):
    """By another program of root. What is left of the gate denies until the daemon has put it back, which it counts and says."""
    bpftool = worlds.shutil.which("bpftool") or "/usr/sbin/bpftool"
    programs = {p["id"]: p["name"] for p in json.loads(worlds.run(bpftool, "-j", "prog", "list").stdout) if "name" in p}
    pin = next(p for p in (world.pins / "links").iterdir() if hook.removeprefix("gate_") in p.name)
    link = json.loads(worlds.run(bpftool, "-j", "link", "show", "pinned", pin).stdout)
    link = link[0] if isinstance(link, list) else link
    assert programs[link["prog_id"]].startswith(hook[:15])
    worlds.run(bpftool, "link", "detach", "pinned", pin)
    assert not reach(world, "https://api.openai.com/v1/models")  # nor before it is noticed
    before = connections(world)
    wait_for("the daemon to put it back", lambda: world.purse_json("status")["daemon"]["counts"]["gate_repairs"] == 1, 5)
    assert world.purse_json("status")["daemon"]["gate_ok"]
    assert connections(world) == before
    again = json.loads(worlds.run(bpftool, "-j", "link", "show", "pinned", pin).stdout)
    again = again[0] if isinstance(again, list) else again
    assert again["id"] != link["id"] and again["prog_id"] == link["prog_id"]
    assert world.chat()[0] == 200
    world.assert_exact()


def test_pins_that_are_removed_are_put_back(world):
    """rm -r on the folder: links live on in the daemon, and would end with it."""
    worlds.shutil.rmtree(world.pins)
    wait_for("the daemon to put them back", lambda: world.purse_json("status")["daemon"]["counts"]["gate_repairs"] == 1, 5)
    assert len(list((world.pins / "links").iterdir())) >= 9 and (world.pins / "maps" / "holds").exists()
    world.kill9()
    before = connections(world)
    assert not reach(world, "https://api.openai.com/v1/models")
    assert connections(world) == before


def test_a_cgroup_that_goes_and_comes_back(world):
    assert world.chat()[0] == 200
    folder = world.root / "bot"
    worlds.empty_cgroup(folder)
    bot = lambda: next(a for a in world.purse_json("status")["agents"] if a["name"] == "bot")  # noqa: E731
    wait_for("it to be missed", lambda: bot().get("cgroup_missing"), 5)
    old = bot()["cgroup_id"]
    folder.mkdir()
    wait_for("it to be enrolled again", lambda: not bot().get("cgroup_missing"), 5)
    assert bot()["cgroup_id"] != old or folder.stat().st_ino == old
    assert world.chat()[0] == 200
    world.assert_exact()
    assert world.account()["windows"]["day"]["spent"] != "0.00"


def test_a_cgroup_removed_while_a_call_runs(world):
    p = world.spawn("bot", ["curl", "-sSN", "-H", "x-fake: out=50,gap=0.05", "-H", "content-type: application/json", "-d",
                            json.dumps({"model": "fake-odd", "max_tokens": 100, "stream": True, "messages": []}),
                            "https://api.openai.com/v1/chat/completions"], env=world.agent_env(), stdout=worlds.subprocess.DEVNULL, stderr=worlds.subprocess.DEVNULL)
    wait_for("the call", world.requests)
    time.sleep(0.3)
    worlds.empty_cgroup(world.root / "bot")
    p.wait(10)
    world.quiet().audit()
    (call,) = world.ledger()
    wait_for("the bill", world.bills)
    assert call["agent"] == "bot" and call["estimated"] and nano(call["cost"]) >= world.billed() > 0
    assert nano(world.account()["windows"]["day"]["held"]) == 0


def reload_prices(w, text):
    said = w.daemon_log.read_text().count(" prices: ")
    (w.folder / "prices.yaml").write_text(text)
    w.daemon.send_signal(signal.SIGHUP)
    wait_for("the daemon to say something about prices", lambda: w.daemon_log.read_text().count(" prices: ") > said, 5)


def test_new_prices_without_a_restart(world):
    good, before, after = (world.folder / "prices.yaml").read_text(), 100 * 150 + 10 * 600, 100 * 150 + 10 * 1200
    assert world.chat(fake="in=100,out=10")[0] == 200
    reload_prices(world, good.replace("output: 0.60", "output: cheap", 1))
    assert world.chat(fake="in=100,out=10")[0] == 200  # the old ones stay
    world.assert_exact()
    reload_prices(world, good.replace("output: 0.60", "output: 1.20", 1))
    assert world.chat(fake="in=100,out=10")[0] == 200
    world.quiet().audit()
    assert [nano(c["cost"]) for c in world.ledger()] == [after, before, before]


def test_a_successor_that_fails_is_told_and_leaves_nothing(world):
    """SIGUSR2 with a config that has become wrong: this one goes on, and nobody stays a zombie."""
    good, daemon = (world.folder / "purse.yaml").read_text(), world.daemon
    (world.folder / "purse.yaml").write_text(good + "\nno_such_key: 1\n")
    for n in (1, 2):
        daemon.send_signal(signal.SIGUSR2)
        wait_for("the report", lambda: world.daemon_log.read_text().count("which was to take over, ended with 78; this one goes on") == n)
    assert worlds.run("ps", "--ppid", daemon.pid, "-o", "pid=", check=False).stdout.strip() == ""
    (world.folder / "purse.yaml").write_text(good)
    assert world.purse_json("status")["daemon"]["pid"] == daemon.pid and world.chat()[0] == 200


def test_uninstalled_means_gone(world):
    assert world.chat()[0] == 200
    world.stop()
    assert not reach(world, "https://api.openai.com/v1/models")  # pins stay: closed
    world.purse("uninstall")
    assert not world.pins.exists() or not list(world.pins.rglob("*"))
    assert reach(world, "https://api.openai.com/v1/models")
    world.start()
    assert not reach(world, "https://api.openai.com/v1/models")  # purse answers, by its own certificate
    assert world.chat()[0] == 200
    world.assert_exact()
