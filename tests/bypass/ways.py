# SPDX-License-Identifier: Apache-2.0
"""The table of ways round the gate, for test_ways.py. Each row: what an agent tries, how that must end, and what `purse events` must tell
of it. The same ways without a daemon, verdict by verdict, are in tests/bpf/; on a user's own node they are tried by `purse doctor --bypass`.

A way ends as `refused: ERRNO`, or as `captured`: connected to the daemon, which looks at what is said. To plain HTTP it answers 403 and
forwards nothing; that is a denial, too, and told as one.
"""
import typing

import world as worlds

V4, V6 = worlds.PROVIDER4, worlds.PROVIDER6
# Nobody's: 98 has no listener, 97 not even a device.
NOBODY, NOWHERE4, NOWHERE6 = "198.51.100.98", "198.51.100.97", "2001:db8::97"
NAT64 = "64:ff9b::c633:640a"  # V4, as NAT64 has it


class Way(typing.NamedTuple):
    body: str  # of a function; what it returns, or the OSError that it ends with, is the end
    end: str  # pattern
    reason: str | None = None  # in `purse events`; None: nothing was denied
    about: dict = {}  # what else that event says: dst, dport, protocol; its errno is the one that the agent got
    socket: tuple | None = None  # of a kind that the kernel may not have: what to ask for, to see
    needs_lsm: bool = False  # of a family that no other hook sees


# Every way defines way(); it says how it ended.
TOOLS = f"""
import array, ctypes, errno, os, socket, struct, sys, threading, time
V4, V6 = {V4!r}, {V6!r}
PATIENCE = {worlds.PATIENCE}
libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0: raise OSError(ctypes.get_errno(), 'libc')
    return result
def named(comm): checked(libc.prctl(15, comm.encode(), 0, 0, 0))
def talk(s):
    try:
        s.settimeout(4 * PATIENCE)
        s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        got = s.recv(100)
        return "answered" if got and not got.startswith(b"HTTP/1.1 403") else "captured"
    except (ConnectionError, BrokenPipeError): return "captured"
    except socket.timeout: return "silent"
def tcp(family, to, kind=socket.SOCK_STREAM, proto=0):
    s = socket.socket(family, kind, proto)
    s.connect(to)
    return talk(s)
def udp(to, family=socket.AF_INET, option=None, connect_to=None):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if option: s.setsockopt(*option)
    if connect_to: s.connect(connect_to)
    s.sendto(b'x', to)
    return 'sent'
def tls(to, name, wait=0):
    import ssl
    c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
    s = socket.create_connection(to, timeout=5 * PATIENCE)
    time.sleep(wait)
    try: s = c.wrap_socket(s, server_hostname=name)
    except (ssl.SSLError, OSError): return 'captured'
    return 'terminated by purse' if b'purse issuer' in s.getpeercert(True) else 'reached it'
# RFC 791: loose or strict source route, by way of an address that connect and sendmsg are not shown.
def source_route(kind, by): return socket.IPPROTO_IP, 4, bytes([kind, 7, 4]) + socket.inet_aton(by) + b'\\0'
# RFC 8754: segments stand in reverse, the wire goes to the last of them.
def segment_route(*segments):
    raw = b''.join(socket.inet_pton(socket.AF_INET6, s) for s in segments)
    n = len(segments)
    return socket.IPPROTO_IPV6, 57, struct.pack('!BBBBBBH', 0, 2 * n, 4, n - 1, n - 1, 0, 0) + raw
# A program of the agent's own on a cgroup below its own, and into that. insns: what it does before it allows.
def own_program(cgroup, attach_type, insns, flags=0):
    d = cgroup + '/own-%d' % os.getpid(); os.makedirs(d)
    def insn(code, dst=0, src=0, off=0, imm=0): return struct.pack('<BBhi', code, src << 4 | dst, off, imm)
    code = insn(0xbf, 6, 1) + b''.join(insn(*i) for i in insns) + insn(0xb7, 0, imm=1) + insn(0x95)
    text, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b'GPL')
    def bpf(command, attr): return checked(libc.syscall(321, command, ctypes.create_string_buffer(attr, 128), 128))
    fd = bpf(5, struct.pack('<IIQQIIQII16sII', 18, len(code) // 8, ctypes.addressof(text), ctypes.addressof(licence), 0, 0, 0, 0, 0, b'', 0, attach_type))
    bpf(8, struct.pack('<IIII', os.open(d, os.O_RDONLY), fd, attach_type, 2 | flags))
    open(d + '/cgroup.procs', 'w').write(str(os.getpid()))
CONNECT4, SENDMSG4, PREORDER = 10, 14, 64
SAY_YES = [(0xb7, 1), (0x85, 0, 0, 0, 187)]  # bpf_set_retval(0)
GO_TO_THE_LLM = [(0xb4, 2, 0, 0, struct.unpack('<i', socket.inet_aton(V4))[0]), (0x63, 6, 2, 4), (0xb4, 2, 0, 0, socket.htons(443)), (0x63, 6, 2, 24)]
"""

