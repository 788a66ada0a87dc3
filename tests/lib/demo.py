# SPDX-License-Identifier: Apache-2.0
"""The demo: a namespace of its own, a provider that is not one, and an agent in a loop with a budget of two cents a day."""
import json
import subprocess
import sys
import time

import world as worlds

BUDGET = "0.02USD"


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


def title(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(r):
    print("    " + "\n    ".join((r.stdout + r.stderr).strip().splitlines()), flush=True)


def cents(w):
    day = w.account()["windows"]["day"]
    return f"spent ${day['spent']} of ${day['limit']}"


def main():
    worlds.sweep()
    w = worlds.World(authority=Authority, agents=[{"name": "bot", "day": BUDGET, "exhausted_below": "0.004USD"}])
    try:
        title(f"1. An agent \"bot\" in its own cgroup, {BUDGET} a day. It knows nothing of purse: curl, https://api.openai.com, no base URL.")
        w.start()
        show(w.purse("status"))

        title("2. It runs wild: the same call in a loop.")
        for i in range(1, 100):
            status, text, r = w.chat(model="fake-large", max_tokens=200, fake="in=200,out=120")
            if status != 200:
                break
            w.quiet()
            print(f"    call {i:2}: HTTP {status}, {cents(w)}", flush=True)
        title("3. Stopped, before the money is spent. The kernel refuses the connection:")
        print("    " + r.stderr.strip())
        r = w.python("bot", "import socket\nsocket.create_connection(('198.51.100.10', 443))")
        print("    connect(2) says: " + r.stderr.strip().splitlines()[-1])
        # glibc tries a UDP connect to each address in order to sort them; those denials are left out here.
        for line in w.purse("events").stdout.splitlines():
            if "/tcp" in line:
                print("    " + line)

        title("4. A connection that is still open, or an agent with on_exhausted: explain, gets 402 in the provider's own shape:")
        w.purse("agent", "set", "bot", "--on-exhausted", "explain")
        _, text, _ = w.chat(model="fake-large", max_tokens=200)
        show(subprocess.CompletedProcess([], 0, json.dumps(json.loads(text), indent=2), ""))
        w.purse("agent", "set", "bot", "--on-exhausted", "refuse")

        title("5. No way round: another address family, UDP, a straight connection to the provider's address.")
        for name, code in [("IPv6", "socket.create_connection(('2001:db8::10', 443))"),
                           ("QUIC/UDP", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('198.51.100.10', 443))"),
                           ("MPTCP", "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)")]:
            r = w.python("bot", "import socket\n" + code)
            print(f"    {name:9} {r.stderr.strip().splitlines()[-1] if r.stderr else 'got through!'}")

        title("6. kill -9 the daemon: closed, not open. Start it again: the same balance.")
        before = cents(w)
        w.kill9()
        r = w.python("bot", "import socket\nsocket.create_connection(('198.51.100.10', 443))")
        print("    daemon dead:    " + r.stderr.strip().splitlines()[-1])
        w.start()
        print("    before:         " + before)
        print("    after restart:  " + cents(w))

        title("7. The ledger (SQLite), and the proof that kernel map and ledger agree:")
        show(w.purse("ledger", "--limit", "5"))
        show(w.purse("audit"))
        print(f"    The provider billed ${w.billed() / 1e9:.9f}, the ledger says ${w.charged() / 1e9:.9f}.")
        assert w.billed() == w.charged()

        title("The kernel's own view:")
        bpftool = worlds.shutil.which("bpftool") or "/usr/sbin/bpftool"
        print(f"    {bpftool} map dump pinned /sys/fs/bpf/purse/maps/accounts   (here: {w.pins}/maps/accounts)")
        rows = json.loads(worlds.run(bpftool, "-j", "map", "dump", "pinned", f"{w.pins}/maps/agents").stdout)
        print("    " + json.dumps(rows[0].get("formatted", rows[0])))
    finally:
        w.close()
    print("\nOn your own agent, with your own key:  build/purse run --day 5USD -- python3 my_agent.py"
          "\nThis demo on the real endpoint:        REAL=1 OPENAI_API_KEY=… make demo")


if __name__ == "__main__":
    start = time.monotonic()
    main()
    print(f"\n({time.monotonic() - start:.0f} s; namespace, cgroups, pins and folders of the demo are gone)")
