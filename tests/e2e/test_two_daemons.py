# SPDX-License-Identifier: Apache-2.0
"""Two daemons on the same pins: the second refuses, whatever else it calls its own, and the first does not notice."""
import json
import subprocess

import world as worlds
from world import wait_for


def second_config(w, **changes):
    config = json.loads((w.folder / "purse.yaml").read_text())
    config.update({"state_dir": str(w.folder / "state2"), "run_dir": str(w.folder / "run2")}, **changes)
    path = w.folder / "purse2.yaml"
    path.write_text(json.dumps(config))
    return path


def start_second(w, path, *flags):
    p = w.spawn("daemon2", [w.build / "pursed", "-c", path, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out, _ = p.communicate(timeout=20)
    return p.returncode, out


def programs(w):
    """Program ids under the pinned links."""
    bpftool = worlds.shutil.which("bpftool") or "/usr/sbin/bpftool"
    ids = {}
    for pin in (w.pins / "links").iterdir():
        link = json.loads(worlds.run(bpftool, "-j", "link", "show", "pinned", pin).stdout)
        ids[pin.name] = (link[0] if isinstance(link, list) else link)["prog_id"]
    return ids


def test_another_run_dir_is_refused(world):
    assert world.chat()[0] == 200
    before = programs(world)
    for flags in ((), ("--take-over",)):
        code, out = start_second(world, second_config(world), *flags)
        assert code == 1, out
        # pursed was started by a shell that execs: its pid is ours
        assert f"the gate is held by process {world.daemon.pid}, a pursed with another run_dir" in out
        assert str(world.pins) in out and "stop that one first" in out and "ready:" not in out
    assert programs(world) == before
    status = world.purse_json("status")["daemon"]
    assert status["gate_ok"] and status["counts"]["gate_repairs"] == 0
    assert world.chat()[0] == 200
    world.assert_exact()
    # nor may it take the gate away
    r = worlds.run(world.build / "purse", "-c", second_config(world), "uninstall", check=False)
    assert r.returncode != 0 and "held by process" in r.stdout + r.stderr
    assert programs(world) == before


def test_a_dead_owner_is_none(world):
    """kill -9: its name stands there still, its lock does not. The first comes back and is refused in its turn."""
    assert world.chat()[0] == 200
    world.kill9()
    path = second_config(world, state_dir=str(world.state))
    p = world.spawn("daemon2", [world.build / "pursed", "-c", path], stdout=open(world.folder / "second.log", "w"), stderr=subprocess.STDOUT)
    wait_for("the second to be ready", lambda: "ready:" in (world.folder / "second.log").read_text())
    world.start(expect_ready=False)
    assert world.daemon.wait(20) == 1
    assert f"held by process {p.pid}, a pursed with another run_dir" in world.daemon_log.read_text()
    p.terminate()
    p.wait(15)
    world.start()
    assert world.chat()[0] == 200
    world.assert_exact()


def test_the_lock_goes_over_in_a_hand_over(world):
    """And names the new owner, also when the process that made it is gone."""
    first = world.daemon
    world.start_over = world.spawn("daemon", [world.build / "pursed", "-c", world.folder / "purse.yaml", "--take-over"],
                                   stdout=open(world.daemon_log, "a"), stderr=subprocess.STDOUT)
    assert first.wait(20) == 0
    world.daemon = world.start_over
    code, out = start_second(world, second_config(world))
    assert code == 1 and f"held by process {world.daemon.pid}," in out, out
    assert world.chat()[0] == 200
    world.assert_exact()
