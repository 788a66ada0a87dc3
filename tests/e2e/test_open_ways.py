# SPDX-License-Identifier: Apache-2.0
"""Agents that hold capabilities which no hook answers, or may write the cgroup tree: status, events and doctor say so, each once."""
import json
import os
import signal
import time

import pytest
import world as worlds
from world import wait_for

ALL = {"open-tunnel", "open-bpf", "open-admin", "open-ptrace", "open-kernel", "open-cgroup"}


def nobody(uid=65534):
    return ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--inh-caps=-all"]


def ways(w, agent):
    found = next(a for a in w.purse_json("status")["agents"] if a["name"] == agent)
    return {o["way"]: o for o in found["open_ways"]}


def told(w):
    r = w.purse("events", "--json")
    return [e for e in map(json.loads, r.stdout.splitlines()) if e["reason"].startswith("open-")]


@pytest.fixture
def w(make_world):
    return make_world(agents=[{"name": n, "day": "1USD"} for n in ("bot", "low", "rootless", "owner")])


def test_what_stays_open_is_said_once_per_agent_and_way(w):
    root = w.spawn("bot", ["sleep", "100"])
    low = w.spawn("low", [*nobody(), "sleep", "100"])
    rootless = w.spawn("rootless", [*nobody(), "unshare", "-Ur", "sleep", "100"])
    # A folder above its own belongs to it, as where a user's service manager has been given one.
    (w.root / "owner").mkdir(exist_ok=True)
    os.chown(w.root / "cgroup.procs", 65533, 65533)
    owner = w.spawn("owner", [*nobody(65533), "sleep", "100"])
    wait_for("the capabilities of root", lambda: ways(w, "bot"), 20)
    found = ways(w, "bot")
    assert ALL <= set(found) <= ALL | {"open-packet"}
    doctor = w.purse("doctor", check=False)
    # Only where lsm_cgroup does not refuse packet sockets.
    assert ("open-packet" in found) == ("which no other hook sees" in " ".join(doctor.stdout.split())), doctor.stdout
    assert found["open-tunnel"]["needs"] == "CAP_NET_ADMIN" and found["open-tunnel"]["pid"] == root.pid, found
    assert found["open-tunnel"]["comm"] == "sleep"
    wait_for("the owner", lambda: ways(w, "owner"), 20)
    assert set(ways(w, "owner")) == {"open-cgroup"} and not ways(w, "low") and not ways(w, "rootless"), (ways(w, "low"), ways(w, "rootless"))
    text = w.purse("doctor", check=False).stdout
    assert '"bot": ways past the gate are open to it' in text and f"CAP_NET_ADMIN (process {root.pid})" in text and '"owner": ways past' in text
    assert '"low": ways' not in text and "to 2 of them ways past the gate are open" in text, text
    # Another of its kind, and some looks: nothing is said again.
    before = told(w)
    again = w.spawn("bot", ["sleep", "100"])
    time.sleep(5)
    assert told(w) == before
    assert sorted((e["agent"], e["reason"], e["count"]) for e in before) == sorted(
        [("bot", way, 1) for way in found] + [("owner", "open-cgroup", 1)])
    assert all("way open with " in e["text"] and e["comm"] == "sleep" and e["errno"] is None for e in before)
    assert w.daemon_log.read_text().count("ways past the gate are open to it: ") == 2
    for p in (root, low, rootless, owner, again):
        p.send_signal(signal.SIGKILL)
        p.wait()
    wait_for("nothing to be open any more", lambda: not ways(w, "bot"), 20)


def test_purse_run_leaves_nothing_open_but_what_it_was_asked_to(w):
    def run(*flags):
        p = w.spawn("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "run", "--agent", "job", *flags, "--total", "1USD", "--", "sleep", "6"])
        time.sleep(5)
        found = ways(w, "job")
        p.send_signal(signal.SIGTERM)
        p.wait()
        return set(found)
    assert run() == set()
    assert run("--keep-cap", "NET_ADMIN") == {"open-tunnel"}
    assert not [e for e in told(w) if e["reason"] != "open-tunnel"]
