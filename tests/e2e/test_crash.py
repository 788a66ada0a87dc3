# SPDX-License-Identifier: Apache-2.0
"""Killed anywhere, nothing is lost: no charge missing, none twice, no hold left; and while it is dead nobody gets through."""
import random
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
import world as worlds
from world import nano

POINTS = ["accept", "hello", "terminated", "parsed", "hold-taken", "sent", "head-sent", "body-sent", "first-event", "usage-seen",
          "charged", "ledger-before-commit", "ledger-after-commit", "settled", "closed"]
# Where a call has been sent the provider may bill it; the ledger then has it, at its cost or at its hold.
FREE = POINTS[:5]

CONNECT = """
import socket, errno
try:
    socket.create_connection(("198.51.100.10", 443), timeout=5); print("connected")
except OSError as e:
    print(errno.errorcode.get(e.errno, e.errno))
"""


@pytest.fixture(scope="session")
def crash_build():
    if not (worlds.CRASH_BUILD / "pursed").exists():
        pytest.skip(f"no build with crash points at {worlds.CRASH_BUILD} (make O=build-crash CRASH=1)")
    return worlds.CRASH_BUILD


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(make_world, crash_build, point):
    w = make_world(build=crash_build, start=False)
    w.start(crash=point)
    w.chat(stream=True, fake="out=6,gap=0.02", model="fake-odd")
    worlds.wait_for("the crash", lambda: w.daemon.poll() is not None, 10)
    assert w.daemon.returncode == -9
    assert w.python("bot", CONNECT).stdout.strip() == "ECONNREFUSED"
    before = len(w.requests())
    w.start()
    w.quiet().audit()
    assert nano(w.account()["windows"]["day"]["held"]) == 0
    assert w.charged() >= w.billed()
    rows = w.ledger()
    if point in FREE:
        assert rows == [] and before == 0
    else:
        assert len(rows) == 1
    # Life goes on, exactly.
    total, billed = w.charged(), w.billed()
    assert w.chat()[0] == 200
    w.quiet().audit()
    assert w.charged() - total == w.billed() - billed
    # And a third daemon finds the same.
    w.kill9()
    w.start().quiet().audit()
    assert len(w.ledger()) == len(rows) + 1


SILENT = """
import socket, sys
l = socket.create_server((sys.argv[1], 443))
kept = []
while True: kept.append(l.accept())
"""


def test_killed_while_it_gives_up(make_world, crash_build):
    """The provider was not reached, the hold stands written ahead: killed before the ledger has forgotten it, nothing is charged."""
    w = make_world(build=crash_build, start=False, config={"connect_timeout": "1s"},
                   provider=lambda chain, key: [sys.executable, "-c", SILENT, worlds.PROVIDER4])
    w.start(crash="given-up")
    w.chat(args=["-4"])
    worlds.wait_for("the crash", lambda: w.daemon.poll() is not None, 10)
    assert w.daemon.returncode == -9
    with sqlite3.connect(w.folder / "state" / "ledger.db") as db:
        assert db.execute("SELECT count(*) FROM open_calls").fetchone() == (1,)
    w.start()
    w.quiet().audit()
    assert w.ledger() == [] and w.charged() == 0
    windows = w.account()["windows"]
    assert nano(windows["day"]["held"]) == 0 and nano(windows["total"]["spent"]) == 0


def test_killed_at_random_under_load(make_world):
    seed = random.randrange(10**6)
    print("seed", seed)
    dice = random.Random(seed)
    limit = 21000 * 400
    w = make_world(agents=[{"name": "bot", "total": f"0.{limit:09d}USD"}])
    from test_overspend import CALLER
    for _ in range(5):
        p = w.spawn("bot", [sys.executable, "-c", CALLER, "20", "10", dice.choice(["whole", "stream"])], env=w.agent_env())
        time.sleep(dice.uniform(0.2, 1.0))
        w.kill9()
        p.kill()
        p.wait()
        w.start()
        w.quiet().audit()
        assert nano(w.account()["windows"]["total"]["held"]) == 0
        assert w.billed() <= w.charged() <= limit
        ids = [c["call_id"] for c in w.ledger()]
        assert len(ids) == len(set(ids))


def test_dead_or_hung_daemon_is_closed(world):
    assert world.chat()[0] == 200
    world.kill9()
    assert world.python("bot", CONNECT).stdout.strip() == "ECONNREFUSED"
    time.sleep(2.2)  # past heartbeat_stale: now the gate itself says so
    assert world.python("bot", CONNECT).stdout.strip() == "ECONNREFUSED"
    world.start()
    assert world.chat()[0] == 200
    world.assert_exact()
    world.daemon.send_signal(worlds.signal.SIGSTOP)
    time.sleep(2.4)
    assert world.python("bot", CONNECT).stdout.strip() == "ECONNREFUSED"
    world.daemon.send_signal(worlds.signal.SIGCONT)
    worlds.wait_for("the heart to beat again", lambda: world.chat()[0] == 200)


def test_a_restart_keeps_the_balances(world):
    for _ in range(3):
        assert world.chat(model="fake-odd")[0] == 200
    world.quiet()
    spent = world.account()["windows"]
    assert world.stop() == 0
    world.start()
    again = world.account()["windows"]
    assert again["day"]["spent"] == spent["day"]["spent"] and again["total"]["spent"] == spent["total"]["spent"]
    world.assert_exact()


def test_a_reboot_rebuilds_from_the_ledger(world):
    """Maps gone, ledger there."""
    assert world.chat(model="fake-large", fake="out=20")[0] == 200
    world.quiet()
    spent = world.account()["windows"]["total"]["spent"]
    world.stop()
    world.purse("uninstall")
    world.start()
    assert world.account()["windows"]["total"]["spent"] == spent
    world.assert_exact()


def test_sigterm_lets_a_call_finish(world):
    got = []
    t = threading.Thread(target=lambda: got.append(world.chat(stream=True, fake="out=10,gap=0.1")))
    t.start()
    worlds.wait_for("the request", lambda: world.requests())
    assert world.stop() == 0
    t.join()
    assert got[0][0] == 200 and "[DONE]" in got[0][1]
    world.start()
    world.assert_exact()


def test_a_second_daemon_refuses(world):
    p = world.spawn("daemon", [world.build / "pursed", "-c", world.folder / "purse.yaml"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = p.communicate(timeout=20)[0]
    assert p.returncode != 0 and str(world.daemon.pid) in out, out
    assert world.chat()[0] == 200


def test_a_full_disk_refuses_and_recovers(make_world, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    # ca/ with its copy of the system roots is some 230 kB
    worlds.run("mount", "-t", "tmpfs", "-o", "size=1m", "none", disk)
    try:
        w = make_world(state_dir=disk / "state")
        assert w.chat()[0] == 200
        w.quiet()
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        for _ in range(60):
            status = w.chat()[0]
            if status != 200:
                break
            time.sleep(0.1)
        assert status == 503
        assert not w.purse_json("status")["daemon"]["ledger_healthy"]
        filler.unlink()
        worlds.wait_for("the ledger to be well again", lambda: w.chat()[0] == 200, 30)
        w.assert_exact()
    finally:
        w.close()
        worlds.run("umount", disk)
