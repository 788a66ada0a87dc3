# SPDX-License-Identifier: Apache-2.0
"""A machine short of everything, and other root tools (F11 to F16, F21)."""
import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import threading
import time

import pytest
import world as worlds
from checker import Checker, check
from failio import FailIO
from test_overspend import CALLER
from world import run, wait_for

LONG = bool(os.environ.get("FAULTS_LONG"))
V1 = pathlib.Path("/sys/fs/cgroup")


@contextlib.contextmanager
def limited(w, controller, files):
    """The daemon in a cgroup of that controller (a v1 hierarchy, or its own v2 folder)."""
    v2 = w.root / "daemon"
    if (v2 / next(iter(files[2]))).exists():
        for name, value in files[2].items():
            (v2 / name).write_text(value)
        yield v2
        return
    folder = V1 / controller / w.name
    if not (V1 / controller / "cgroup.procs").exists():
        pytest.skip(f"no {controller} controller here")
    folder.mkdir()
    try:
        for name, value in files[1].items():
            (folder / name).write_text(value)
        (folder / "cgroup.procs").write_text(str(w.daemon.pid))
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (V1 / controller / "cgroup.procs").write_text(pid)
        folder.rmdir()


def storm(w, threads=12, tries=6, mode="whole"):
    return w.spawn("bot", [sys.executable, "-c", CALLER, str(threads), str(tries), mode], env=w.agent_env())


def test_one_percent_of_a_cpu(world):
    """F13: slow, but no gap and no wrong figure."""
    with limited(world, "cpu", {1: {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "1000"}, 2: {"cpu.max": "1000 100000"}}):
        p = storm(world, 3, 2)
        time.sleep(20 if LONG else 4)
        for pid in (world.daemon.pid,):
            os.kill(pid, 0)
    p.wait(60)
    wait_for("calls to pass again", lambda: world.chat()[0] == 200, 30)
    check(world)


def test_no_more_processes(make_world):
    """F11: pids.max at what there is: the daemon starts no thread later on, so it goes on as it was."""
    w = make_world()
    tasks = len(os.listdir(f"/proc/{w.daemon.pid}/task"))
    with limited(w, "pids", {1: {"pids.max": str(tasks)}, 2: {"pids.max": str(tasks)}}):
        assert w.chat()[0] == 200
        assert w.chat(stream=True)[0] == 200
        slow = w.purse("audit", check=False)
        assert slow.returncode and "no thread" in slow.stderr, slow.stderr
    check(w)


def test_killed_for_memory(world):
    """F12: the kernel kills it in the midst of its work: as kill -9."""
    p = storm(world, 12, 20)
    time.sleep(0.5)
    with limited(world, "memory", {1: {"memory.limit_in_bytes": str(1 << 20)}, 2: {"memory.max": str(1 << 20)}}):
        # Its pages of before belong to another cgroup; only what it asks for from now on counts. Make it ask.
        (world.folder / "large").write_text('{"model": "fake-mini", "max_tokens": 9, "messages": "' + "x" * 3000000 + '"}')
        for _ in range(10):
            if world.daemon.poll() is not None:
                break
            world.curl("bot", "https://api.openai.com/v1/chat/completions", body=f"@{world.folder}/large", timeout=3)
        print("killed by the kernel:", world.daemon.poll() is not None)
    if world.daemon.poll() is None:
        world.kill9()
    Checker(world).no_gap(lambda: world.curl("bot", "https://api.openai.com/v1/models", timeout=2))
    p.kill()
    p.wait()
    world.start()
    check(world, unseen=True)


