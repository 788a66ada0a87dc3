# SPDX-License-Identifier: Apache-2.0
"""A name server for tests, over UDP and TCP. Run: dns_server.py ADDRESS ZONE LOG

ZONE is JSON, read anew for every question: {"name": {"A": ["…"], "AAAA": ["…"], "CNAME": "other", "ttl": 60, "rcode": 2, "silent": true}}.
CNAMEs are followed within it. A name that is not there is NXDOMAIN. LOG gets one line a question: TIME NAME TYPE PROTOCOL.
"""
import ipaddress
import json
import socket
import socketserver
import struct
import sys
import threading
import time

A, CNAME, AAAA = 1, 5, 28
TYPES = {A: "A", AAAA: "AAAA"}
UDP_MAX = 512
LOCK = threading.Lock()


def pack_name(name):
    return b"".join(bytes([len(p)]) + p.encode() for p in name.split(".") if p) + b"\0"


def read_question(packet):
    at, labels = 12, []
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    kind, _ = struct.unpack_from("!HH", packet, at + 1)
    return ".".join(labels).lower(), kind, packet[12:at + 5]


def record(name, kind, ttl, data):
    return pack_name(name) + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


def answers(zone, name, kind):
    """-> (rcode, records), None = no answer at all."""
    out = []
    for _ in range(16):
        entry = zone.get(name)
        if entry is None:
            return 3, out
        if entry.get("silent"):
            return None
        if entry.get("rcode"):
            return entry["rcode"], out
        ttl = entry.get("ttl", 60)
        if "CNAME" in entry:
            out.append(record(name, CNAME, ttl, pack_name(entry["CNAME"])))
            name = entry["CNAME"]
            continue
        out += [record(name, kind, ttl, ipaddress.ip_address(a).packed) for a in entry.get(TYPES.get(kind, ""), [])]
        break
    return 0, out


def answer(packet, protocol):
    name, kind, question = read_question(packet)
    with LOCK:
        with open(LOG, "a") as f:
            f.write(f"{time.time():.3f} {name} {TYPES.get(kind, kind)} {protocol}\n")
        zone = json.load(open(ZONE))
    got = answers(zone, name, kind)
    if got is None:
        return None
    rcode, records = got
    flags = 0x8180 | rcode
    body = question + b"".join(records)
    if protocol == "udp" and 12 + len(body) > UDP_MAX:
        flags, records, body = flags | 0x0200, [], question
    return packet[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + body


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        packet, s = self.request
        reply = answer(packet, "udp")
        if reply:
            s.sendto(reply, self.client_address)


class Tcp(socketserver.BaseRequestHandler):
    def handle(self):
        while len(head := self.request.recv(2, socket.MSG_WAITALL)) == 2:
            reply = answer(self.request.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL), "tcp")
            if reply is None:
                return
            self.request.sendall(struct.pack("!H", len(reply)) + reply)


if __name__ == "__main__":
    ADDRESS, ZONE, LOG = sys.argv[1:4]
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    udp = socketserver.ThreadingUDPServer((ADDRESS, 53), Udp)
    tcp = socketserver.ThreadingTCPServer((ADDRESS, 53), Tcp)
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    print("ready", flush=True)
    udp.serve_forever()
