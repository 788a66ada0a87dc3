# SPDX-License-Identifier: Apache-2.0
"""`purse doctor --bypass` against a live daemon: the whole catalogue, row by row; and on a node whose gate is off, or whose daemon answers nothing."""
import ctypes
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time

CATALOGUE = 56
ANSWERED = {"tcp v4", "tcp v6", "tcp v4-mapped", "tcp nat64", "tcp fast open", "thread", "slirp", "socket passed in", "io_uring older ring",
            "name in TLS", "name in pieces", "name elsewhere", "plain HTTP elsewhere", "proxy, captured port"}
REFUSED = {"udp v4", "older udp socket", "older connection", "source route, tcp", "routing header", "routing header, tcp", "setns", "own program: yes",
           "other name in TLS", "no name in TLS", "hidden name (ECH)", "egress port bound", "listener itself"}
WITH_HELP = {"process moved in", "connection passed in", "unix relay", "local relay", "proxy, other port", "io_uring foreign ring", "process moved out"}
UNTRIED = {"relay elsewhere", "fronting", "reboot", "microVM, gVisor", "second hello", "gate taken off by root"}


def doctor(w, *args):
    return w.in_agent("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "doctor", "--bypass", *args], timeout=180)


def ways(w, code):
    r = doctor(w, "--json")
    assert r.returncode == code, r.stdout + r.stderr
    told = json.loads(r.stdout)
    assert told["ok"] == (code == 0)
    return {way["name"]: way for way in told["ways"]}


def ends(found, names):
    return {name: found[name]["end"] for name in names}


def provider_saw(w):
    return sum("conn" in r for r in w.records())


def test_the_whole_catalogue(make_world):
    w = make_world()
    before = provider_saw(w)
    found = ways(w, 0)
    assert sorted({way["no"] for way in found.values()}) == list(range(1, CATALOGUE + 1))
    assert [way["no"] for way in found.values()] == sorted(way["no"] for way in found.values())
    assert set(ends(found, ANSWERED).values()) == {"captured"}, ends(found, ANSWERED)
    assert set(ends(found, REFUSED).values()) == {"blocked"}, ends(found, REFUSED)
    assert set(ends(found, UNTRIED).values()) == {"not tested"}
    assert all(way["needs"] for way in found.values() if way["end"] == "open"), found
    assert all(len(way["text"]) > 8 for way in found.values())
    # A polled ring outside dials for itself, to the provider of this world; nothing else got there, nothing was learned, nobody stays.
    assert provider_saw(w) - before <= 1
    assert all(set(e["addresses"]) == {"198.51.100.10", "2001:db8::10"} for e in w.purse_json("status")["endpoints"])
    assert [a["name"] for a in w.purse_json("status")["agents"]] == ["bot"]
    assert not [p.name for p in w.root.rglob("*") if p.is_dir() and "doctor" in p.name]


def test_others_denied_closes_what_needs_help(make_world):
    w = make_world(config={"others": "deny"})
    found = ways(w, 0)
    assert set(ends(found, WITH_HELP).values()) == {"blocked"}, ends(found, WITH_HELP)


def bpf(command, attr):
    buf = ctypes.create_string_buffer(attr, 128)
    return ctypes.CDLL(None, use_errno=True).syscall(321, command, buf, 128)


def test_a_gate_that_is_off_is_seen(make_world):
    """The daemon puts it back within a second, so it is taken off all the time."""
    w = make_world()
    links, end = [str(p) for p in w.pins.rglob("*") if p.is_file()], threading.Event()

    def take_off():
        while not end.is_set():
            for path in links:
                name = ctypes.create_string_buffer(path.encode())
                fd = bpf(7, struct.pack("<QII", ctypes.addressof(name), 0, 0))  # BPF_OBJ_GET
                if fd >= 0:
                    bpf(34, struct.pack("<I", fd))  # BPF_LINK_DETACH; a map's is EINVAL
                    os.close(fd)
            time.sleep(0.001)
    t = threading.Thread(target=take_off)
    t.start()
    try:
        time.sleep(0.5)
        found = ways(w, 1)
    finally:
        end.set()
        t.join()
    off = ends(found, ["tcp v4", "udp v4", "udp v6", "tcp nat64", "raw tcp", "thread", "source route", "routing header, tcp", "egress port bound"])
    assert sum(end == "open" for end in off.values()) >= len(off) - 2, off


def test_a_daemon_that_answers_nothing_is_broken_not_captured(make_world):
    """Mostly stopped while the ways are tried: the listener is there, and nobody accepts."""
    w = make_world(config={"heartbeat_stale": "60s"})
    p = w.spawn("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "doctor", "--bypass"], stdout=subprocess.PIPE, text=True)
    # Let go for a moment now and then: a row may ask it to enrol somebody.
    while p.poll() is None:
        time.sleep(0.2)
        os.kill(w.daemon.pid, signal.SIGSTOP)
        try:
            time.sleep(4)
        finally:
            os.kill(w.daemon.pid, signal.SIGCONT)
    out = p.stdout.read()
    assert p.returncode == 1
    row = next(line for line in out.splitlines() if "BROKEN" in line)
    assert "nobody answers" in row, out
    assert "does not answer as it should" in out


def test_a_terminal_of_80_columns(make_world):
    w = make_world()
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    p = w.spawn("outside", [w.build / "purse", "-c", w.folder / "purse.yaml", "doctor", "--bypass"], stdout=its)
    os.close(its)
    out = b""
    while True:
        try:
            got = os.read(mine, 65536)
        except OSError:
            break
        if not got:
            break
        out += got
    assert p.wait(60) == 0
    lines = out.decode().replace("\r", "").splitlines()
    assert len(lines) > 90 and max(map(len, lines)) <= 80, [line for line in lines if len(line) > 80]
    assert any(line.startswith(" 56 second hello") for line in lines)
