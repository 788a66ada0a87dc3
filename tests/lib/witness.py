# SPDX-License-Identifier: Apache-2.0
"""Every packet on the loopback device of a network namespace, for tests that must know of more than the connections which a provider
accepts: datagrams, packets by hand, a SYN that nobody answered. Reads headers only; follows no fragments."""
import collections
import ctypes
import ipaddress
import os
import socket
import struct
import threading

CLONE_NEWNET = 0x40000000
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
SOL_PACKET, PACKET_STATISTICS, PACKET_OUTGOING = 263, 6, 4
EXTENSIONS = {0, 43, 60}  # IPv6 headers that another one follows

Packet = collections.namedtuple("Packet", "src dst protocol sport dport")


def parse(kind, data):
    """kind: of Ethernet. None: neither IPv4 nor IPv6."""
    if kind == ETH_P_IP and len(data) >= 20:
        src, dst, protocol, at = data[12:16], data[16:20], data[9], (data[0] & 15) * 4
    elif kind == ETH_P_IPV6 and len(data) >= 40:
        src, dst, protocol, at = data[8:24], data[24:40], data[6], 40
        while protocol in EXTENSIONS and len(data) >= at + 8:
            protocol, at = data[at], at + 8 + data[at + 1] * 8
    else:
        return None
    ports = struct.unpack_from("!HH", data, at) if protocol in (6, 17, 136) and len(data) >= at + 4 else (0, 0)
    return Packet(str(ipaddress.ip_address(src)), str(ipaddress.ip_address(dst)), protocol, *ports)


class Witness:
    def __init__(self, netns):
        """netns: path of the namespace. The socket is made by a thread that goes there, and stays."""
        self.socket = self.error = None
        thread = threading.Thread(target=self._open, args=(netns,))
        thread.start()
        thread.join()
        if self.error:
            raise self.error

    def _open(self, netns):
        try:
            fd = os.open(netns, os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"setns {netns}")
            os.close(fd)
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE if hasattr(socket, "SO_RCVBUFFORCE") else 33, 1 << 24)
            self.socket.setblocking(False)
        except OSError as e:
            self.error = e

    def packets(self):
        """Since the last call. What was sent before is in: the kernel shows a packet before it delivers it."""
        found = []
        while True:
            try:
                data, (_, kind, direction, _, _) = self.socket.recvfrom(256)
            except BlockingIOError:
                break
            packet = parse(kind, data)
            if packet and direction == PACKET_OUTGOING:
                found.append(packet)
        _, lost = struct.unpack("II", self.socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        assert not lost, f"{lost} packets went by unseen"
        return found

    def close(self):
        self.socket.close()
