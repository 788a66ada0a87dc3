# SPDX-License-Identifier: Apache-2.0
"""Looks at a world from outside: the ledger's file by SQLite, the pinned maps by the kernel, the provider's own log. Uses nothing of purse's
code, neither its commands nor its control socket. Invariants by number, as docs/faults.md lists them:

    1  spent + held <= limit in every window of every account of the kernel's map
    2  the map's spent = sum of the ledger's rows of the account and all below it; its held = sum of the open holds
    3  a call id ends once; a provider's request id stands in one row
    7  what the provider billed is in the ledger: as many rows as requests, the same tokens, not a nano-dollar less
    9  a call that nobody saw the end of is charged at its whole hold
    11 no key and no prompt in the ledger, its log or anything else under the state folder

8 (no gap) and 10 (bytes) need a witness while they happen: `no_gap` and `delivered`.
"""
import contextlib
import ctypes
import hashlib
import mmap
import os
import pathlib
import sqlite3
import struct

NO_LIMIT = 0x7fffffffffffffff
WINDOWS = ("hour", "day", "week", "month", "total")
ACCOUNT = struct.Struct("=48sIIq" + "qqqqq" * 5 + "QQ")
HOLD = struct.Struct("=IIQqqqQIHHB7x16s80s32s")
FREE, HELD, SENT, CHARGED = range(4)
CANARIES = (b"sk-canary-openai", b"sk-canary-anthropic", b"canary-prompt")
BPF_OBJ_GET, SYS_BPF = 7, {"x86_64": 321, "aarch64": 280}[os.uname().machine]


