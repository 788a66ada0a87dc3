# SPDX-License-Identifier: Apache-2.0
"""Connections that an agent has from before it was one, and the catalogue that `purse doctor --bypass` tries on the user's own node."""
import json
import sys

import world as worlds

# Connects to the provider, says so, waits for what comes, says what came.
PATIENT = """
import errno, socket, sys
s = socket.create_connection((%r, 443)); s.settimeout(20)
print("connected", flush=True)
try: print("got", len(s.recv(1)), flush=True)
except OSError as e: print(errno.errorcode.get(e.errno, e), flush=True)
""" % worlds.PROVIDER4


def doctor(w, *args):
    """In the world's own network namespace, since that is where its addresses are."""
    return w.in_agent("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "doctor", "--bypass", *args], timeout=90)


def test_a_connection_from_before_is_ended(make_world):
    w = make_world()
    folder = w.root / "late"
    folder.mkdir()
    p = w.spawn("late", [sys.executable, "-c", PATIENT], stdout=worlds.subprocess.PIPE, text=True)
    assert p.stdout.readline().strip() == "connected"
    w.purse("agent", "add", "late", "--cgroup", "/" + str(folder.relative_to(worlds.CGROUPS)), "--day", "1")
    assert p.stdout.readline().strip() == "ECONNABORTED"
    p.wait(10)
    assert w.chat("late")[0] == 200
    w.assert_exact()


def test_a_connection_of_somebody_else_stays(make_world):
    w = make_world()
    (w.root / "late").mkdir()
    p = w.spawn("outside", [sys.executable, "-c", PATIENT.replace("20", "2")], stdout=worlds.subprocess.PIPE, text=True)
    assert p.stdout.readline().strip() == "connected"
    w.purse("agent", "add", "late", "--cgroup", "/" + str((w.root / "late").relative_to(worlds.CGROUPS)), "--day", "1")
    assert p.stdout.readline().strip() != "ECONNABORTED"
    p.wait(10)


def test_doctor_tries_the_ways(make_world):
    w = make_world()
    w.in_agent("outside", ["sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647"])  # so that it is the gate that refuses ping sockets
    before = sum("conn" in r for r in w.records())
    r = doctor(w, "--json")
    told = json.loads(r.stdout)
    ends = {way["name"]: way["end"] for way in told["ways"]}
    assert told["ok"] and r.returncode == 0
    assert ends["tcp v4"] == ends["tcp v6"] == ends["tcp fast open"] == "captured"
    assert ends["udp v4"] == ends["raw tcp"] == ends["ping socket"] == ends["source route"] == "blocked"
    assert all(way["end"] != "open" or way["needs"] for way in told["ways"])
    # Whatever was blocked is told, by the name of the agent that it was tried as.
    blocked = [way for way in told["ways"] if way["end"] == "blocked" and way["text"].split()[-1] in ("EACCES", "EPERM")]
    denied = sum(e["count"] for e in map(json.loads, w.purse("events", "--json").stdout.splitlines()) if (e["agent"] or "").startswith("doctor-") and e["errno"])
    assert denied >= len(blocked) > 20
    # Only a way that needs a helper outside got anywhere, and it sent nothing.
    assert sum("conn" in r for r in w.records()) - before <= 1
    assert not any(a["name"].startswith("doctor-") for a in w.purse_json("status")["agents"])
    assert "no way is open" in doctor(w).stdout


def test_doctor_with_others_denied_leaves_none(make_world):
    w = make_world(config={"others": "deny"})
    before = sum("conn" in r for r in w.records())
    assert doctor(w).returncode == 0
    assert sum("conn" in r for r in w.records()) == before
