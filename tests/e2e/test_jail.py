# SPDX-License-Identifier: Apache-2.0
"""What root inside an agent can do: `purse run` holds what can be held and says the rest; the control socket takes no orders from agents."""
import os
import signal
import socket
import subprocess
import sys

import pytest
import world as worlds

RAISE = ("agent", "raise", "bot", "--day", "1000USD", "--for", "1h")


def purse_in(w, cgroup, *args, wrap=(), **kw):
    return w.in_agent(cgroup, [*wrap, w.build / "purse", "-c", w.folder / "purse.yaml", *args], **kw)


def purse_run(w, *args, **kw):
    return purse_in(w, "outside", "run", "--total", "1USD", "--", *args, **kw)


# ---- who may change budgets

def day_limit(w):
    return w.account()["windows"]["day"]["limit"]


@pytest.mark.parametrize("cgroup", ["bot", "bot/nested/deep"])
@pytest.mark.parametrize("wrap", [(), ("unshare", "-pf", "--mount-proc"), ("unshare", "-C"), ("unshare", "-Ur")], ids=["plain", "pid", "cgroup", "user"])
def test_an_agent_does_not_raise_its_own_budget(world, cgroup, wrap):
    r = purse_in(world, cgroup, *RAISE, wrap=wrap)
    assert r.returncode != 0 and 'inside agent "bot"' in r.stderr and "from a shell outside" in r.stderr, r.stdout + r.stderr
    assert day_limit(world) == "10.00"
    assert purse_in(world, cgroup, "status", wrap=wrap).returncode == 0


def test_every_change_is_refused_to_an_agent(world):
    for args in (("agent", "add", "mine", "--day", "5USD"), ("agent", "set", "bot", "--day", "99USD"), ("agent", "rm", "bot"), ("agent", "pause", "bot"),
                 ("agent", "resume", "bot"), ("account", "add", "team", "--day", "5USD"), ("run", "--day", "100USD", "--", "true"),
                 ("run", "--agent", "bot", "--", "true")):
        r = purse_in(world, "bot", *args)
        assert r.returncode not in (0, 2) and "inside agent" in r.stderr, (args, r.stdout + r.stderr)
    assert [a["name"] for a in world.purse_json("status")["agents"]] == ["bot"]
    changes = {c["what"] for c in world.purse_json("ledger", "--changes")["changes"]}
    assert not any("99" in c for c in changes), changes
    assert purse_in(world, "outside", *RAISE).returncode == 0 and day_limit(world) == "1010.00"