@pytest.mark.parametrize("n", range(1, 200, 7) if LONG else [3, 40])
@pytest.mark.parametrize("least", [64, 1024] if LONG else [64])
def test_an_allocation_fails(make_world, tmp_path, n, least):
    """F12: refused, cut, or dead: whatever it does, no half of a settlement."""
    w = make_world(start=False)
    f = FailIO(tmp_path)
    w.start(env=f.env())
    assert w.chat()[0] == 200
    w.quiet()
    f.alloc(n, least)
    for stream in (False, True, False):
        w.chat(stream=stream)
    f.well()
    if w.daemon.poll() is None and w.chat()[0] == 200:
        check(w)
        return
    if w.daemon.poll() is None:
        w.kill9()
    w.start()
    check(w, unseen=True)
    assert w.chat()[0] == 200


def test_a_stale_agent_under_a_new_cgroup_id(make_world):
    """F14, reuse of ids: an entry that an earlier life left under the id of a cgroup that somebody else has now does not survive the start."""
    w = make_world(agents=[{"name": "bot", "day": "1USD"}])
    stranger = w.root / "stranger"
    stranger.mkdir()
    cid = stranger.stat().st_ino
    row = (1).to_bytes(4, "little") + (0).to_bytes(4, "little") + b"bot".ljust(48, b"\0")
    run(*BPFTOOL, "map", "update", "pinned", w.pins / "maps/agents", "key", "hex", *hexes(cid.to_bytes(8, "little")), "value", "hex", *hexes(row))
    w.kill9()
    w.start()
    found = run(*BPFTOOL, "map", "lookup", "pinned", w.pins / "maps/agents", "key", "hex", *hexes(cid.to_bytes(8, "little")), check=False)
    assert found.returncode != 0, found.stdout
    before = len(w.ledger())
    w.curl("stranger", "https://api.openai.com/v1/models", timeout=3)
    assert len(w.ledger()) == before
    check(w)


BPFTOOL = [next((p for p in ("/usr/sbin/bpftool", "/usr/bin/bpftool") if os.path.exists(p)), "bpftool")]


def hexes(data):
    return [f"{b:02x}" for b in data]


@pytest.mark.parametrize("caps", ["-bpf,-sys_admin", "-net_admin,-sys_admin"])
def test_programs_are_refused(make_world, caps):
    """F16: without the right to load and attach it does not start, says why, and what stands of the gate denies."""
    w = make_world()
    assert w.chat()[0] == 200
    w.quiet()
    w.kill9()
    before = w.daemon_log.stat().st_size
    drop = ["setpriv", "--bounding-set", caps, "--inh-caps", caps]
    w.start(expect_ready=False, wrap=drop)
    assert w.daemon.wait(15) not in (0, None)
    assert "cannot start" in w.daemon_log.read_text()[before:]
    Checker(w).no_gap(lambda: w.curl("bot", "https://api.openai.com/v1/models", timeout=2))
    w.start()
    assert w.chat()[0] == 200
    check(w)


def test_a_reboot_in_the_midst_of_calls(world):
    """F21: maps, links and daemon are gone at once; what was written ahead is charged, before the gate opens."""
    p = storm(world, 8, 20, "stream")
    wait_for("calls", lambda: len(world.requests()) > 10)
    world.kill9()
    p.kill()
    p.wait()
    seen = len(world.requests())
    for folder in ("links", "maps", "progs"):
        for pin in (world.pins / folder).glob("*") if (world.pins / folder).exists() else []:
            pin.unlink()
    world.start()
    world.quiet()
    c = Checker(world)
    c.money()
    c.once()
    c.orphans()
    lost = seen - len(c.rows())
    print("calls that began within the last commit and are not known:", lost)
    assert lost <= 8  # at most what began in the last few milliseconds: one per caller
    assert world.chat()[0] == 200


def test_the_pins_of_links_are_removed(make_world):
    """F15: another root tool removes them: put back, and told."""
    w = make_world()
    assert w.chat()[0] == 200
    for pin in (w.pins / "links").glob("*"):
        pin.unlink()
    wait_for("it to be noticed", lambda: "is gone" in w.daemon_log.read_text(), 5)
    wait_for("the pins to be there again", lambda: list((w.pins / "links").glob("*")), 5)
    assert w.chat()[0] == 200
    check(w)