def pinned(path):
    """The bytes of an array map that can be mapped."""
    name = ctypes.create_string_buffer(str(path).encode())
    attr = ctypes.create_string_buffer(struct.pack("=QII", ctypes.addressof(name), 0, 0), 64)
    fd = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, BPF_OBJ_GET, attr, 16)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    try:
        info = dict(line.split(":", 1) for line in open(f"/proc/self/fdinfo/{fd}").read().splitlines())
        size = int(info["value_size"]) * int(info["max_entries"])
        page = mmap.PAGESIZE
        with mmap.mmap(fd, (size + page - 1) // page * page, mmap.MAP_SHARED, mmap.PROT_READ) as m:
            return m[:size]
    finally:
        os.close(fd)


def text(raw):
    return raw.partition(b"\0")[0].decode()


class Account:
    def __init__(self, index, raw):
        name, self.parent, self.flags, self.floor, *rest = ACCOUNT.unpack(raw)
        self.index, self.name = index, text(name)
        self.windows = {k: dict(zip(("left", "held", "limit", "start_s", "end_s"), rest[5 * i:5 * i + 5])) for i, k in enumerate(WINDOWS)}
        for w in self.windows.values():
            w["spent"] = w["limit"] - w["left"]


class Checker:
    def __init__(self, world):
        self.w = world

    # ---- the three sources
    def rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.w.state}/ledger.db?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(r) for r in db.execute("SELECT * FROM calls ORDER BY call_id")]

    def places(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.w.state}/ledger.db?mode=ro", uri=True)) as db:
            return dict(db.execute("SELECT account, parent FROM places"))

    def open_calls(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.w.state}/ledger.db?mode=ro", uri=True)) as db:
            return db.execute("SELECT count(*) FROM open_calls").fetchone()[0]

    def accounts(self):
        data = pinned(self.w.pins / "maps/accounts")
        all_ = (Account(i // ACCOUNT.size, data[i:i + ACCOUNT.size]) for i in range(0, len(data), ACCOUNT.size))
        return {a.index: a for a in all_ if a.flags & 1}

    def holds(self):
        data = pinned(self.w.pins / "maps/holds")
        found = []
        for i in range(0, len(data), HOLD.size):
            state, account, call_id, amount, cost, started, *_ = HOLD.unpack_from(data, i)
            if state != FREE:
                found.append(dict(state=state, account=account, call_id=call_id, amount=amount, cost=cost, started_ns=started))
        return found

    # ---- invariants
    def living(self, name, by_name, places):
        for _ in range(64):
            if not name or name in by_name:
                return by_name.get(name)
            name = places.get(name)
        return None

    def money(self, over=()):
        """1 and 2. `over`: accounts whose spent may stand above the limit, since it was cut or a provider billed too much."""
        accounts, rows, holds, places = self.accounts(), self.rows(), self.holds(), self.places()
        by_name = {a.name: a for a in accounts.values()}
        assert len(by_name) == len(accounts)
        known = {r["call_id"] for r in rows}
        should = {i: {k: [0, 0] for k in WINDOWS} for i in accounts}

        def add(account, started_ns, which, amount):
            for _ in range(9):
                if account is None:
                    return
                for k, w in account.windows.items():
                    if w["start_s"] <= started_ns // 10**9 and (w["end_s"] == 0 or started_ns // 10**9 < w["end_s"]):
                        should[account.index][k][which] += amount
                account = accounts.get(account.parent)
        for r in rows:
            add(self.living(r["account"], by_name, places), r["started_ns"], 0, r["cost_nanousd"])
        for h in holds:
            if h["state"] == CHARGED and h["call_id"] not in known:
                add(accounts.get(h["account"]), h["started_ns"], 0, h["cost"])
            elif h["state"] in (HELD, SENT):
                add(accounts.get(h["account"]), h["started_ns"], 1, h["amount"])
        for a in accounts.values():
            for k, w in a.windows.items():
                assert [w["spent"], w["held"]] == should[a.index][k], (a.name, k, w, should[a.index][k])
                assert w["limit"] == NO_LIMIT or a.name in over or w["spent"] + w["held"] <= w["limit"], (a.name, k, w)
        return accounts

    def once(self):
        """3"""
        rows = self.rows()
        ids = [r["request_id"] for r in rows if r["request_id"]]
        assert len(ids) == len(set(ids)), "a request of the provider stands in two rows"
        assert len({r["call_id"] for r in rows}) == len(rows)

    def truth(self, unseen=False):
        """7. unseen: calls may have been charged that never reached the provider (the daemon was killed between the two)."""
        rows, bills = self.rows(), self.w.bills()
        by_id = {r["request_id"]: r for r in rows if r["request_id"]}
        for b in bills:
            row = by_id.get(b["id"])
            if row is None:
                continue
            assert row["cost_nanousd"] >= b["bill"], (row, b)
            if not row["estimated"]:
                assert row["cost_nanousd"] == b["bill"], (row, b)
            if not row["estimated"] and b["bill"]:  # an error that is free says no tokens
                assert (row["input"], row["output"]) == (b["usage"]["input"], b["usage"]["output"]), (row, b)
        assert len(rows) >= len(bills) if unseen else len(rows) == len(bills), (len(rows), len(bills))
        assert sum(r["cost_nanousd"] for r in rows) >= sum(b["bill"] for b in bills)

    def orphans(self):
        """9"""
        for r in self.rows():
            if r["end"] in ("orphan", "power-cut"):
                assert r["estimated"] and r["cost_nanousd"] == r["held_nanousd"], r

    def secrets(self):
        """11"""
        for path in [*self.w.state.rglob("*"), self.w.daemon_log]:
            if path.is_file():
                data = path.read_bytes()
                for canary in CANARIES:
                    assert canary not in data, f"{canary} in {path}"

    def no_gap(self, attempt):
        """8: `attempt` runs while no daemon enforces; nothing of it may reach the provider."""
        before = len(self.w.records())
        attempt()
        after = self.w.records()[before:]
        assert not [r for r in after if "conn" in r or "request" in r], after

    def delivered(self, body, bill):
        """10: the agent's bytes are the provider's."""
        assert hashlib.sha256(body).hexdigest() == bill["sent"]

    def check(self, over=(), unseen=False):
        """Everything, in a world that is quiet (a daemon is there, nothing is in flight)."""
        self.w.quiet()
        accounts = self.money(over)
        assert not self.holds() and not self.open_calls()
        assert all(w["held"] == 0 for a in accounts.values() for w in a.windows.values())
        self.once()
        self.truth(unseen)
        self.orphans()
        self.secrets()
        self.w.audit()  # and purse's own audit says the same
        return self


def check(world, **how):
    return Checker(world).check(**how)