def test_a_connection_whose_maker_is_gone_changes_nothing(world):
    """A child connects and ends while the daemon does not answer, the parent goes on with the connection: the child's number may be anybody's by then."""
    sent = world.folder / "sent"
    code = f"""
import os, pathlib, socket
s = socket.socket(socket.AF_UNIX)
if os.fork() == 0:
    s.connect({str(world.folder / 'run/control.sock')!r})
    os._exit(0)
os.wait()
body = '{{"day":"1000","for":"1h"}}'
s.sendall(f'POST /v1/agents/bot/raise HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {{len(body)}}\\r\\n\\r\\n{{body}}'.encode())
pathlib.Path({str(sent)!r}).touch()
print(s.recv(4096).decode())
"""
    for cgroup in ("bot", "outside"):
        world.daemon.send_signal(signal.SIGSTOP)
        p = world.spawn(cgroup, [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        worlds.wait_for("the request", sent.exists)
        world.daemon.send_signal(signal.SIGCONT)
        out, _ = p.communicate(timeout=30)
        assert "403 Forbidden" in out and "has ended" in out, out
        sent.unlink()
    assert day_limit(world) == "10.00"


# ---- descriptors 0 to 2

CARRY = """
import ctypes, os, socket, subprocess, sys
ctypes.CDLL(None).syscall.restype = ctypes.c_long
def tcp(to, port):
    return socket.create_connection((to, port))
def echo(family, to):
    l = socket.create_server((to, 0), family=family)
    return l, socket.create_connection(l.getsockname()[:2])
def udp(to):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((to, 443)); return s
def ring():
    return ctypes.CDLL(None).syscall(425, 4, ctypes.create_string_buffer(120))
keep = {what}
made = keep[-1] if isinstance(keep, tuple) else keep
fd = made if isinstance(made, int) else made.fileno()
std = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
std[{place!r}] = fd
p = subprocess.run(sys.argv[1:], **std)
sys.stdout.write((p.stdout or b'').decode()); sys.stderr.write((p.stderr or b'').decode())
sys.exit(p.returncode)
"""


def carry(w, what, place, *argv):
    run = [w.build / "purse", "-c", w.folder / "purse.yaml", "run", "--total", "1USD", "--", *argv]
    return w.in_agent("outside", [sys.executable, "-c", CARRY.format(what=what, place=place), *run])


@pytest.mark.parametrize("what, text", [
    (f"tcp('{worlds.PROVIDER4}', 443)", f"a connection to {worlds.PROVIDER4} port 443"),
    (f"tcp('{worlds.PROVIDER6}', 443)", f"a connection to {worlds.PROVIDER6} port 443"),
    (f"tcp('{worlds.OTHER4}', 443)", f"a connection to {worlds.OTHER4} port 443"),
    (f"udp('{worlds.PROVIDER4}')", f"a connection to {worlds.PROVIDER4} port 443"),
    ("udp('127.0.0.1')", "a connection to 127.0.0.1 port 443"),
    ("socket.socket()", "an internet socket without a peer"),
    ("socket.create_server(('127.0.0.1', 0))", "an internet socket without a peer"),
    ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)", "an internet socket without a peer"),
    ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", f"a socket of family {int(socket.AF_PACKET)}"),
    ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", f"a socket of family {int(socket.AF_NETLINK)}"),
    ("ring()", "anon_inode:[io_uring]"),
    ("__import__('select').epoll()", "anon_inode:[eventpoll]"),
    ("os.open('/', os.O_RDONLY)", "a folder"),
    ("os.open('/', os.O_PATH)", "a folder"),
    (f"os.open('{worlds.CGROUPS}/cgroup.procs', os.O_WRONLY)", "a file of the cgroup tree"),
], ids=lambda v: None if " " in v and "(" not in v else v[:40])
def test_what_leads_past_the_gate_is_not_carried_in(world, what, text):
    place = "stdin"
    r = carry(world, what, place, "sh", "-c", "printf 'GET / HTTP/1.1\\r\\n\\r\\n' >&0; echo ran")
    assert r.returncode == 1 and f"{place} is {text}" in r.stderr and "give the command a pipe" in r.stderr, r.stdout + r.stderr
    assert "ran" not in r.stdout and not world.requests()
    assert [a["name"] for a in world.purse_json("status")["agents"]] == ["bot"]


@pytest.mark.parametrize("place", ["stdout", "stderr"])
def test_nor_as_stdout_or_stderr(world, place):
    r = carry(world, f"tcp('{worlds.PROVIDER4}', 443)", place, "sh", "-c", "echo ran; echo ran >&2")
    assert r.returncode == 1, r.stdout + r.stderr
    assert "ran" not in r.stdout and not world.requests()


@pytest.mark.parametrize("what", ["echo(socket.AF_INET, '127.0.0.1')", "echo(socket.AF_INET6, '::1')", "socket.socketpair()", "os.pipe()[:1]",
                                  "open('/dev/null')", "open('/etc/hosts')", "os.openpty()"])
def test_what_people_have_as_stdin_is(world, what):
    r = carry(world, what, "stdin", "echo", "ran")
    assert r.returncode == 0 and "ran" in r.stdout, r.stdout + r.stderr


def test_closed_ones_are_fine(world):
    r = purse_in(world, "outside", "run", "--total", "1USD", "--", "sh", "-c", "echo ran", wrap=("sh", "-c", '"$@" <&-', "sh"))
    assert r.returncode == 0 and "ran" in r.stdout, r.stderr


# ---- root

LEAVE = """
import glob, os
left = []
for root in glob.glob('/proc/[0-9]*/root') + glob.glob('/proc/[0-9]*/cwd') + glob.glob('/proc/[0-9]*/fd/*'):
    for up in ('', '/..', '/../..', '/../../..'):
        path = root + up + {mount!r} + {to!r} + '/cgroup.procs'
        try:
            with open(path, 'w') as f:
                f.write(str(os.getpid()))
            left.append(path)
        except OSError:
            pass
print('left by', left, open('/proc/self/cgroup').read().split('0::')[1])
"""


def test_a_root_child_does_not_leave_through_another_process(world):
    leave = LEAVE.format(mount=str(worlds.CGROUPS), to=f"/{world.name}/outside")
    r = purse_run(world, sys.executable, "-c", leave)
    assert "left by []" in r.stdout, r.stdout + r.stderr
    kept = purse_in(world, "outside", "run", "--total", "1USD", "--keep-cap", "SYS_PTRACE", "--", sys.executable, "-c", leave)
    assert "keeps SYS_PTRACE" in kept.stderr
    assert f"/{world.name}/outside" in kept.stdout, "the test does not test: " + kept.stdout + kept.stderr


def test_a_root_child_is_told_and_held(world):
    script = """
grep -E 'Cap(Prm|Eff|Bnd|Inh|Amb)' /proc/self/status
mount -t cgroup2 none /mnt && echo mounted
unshare -Urm sh -c 'mount -o remount,rw,bind MOUNT && echo rw'
unshare -UrmC sh -c 'mount -t cgroup2 none /mnt && echo below && ls -d /mnt/NAME && echo up'
nsenter -t $PPID -m true && echo entered
echo end""".replace("MOUNT", str(worlds.CGROUPS)).replace("NAME", world.name)
    r = purse_run(world, "sh", "-c", script)
    words = r.stdout.split()
    assert words[-1] == "end" and not {"mounted", "rw", "up", "entered"} & set(words), r.stdout + r.stderr
    for line in r.stdout.splitlines()[:5]:
        for bit in (12, 13, 16, 17, 19, 21, 38, 39):  # NET_ADMIN NET_RAW SYS_MODULE SYS_RAWIO SYS_PTRACE SYS_ADMIN PERFMON BPF
            assert not int(line.split()[1], 16) & (1 << bit), line
    assert "sh runs as root" in r.stderr and "use --user NAME" in r.stderr
    user = purse_in(world, "outside", "run", "--total", "1USD", "--user", "nobody", "--", "id", "-u")
    assert user.returncode == 0 and "runs as root" not in user.stderr and user.stdout.strip() != "0", user.stderr
    sudo = purse_in(world, "outside", "run", "--total", "1USD", "--", "true", env=world.agent_env(SUDO_USER="alice"))
    assert "use --user alice" in sudo.stderr


def test_a_file_handle_leads_to_the_read_only_mount(world):
    """CAP_DAC_READ_SEARCH, which root keeps, opens files by handle: of the mount that one can see."""
    code = f"""
import ctypes, os, struct
libc = ctypes.CDLL(None, use_errno=True)
handle = ctypes.create_string_buffer(struct.pack("Ii", 8, 0) + bytes(8))
assert libc.name_to_handle_at(-100, {os.fsencode(worlds.CGROUPS / world.name / 'outside/cgroup.procs')!r}, handle, ctypes.byref(ctypes.c_int()), 0) == 0
fd = libc.open_by_handle_at(os.open({str(worlds.CGROUPS)!r}, os.O_RDONLY), handle, os.O_WRONLY)
print(fd, os.strerror(ctypes.get_errno()))
"""
    r = purse_run(world, sys.executable, "-c", code)
    assert r.stdout.strip() == "-1 Read-only file system", r.stdout + r.stderr
    kept = purse_in(world, "outside", "run", "--total", "1USD", "--keep-cap", "SYS_ADMIN", "--", sys.executable, "-c", code)
    assert kept.stdout.split()[0] != "-1", "the test does not test: " + kept.stdout + kept.stderr
