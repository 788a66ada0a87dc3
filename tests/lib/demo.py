# SPDX-License-Identifier: Apache-2.0
"""The demo: a namespace of its own, a provider that is not one, and an agent in a loop with a budget of five cents a day. Needs no
Python package. tests/demo.sh starts it."""
import json
import shutil
import signal
import subprocess
import sys
import time

import world as worlds

BUDGET = "0.05USD"  # a day
# All that the agent is. Nothing in it knows of purse: no base URL, no proxy, no library.
AGENT = r"""while :; do
    curl -sS -w '\nHTTP %{http_code}\n' https://api.openai.com/v1/chat/completions \
        -H "authorization: Bearer $OPENAI_API_KEY" -H "content-type: application/json" \
        -d '{"model":"fake-large","max_tokens":'$LENGTH',"messages":[{"role":"user","content":"And what else?"}]}'
    sleep 0.15
done"""
CONNECT = "import socket; socket.create_connection(('198.51.100.10', 443))"
# What an agent might try instead; one line of Python each.
WAYS = [("straight to the address", CONNECT),
        ("by IPv6", "import socket; socket.create_connection(('2001:db8::10', 443))"),
        ("QUIC, that is UDP", "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.10', 443))"),
        ("MPTCP", "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)"),
        ("a raw socket", "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 6)"),
        ("from a child process", "import subprocess; subprocess.run(['curl', '-sS', '--noproxy', '*', 'https://198.51.100.10/'])")]


class Authority:
    """The test CA by the openssl command, so that the demo needs no Python package."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.path = folder / "ca.pem"
        self.openssl("req", "-x509", "-days", "2", "-subj", "/CN=demo provider CA", "-keyout", folder / "ca.key", "-out", self.path,
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")

    def openssl(self, command, *args):
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"] if command == "req" else []
        worlds.run("openssl", command, *key, *args)

    def leaf(self, stem, names):
        f = self.folder
        (f / "ext").write_text("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\nextendedKeyUsage=serverAuth\n"
                               "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:FALSE\n"
                               "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        self.openssl("req", "-subj", "/CN=" + names[0], "-keyout", f / "leaf.key", "-out", f / "leaf.csr")
        self.openssl("x509", "-req", "-in", f / "leaf.csr", "-CA", self.path, "-CAkey", f / "ca.key", "-CAcreateserial", "-days", "2",
                     "-extfile", f / "ext", "-out", f / "leaf.pem")
        return f / "leaf.pem", f / "leaf.key"


def say(text="", *more):
    print(text, *more, sep="\n", flush=True)


def title(text):
    say("", f"\033[1m{text}\033[0m" if sys.stdout.isatty() else text)


def indent(text):
    say("    " + text.strip().replace("\n", "\n    "))


def type_in(w, *args):
    """A command of the person who holds the purse, as it would be typed, and what it says."""
    say("", "    $ purse " + " ".join(args))
    r = w.purse(*args, check=False)
    indent(r.stdout + r.stderr)


def spent(w):
    day = w.account()["windows"]["day"]
    return f"spent ${day['spent']} of ${day['limit']}"


def last_line(text):
    return text.strip().splitlines()[-1] if text.strip() else "it got through!"


class Agent:
    """The loop, running. Ends when it is told to."""

    def __init__(self, w, answer, length):
        (w.folder / ".curlrc").write_text(f'header = "x-fake: in=200,out={answer}"\n')  # for the provider: how long it answers
        self.p = w.spawn("bot", ["bash", "-c", AGENT], env=w.agent_env(CURL_HOME=str(w.folder), LENGTH=str(length)), text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def answers(self):
        """(HTTP status, everything else that curl said) of call after call."""
        text = ""
        for line in self.p.stdout:
            if line.startswith("HTTP "):
                yield int(line[5:]), text
                text = ""
            else:
                text += line

    def end(self):
        self.p.kill()
        self.p.wait()


def run_agent(w, answer, length, first=1):
    """Until a call does not get its answer. Number of the next call, status and text of the one that failed."""
    agent = Agent(w, answer, length)
    try:
        for number, (status, text) in enumerate(agent.answers(), first):
            if status != 200:
                return number, status, text
            w.quiet()
            say(f"    call {number:2}: HTTP 200, {spent(w)}")
    finally:
        agent.end()


def next_call(w, number):
    status, _, _ = w.chat(model="fake-large", max_tokens=20)
    w.quiet()
    say(f"    call {number:2}: HTTP {status}, {spent(w)}")


def story(w):
    title("1. An agent in a cgroup of its own, with a budget. This is all of it; it knows nothing of purse:")
    say("")
    indent(AGENT)
    type_in(w, "agent", "add", "bot", "--cgroup", f"/{w.name}/bot", "--day", BUDGET, "--exhausted-below", "0.001USD")
    type_in(w, "status")

    title("2. It runs away.")
    say("")
    number, status, text = run_agent(w, answer=120, length=200)

    title(f"3. Call {number} might have cost more than is left. It was not forwarded; this is what an SDK would show, HTTP {status}:")
    say("")
    indent(json.dumps(json.loads(text), indent=2))

    title("4. It asks for shorter answers, which still fit. Then there is not even a connection: the kernel says EDQUOT.")
    say("")
    number, _, text = run_agent(w, answer=15, length=20, first=number + 1)
    say(f"    call {number:2}: {last_line(text)}")
    say("    connect(2) says: " + last_line(w.python("bot", CONNECT).stderr))

    title("5. Ways round it, tried from inside the agent's cgroup:")
    say("")
    for name, code in WAYS:
        say(f"    {name + ':':25}{last_line(w.python('bot', code).stderr)}")
    say("", "    $ purse events      (the last three)")
    indent("\n".join(w.purse("events").stdout.splitlines()[-3:]))

    title("6. A person raises the budget; the next call works. Then the daemon is killed with -9: no daemon, no calls.")
    type_in(w, "agent", "set", "bot", "--day", "0.10USD")
    next_call(w, number + 1)
    w.kill9()
    _, _, r = w.chat(model="fake-large", max_tokens=20)
    say(f"    daemon killed:   {last_line(r.stderr)}")
    say("    connect(2) says: " + last_line(w.python("bot", CONNECT).stderr))

    title("7. Started again: the same balance, and kernel and ledger agree.")
    w.start()
    type_in(w, "status")
    type_in(w, "ledger", "--limit", "4")
    type_in(w, "audit")
    say("", f"    The provider received {len(w.requests())} calls and billed ${w.billed() / 1e9}; the ledger has {len(w.ledger())}, for ${w.charged() / 1e9}.")
    if w.billed() != w.charged():
        raise AssertionError("the demo's provider and the ledger disagree")


def main():
    for tool in ("curl", "openssl", "ip", "nsenter"):
        if not shutil.which(tool):
            sys.exit(f"the demo needs {tool}; deploy/install-deps.sh installs what is missing")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we made goes on any end
    worlds.sweep()
    w = worlds.World(authority=Authority, agents=[])
    try:
        w.start()
        story(w)
    finally:
        w.close()


if __name__ == "__main__":
    begun = time.monotonic()
    main()
    say("", f"({time.monotonic() - begun:.0f} s. The demo's namespace, cgroups, pins and folders are gone.)", "",
        "Your own agent, with your own key:     build/purse run --day 5USD -- python3 my_agent.py",
        "This demo against the real endpoint:   REAL=1 OPENAI_API_KEY=... make demo      (spends at most $0.05)")
