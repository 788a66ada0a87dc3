# SPDX-License-Identifier: Apache-2.0
"""What somebody does to the gate under a living daemon is seen within a second or two: put back and counted, or told with the reason."""
import json
import struct
import subprocess

import world as worlds
from world import wait_for

BPFTOOL = worlds.shutil.which("bpftool") or "/usr/sbin/bpftool"


def ready(w):
    code = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", w.folder / "run/control.sock",
                           "http://purse/v1/healthz"], capture_output=True, text=True).stdout
    return code == "200"


def repairs(w):
    return w.purse_json("status")["daemon"]["counts"]["gate_repairs"]


def map_pin(w, name):
    return w.pins / "maps" / name


def bpf(*argv):
    return json.loads(worlds.run(BPFTOOL, "-j", *argv).stdout or "null")


def hexes(value):
    return [f"0x{b:02x}" for b in value]


def test_the_row_of_the_listener_and_the_words_are_put_back(world):
    assert ready(world) and world.chat()[0] == 200
    row = bpf("map", "dump", "pinned", map_pin(world, "listeners"))[0]
    worlds.run(BPFTOOL, "map", "delete", "pinned", map_pin(world, "listeners"), "key", *row["key"])
    wait_for("the row to be back", lambda: repairs(world) == 1, 5)
    assert bpf("map", "dump", "pinned", map_pin(world, "listeners"))[0]["value"] == row["value"]
    assert world.chat()[0] == 200
    # others_deny, the second word of the state
    state = bytes(int(b, 16) for b in bpf("map", "dump", "pinned", map_pin(world, "state"))[0]["value"])
    changed = state[:4] + struct.pack("I", 1 - struct.unpack("I", state[4:8])[0]) + state[8:]
    worlds.run(BPFTOOL, "map", "update", "pinned", map_pin(world, "state"), "key", *hexes(b"\0\0\0\0"), "value", *hexes(changed))
    wait_for("the word to be back", lambda: repairs(world) == 2, 5)
    state2 = bytes(int(b, 16) for b in bpf("map", "dump", "pinned", map_pin(world, "state"))[0]["value"])
    assert state2[4:8] == state[4:8]
    assert "others_deny is 1, we wrote 0" in world.daemon_log.read_text()
    wait_for("ready", lambda: ready(world), 5)
    world.assert_exact()


def test_a_pin_that_is_another_map_is_put_back(world):
    """Same name, same size: the next start would have found balances of nobody."""
    assert world.chat()[0] == 200
    worlds.run("rm", map_pin(world, "accounts"))
    worlds.run(BPFTOOL, "map", "create", map_pin(world, "accounts"), "type", "array", "key", "4", "value", "280", "entries", "16384",
               "name", "accounts", "flags", "1024")
    wait_for("the pin to be ours again", lambda: repairs(world) == 1, 5)
    world.kill9()
    world.start()
    assert world.chat()[0] == 200
    world.assert_exact()


def test_an_agent_where_the_gate_is_not(world):
    """Its cgroup is not below cgroup_root (config and `agent add` refuse that): nobody holds it back, and that is told. Others are
    held back and served as ever."""
    key = hexes(struct.pack("Q", world.far.stat().st_ino))
    worlds.run(BPFTOOL, "map", "update", "pinned", map_pin(world, "agents"), "key", *key, "value", *hexes(struct.pack("II48s", 1, 0, b"stray")))
    wait_for("the stray one to be told", lambda: not ready(world), 10)
    status = world.purse_json("status")["daemon"]
    assert not status["gate_ok"] and 'agent "stray"' in status["gate_problem"] and "not below cgroup_root" in status["gate_problem"]
    assert status["counts"]["gate_repairs"] == 0
    assert world.chat()[0] == 200
    worlds.run(BPFTOOL, "map", "delete", "pinned", map_pin(world, "agents"), "key", *key)
    wait_for("nobody to be outside", lambda: ready(world), 10)
    world.assert_exact()


def test_the_port_is_nobody_elses_choice_and_stays_the_same(world):
    """A crash, and a start: the same port, one that the kernel gives to nobody who asks for any."""
    inside = ["nsenter", f"--net={worlds.NETNS / world.name}", "cat", "/proc/sys/net/ipv4/ip_local_port_range"]
    first, last = (int(n) for n in worlds.run(*inside).stdout.split())
    ports = lambda: [world.purse_json("status")["daemon"][k] for k in ("port4", "port6")]  # noqa: E731
    before = ports()
    assert all(1024 <= p < first or p > last for p in before), before
    assert world.chat()[0] == 200
    world.kill9()
    world.start()
    assert ports() == before
    assert world.chat()[0] == 200
    world.assert_exact()