TO4, TO6 = {"dst": V4, "dport": 443, "protocol": "tcp"}, {"dst": V6, "dport": 443, "protocol": "tcp"}


def http(body, about=TO4, end="captured"):
    """Ends at the daemon, with plain HTTP."""
    return Way(body, end, "plain-http", about)


def udp(body, dst=V4, dport=443):
    return Way(body, "refused: EACCES", "udp", {"dst": dst, "dport": dport, "protocol": "udp"})


def packet(body, dst=None, end="refused: EPERM"):
    """Seen on its way out, or never."""
    return Way(body, end, "egress", {"dst": dst} if dst else {})


def kind(*args, needs_lsm=False, body="return 'made'", protocol=None):
    """A socket that agents do not get."""
    about = {"protocol": protocol or str(args[2])}
    return Way(f"s = socket.socket{args}; {body}", "refused: EPERM", "socket-type", about, args, needs_lsm)


STREAM, DGRAM, RAW, SEQPACKET = 1, 2, 3, 5
INET, INET6, RDS, TIPC, VSOCK, PACKET, KCM, SMC, XDP = 2, 10, 21, 30, 40, 17, 41, 43, 44

WAYS = {
    # ---- TCP
    "tcp over v4": http("return tcp(socket.AF_INET, (V4, 443))"),
    "tcp over v6": http("return tcp(socket.AF_INET6, (V6, 443))", TO6),
    "tcp over v4-mapped v6": http("return tcp(socket.AF_INET6, ('::ffff:' + V4, 443))"),
    "tcp over nat64": http(f"return tcp(socket.AF_INET6, ({NAT64!r}, 443))", dict(TO6, dst=NAT64)),
    "another port of an LLM address": http("return tcp(socket.AF_INET, (V4, 8443))", dict(TO4, dport=8443)),
    "fast open": http("s = socket.socket(); s.sendto(b'GET / HTTP/1.0\\r\\n\\r\\n', 0x20000000, (V4, 443)); return talk(s)"),
    "fast open connect": http("s = socket.socket(); s.setsockopt(6, 30, 1); s.connect((V4, 443)); return talk(s)"),
    "disconnect and connect again": http("""s = socket.socket(); s.connect(('127.0.0.1', %(port)d))
    checked(libc.connect(s.fileno(), struct.pack('HHLQ', 0, 0, 0, 0), 16))
    s.connect((V4, 443)); return talk(s)"""),
    "from a nested cgroup": http("""d = %(cgroup)r + '/deep/er'; os.makedirs(d, exist_ok=True); open(d + '/cgroup.procs', 'w').write(str(os.getpid()))
    return tcp(socket.AF_INET, (V4, 443))"""),
    "from a thread": http("""ends = []
    def way(): named(%(comm)r); ends.append(tcp(socket.AF_INET, (V4, 443)))
    t = threading.Thread(target=way); t.start(); t.join(); return ends[0]"""),
    "from a chosen source address": http("s = socket.socket(); s.bind(('198.51.100.99', 0)); s.connect((V4, 443)); return talk(s)"),
    "bound to a device": http("s = socket.socket(); s.setsockopt(1, 25, b'lo\\0'); s.connect((V4, 443)); return talk(s)"),
    "straight to the egress port": Way("return tcp(socket.AF_INET, ('127.0.0.1', %(port)d))", "captured"),
    "straight to the egress port of no address": Way("return tcp(socket.AF_INET, ('0.0.0.0', %(port)d))", "captured"),
    "the egress port taken": Way("s = socket.socket(); s.setsockopt(1, 15, 1); s.bind(('127.0.0.1', %(port)d)); return 'bound'",
                                 "refused: EADDRINUSE", "our-port", {"dst": "127.0.0.1", "protocol": "tcp"}),
    "from a network namespace of its own": Way("checked(libc.unshare(0x40000000)); return tcp(socket.AF_INET, (V4, 443))",
                                               "refused: EACCES", "netns", TO4),
    "from a user namespace of its own": Way("checked(libc.unshare(0x50000000)); return tcp(socket.AF_INET, (V4, 443))",
                                            "refused: EACCES", "netns", TO4),
    # ---- what is said in TLS
    "a name that is no LLM host at its address": Way("return tls((V4, 443), 'other.test')", "captured", "other-name", TO4),
    "no name in TLS": Way("return tls((V4, 443), None)", "captured", "no-name", TO4),
    "an LLM name at another address": Way(f"return tls(({NOBODY!r}, 443), 'api.openai.com')", "terminated by purse"),
    # By then nobody would look.
    "an LLM name said after a silence": Way(f"return tls(({worlds.OTHER4!r}, 443), 'api.openai.com', wait=8)", "captured", "late-hello",
                                            {"dst": worlds.OTHER4, "dport": 443, "protocol": "tcp"}),
    # ---- UDP
    "udp connect": udp("s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect((V4, 443)); s.send(b'x'); return 'sent'"),
    "udp connect over v6": udp("s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.connect((V6, 443)); s.send(b'x'); return 'sent'", V6),
    "udp sendto": udp("return udp((V4, 443))"),
    "udp sendto over v6": udp("return udp((V6, 443), socket.AF_INET6)", V6),
    "udp sendto v4-mapped": udp("return udp(('::ffff:' + V4, 443), socket.AF_INET6)"),
    "udp sendto nat64": udp(f"return udp(({NAT64!r}, 443), socket.AF_INET6)", NAT64),
    "udp to any port of an LLM address": udp("return udp((V4, 53))", dport=53),
    "udp 443 to anybody": udp("return udp(('198.51.100.99', 443))", worlds.OTHER4),
    "udp connected elsewhere": udp("return udp((V4, 443), connect_to=('198.51.100.99', 9))"),
    "udp without a family": udp("""s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    to = struct.pack('=H', 0) + struct.pack('!H', 443) + socket.inet_aton(V4) + bytes(8)
    checked(libc.sendto(s.fileno(), b'x', 1, 0, to, 16)); return 'sent'"""),
    # ---- another address on the wire than in the call
    "udp with a loose source route": packet(f"return udp(({NOWHERE4!r}, 9), option=source_route(131, V4))"),
    "udp with a strict source route": packet(f"return udp(({NOWHERE4!r}, 9), option=source_route(137, V4))"),
    "tcp with a source route": packet(f"s = socket.socket(); s.settimeout(2); s.setsockopt(*source_route(131, V4)); s.connect(({NOWHERE4!r}, 9)); return talk(s)",
                                      end="refused: (EPERM|timed out)"),
    "udp with a segment route": packet(f"return udp(({NOWHERE6!r}, 9), socket.AF_INET6, segment_route({NOWHERE6!r}, V6))"),
    "tcp with a segment route": packet(f"s = socket.socket(socket.AF_INET6); s.settimeout(2); s.setsockopt(*segment_route({NOWHERE6!r}, V6)); s.connect(({NOWHERE6!r}, 9)); return talk(s)",
                                       end="refused: (EPERM|timed out)"),
    # ---- programs of the agent's own, below the gate
    "an own program that says yes": udp("own_program(%(cgroup)r, SENDMSG4, SAY_YES); return udp((V4, 443))"),
    "an own program that says yes before all others": udp("""try: own_program(%(cgroup)r, SENDMSG4, SAY_YES, PREORDER)
    except OSError as e:
        if e.errno == errno.EINVAL: return 'no BPF_F_PREORDER'
        raise
    return udp((V4, 443))"""),
    "an own program that goes elsewhere": http(f"own_program(%(cgroup)r, CONNECT4, GO_TO_THE_LLM); return tcp(socket.AF_INET, ({NOWHERE4!r}, 9))"),
    "an own program that sends elsewhere": udp(f"own_program(%(cgroup)r, SENDMSG4, GO_TO_THE_LLM); return udp(({NOWHERE4!r}, 9))"),
    # ---- sockets that the other hooks cannot see through
    "raw tcp": kind(INET, RAW, 6, body="s.sendto(b'x' * 20, (V4, 0)); return 'sent'", protocol="tcp"),
    "raw ip": kind(INET, RAW, 255),
    "raw icmp": kind(INET, RAW, 1, protocol="icmp"),
    "raw tcp over v6": kind(INET6, RAW, 6, protocol="tcp"),
    "ping socket": kind(INET, DGRAM, 1, body="s.sendto(b'\\x08\\0\\0\\0\\0\\0\\0\\0', (V4, 0)); return 'sent'", protocol="icmp"),
    "ping socket over v6": kind(INET6, DGRAM, 58, protocol="icmpv6"),
    "mptcp": kind(INET, STREAM, 262, body="s.connect((V4, 443)); return talk(s)", protocol="mptcp"),
    "mptcp over v6": kind(INET6, STREAM, 262, protocol="mptcp"),
    "udp-lite": kind(INET, DGRAM, 136),
    "sctp": kind(INET, STREAM, 132),
    "dccp": kind(INET, 6, 33),
    "l2tp": kind(INET, DGRAM, 115),
    "packet socket": kind(PACKET, RAW, 768, needs_lsm=True, body="s.bind(('lo', 2048)); s.send(b'x' * 60); return 'sent'"),
    "packet socket, cooked": kind(PACKET, DGRAM, 768, needs_lsm=True),
    "xdp socket": kind(XDP, RAW, 0, needs_lsm=True),
    "smc": kind(SMC, STREAM, 0, needs_lsm=True),
    "kcm": kind(KCM, DGRAM, 0, needs_lsm=True),
    "rds": kind(RDS, SEQPACKET, 0, needs_lsm=True),
    "tipc": kind(TIPC, STREAM, 0, needs_lsm=True),
    "vsock": kind(VSOCK, STREAM, 0, needs_lsm=True),
}
