# SPDX-License-Identifier: Apache-2.0
"""Disks that fail (F3 to F5): the n-th write, the n-th sync, no space for the log only, read-only, locked, damaged, half gone."""
import errno
import os
import shutil
import sqlite3
import threading
import time

import pytest
from checker import Checker, check
from failio import FailIO
from world import run, wait_for

LONG = bool(os.environ.get("FAULTS_LONG"))


@pytest.fixture
def failing(make_world, tmp_path):
    w = make_world(start=False)
    f = FailIO(tmp_path)
    w.start(env=f.env())
    return w, f


def call_until(w, wanted, seconds=20):
    """Calls until the answer is `wanted`; how many were let through before."""
    done = 0
    end = time.monotonic() + seconds
    while (status := w.chat()[0]) != wanted:
        assert status in (200, 503), status
        done += status == 200
        assert time.monotonic() < end, f"no {wanted} in {seconds} s"
        time.sleep(0.02)
    return done


def recovers(w):
    call_until(w, 200)
    check(w)
    w.kill9()
    w.start()
    check(w)


@pytest.mark.parametrize("n", range(1, 31) if LONG else [1, 2])
@pytest.mark.parametrize("kind", ["write", "sync"])
def test_the_nth_fails(failing, kind, n):
    """One failure, wherever it falls: never a crash, never a row too few or too many."""
    w, f = failing
    getattr(f, kind)(n)
    for _ in range(n + 3):
        assert w.chat()[0] in (200, 503)
    assert w.daemon.poll() is None
    assert not LONG or f.failed(kind) or n > 10
    f.well()
    recovers(w)


@pytest.mark.parametrize("error,match", [(errno.ENOSPC, "ledger.db-wal"), (errno.EROFS, "ledger.db"), (errno.EIO, "ledger.db")])
def test_as_long_as_it_fails_nobody_spends(failing, error, match):
    """No space for the log only; a file system that became read-only; a disk that is gone. Back again: purse goes on by itself."""
    w, f = failing
    assert w.chat()[0] == 200
    w.quiet()
    f.write(1, 10**9, error, match)
    let = call_until(w, 503)
    assert let <= 4  # what was answered before the ledger knew
    seen = len(w.requests())
    for _ in range(5):
        assert w.chat()[0] == 503
    assert len(w.requests()) == seen
    assert w.daemon.poll() is None and not w.purse_json("status")["daemon"]["ledger_healthy"]
    f.well()
    recovers(w)


def test_killed_while_it_fails(failing):
    """What is charged and cannot be written stays in its slot, for the next daemon."""
    w, f = failing
    f.sync(1, 10**9)
    let = call_until(w, 503)
    assert let >= 1
    w.kill9()
    assert len(Checker(w).holds()) >= let
    w.start()
    recovers(w)


def test_another_process_holds_the_lock(world):
    """SQLITE_BUSY for longer than it is waited for: calls wait in their slots or are refused, and all of them are written."""
    assert world.chat()[0] == 200
    world.quiet()
    db = sqlite3.connect(world.state / "ledger.db", isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    threading.Timer(4, lambda: None).start()
    began = time.monotonic()
    answers = []
    while time.monotonic() < began + 4:
        answers.append(world.chat()[0])
        time.sleep(0.1)
    assert set(answers) <= {200, 503} and 503 in answers
    db.execute("ROLLBACK")
    db.close()
    call_until(world, 200)
    check(world)


def break_ledger(w, how):
    assert w.chat()[0] == 200
    w.quiet()
    w.stop()
    ledger = w.state / "ledger.db"
    assert not (w.state / "ledger.db-wal").exists()  # after a stop in good order it is one file
    shutil.copy(ledger, w.folder / "kept.db")
    how(ledger)


def refuses_to_start(w, *words):
    w.start(expect_ready=False)
    assert w.daemon.wait(15) != 0
    said = w.daemon_log.read_text()
    assert any(word in said for word in words), said[-600:]
    Checker(w).no_gap(lambda: w.curl("bot", "https://api.openai.com/v1/models", timeout=2))
    for part in ("ledger.db-wal", "ledger.db-shm"):
        (w.state / part).unlink(missing_ok=True)
    shutil.copy(w.folder / "kept.db", w.state / "ledger.db")
    w.start()
    assert w.chat()[0] == 200
    check(w)


def test_every_hundredth_byte_is_wrong(world):
    def flip(path):
        data = bytearray(path.read_bytes())
        for i in range(100, len(data), 100):
            data[i] ^= 0xff
        path.write_bytes(data)
    break_ledger(world, flip)
    refuses_to_start(world, "damaged", "another program")


@pytest.mark.parametrize("part", [0, 0.5, 0.9])
def test_cut_short(world, part):
    break_ledger(world, lambda path: os.truncate(path, int(path.stat().st_size * part) // 4096 * 4096) if part else path.write_bytes(b"not a ledger" * 400))
    refuses_to_start(world, "damaged", "another program")


def test_a_newer_schema(world):
    def renew(path):
        db = sqlite3.connect(path)
        db.execute("PRAGMA user_version = 99")
        db.close()
    break_ledger(world, renew)
    refuses_to_start(world, "newer purse")


def test_the_log_is_deleted(world):
    """Rows that stood in the log only are lost with it: nothing tells a program that a file is not there any more. What is left is whole, and
    the next start says what it knows. The provider's bill is then above the ledger: named in docs/faults.md."""
    for _ in range(3):
        assert world.chat()[0] == 200
    world.quiet()
    world.kill9()
    (world.state / "ledger.db-wal").unlink()
    (world.state / "ledger.db-shm").unlink(missing_ok=True)
    world.start()
    wait_for("a call to pass", lambda: world.chat()[0] == 200)
    world.quiet()
    Checker(world).money()
    world.audit()


def test_full_disk_that_is_full_for_real(make_world, tmp_path):
    """A read-only start: nothing can be written at all, so nothing is let through."""
    disk = tmp_path / "disk"
    disk.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=4m", "none", disk)
    try:
        w = make_world(state_dir=disk / "state")
        assert w.chat()[0] == 200
        w.quiet()
        w.stop()
        run("mount", "-o", "remount,ro", disk)
        w.start(expect_ready=False)
        assert w.daemon.wait(15) != 0
        Checker(w).no_gap(lambda: w.curl("bot", "https://api.openai.com/v1/models", timeout=2))
        run("mount", "-o", "remount,rw", disk)
        w.start()
        assert w.chat()[0] == 200
        check(w)
    finally:
        w.close()
        run("umount", disk)
