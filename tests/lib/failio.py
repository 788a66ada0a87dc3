# SPDX-License-Identifier: Apache-2.0
"""The test's side of failio.c: orders to a daemon that was started with it.

    f = FailIO(folder)            w.start(env=f.env())
    f.sync(3)                     the third sync of the ledger's files from now fails with EIO
    f.write(1, 10**6, ENOSPC, match="-wal")
    f.clock(3600)                 its time of day is an hour ahead
    f.well()                      nothing fails any more
"""
import errno
import mmap
import pathlib
import struct
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ORDER, KINDS = struct.Struct("=QQqQQ"), ("write", "sync", "alloc")
CLOCK_AT, MATCH_AT, SIZE = 3 * 40, 3 * 40 + 16, 3 * 40 + 16 + 64


class FailIO:
    def __init__(self, folder):
        self.library, self.file = pathlib.Path(folder) / "failio.so", pathlib.Path(folder) / "failio.orders"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-D_GNU_SOURCE", "-o", self.library, HERE / "failio.c", "-ldl"], check=True)
        self.file.write_bytes(b"\0" * SIZE)
        with open(self.file, "r+b") as f:
            self.page = mmap.mmap(f.fileno(), SIZE)
        self.match("ledger.db")

    def env(self):
        return {"LD_PRELOAD": str(self.library), "PURSE_FAILIO": str(self.file)}

    def match(self, text):
        self.page[MATCH_AT:SIZE] = text.encode().ljust(64, b"\0")

    def order(self, kind, n, times=1, error=errno.EIO):
        at = KINDS.index(kind) * ORDER.size
        _, _, _, seen, _ = ORDER.unpack_from(self.page, at)
        struct.pack_into("=QqQQ", self.page, at + 8, times, error, seen, 0)
        struct.pack_into("=Q", self.page, at, n)

    def write(self, n, times=1, error=errno.EIO, match="ledger.db"):
        self.match(match)
        self.order("write", n, times, error)

    def sync(self, n, times=1, error=errno.EIO):
        self.order("sync", n, times, error)

    def alloc(self, n, least=64, times=1):
        struct.pack_into("=Q", self.page, CLOCK_AT + 8, least)
        self.order("alloc", n, times, errno.ENOMEM)

    def well(self):
        for kind in KINDS:
            struct.pack_into("=QQ", self.page, KINDS.index(kind) * ORDER.size, 0, 1)

    def failed(self, kind):
        return ORDER.unpack_from(self.page, KINDS.index(kind) * ORDER.size)[4]

    def clock(self, seconds):
        struct.pack_into("=q", self.page, CLOCK_AT, int(seconds * 10**9))
