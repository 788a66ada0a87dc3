// SPDX-License-Identifier: Apache-2.0
/*
 * rig.h: the stage for the gate's tests. A network namespace with no way out (LLM
 * addresses are 198.51.100.0/24 and 2001:db8::/32 on its lo), a scratch cgroup that the gate
 * is attached to, a scratch pin folder, a "provider" that listens on every address and an
 * "egress" that listens where pursed would. Actors are children in a cgroup of their own
 * that act out a script and then hold still until the test has looked.
 *
 * Everything is named after the pid of the test, so that two runs do not meet; it is removed at exit,
 * and what a killed run left is removed by the next one.
 */
#ifndef PURSE_TESTS_BPF_RIG_H
#define PURSE_TESTS_BPF_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kern/cgroup.h"
#include "kern/gate.h"

#define UNUSED __attribute__((unused))
#define RIG_PREFIX "purse-test-"
#define SECOND_NS INT64_C(1000000000)

enum { PORT_CAPTURED = 443, PORT_OTHER = 8080, PORT_DNS = 53 };
/* Last byte of an address in both families. */
enum { HOST_SELF = 1, HOST_DEDICATED = 10, HOST_SHARED = 20, HOST_OTHER = 30 };
enum { ACCOUNT_TOP = 1, ACCOUNT_A = 2, ACCOUNT_B = 3 };
enum { PLENTY = 1000000000 };

/* A socket call that names an address can do so in three ways. */
enum form { V4, V6, MAPPED, FORMS };
static UNUSED const char *const form_names[FORMS] = { [V4] = "v4", [V6] = "v6", [MAPPED] = "v4-mapped" };

/* What an actor tells. In shared memory. */
struct seen {
	int err; /* errno of the call that mattered, 0 = it worked */
	struct sockaddr_storage peer; /* getpeername */
	struct sockaddr_storage local;
	int number; /* whatever the script wants to say */
};

static struct rig {
	struct gate *g;
	struct gate_options o;
	char mount_point[PATH_MAX / 4], root[PATH_MAX / 2], pin_dir[128], lock_path[128];
	char agent_a[PATH_MAX], agent_b[PATH_MAX], stranger[PATH_MAX], daemon[PATH_MAX];
	uint64_t id_a, id_b, id_stranger, id_daemon;
	uint64_t netns_cookie;
	uint16_t port4, port6;
	int egress4, egress6;
	int provider[3];     /* TCP listeners: captured, other, DNS port */
	int provider_udp[3]; /* UDP, same ports */
	int accepted; /* the last connection that arrived, kept open: closing it may end the flow */
	struct seen *seen;
	pid_t owner;
} rig;

/* ---- addresses */

static UNUSED struct sockaddr_storage make_address(enum form form, int host, int port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;
	char text[64];

	if (form == V4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		v4->sin_addr.s_addr = htonl(0xc6336400U | (unsigned)host); /* 198.51.100.host */
		return ss;
	}
	(void)snprintf(text, sizeof(text), form == MAPPED ? "::ffff:198.51.100.%d" : "2001:db8::%x", (unsigned)host);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons((uint16_t)port);
	(void)inet_pton(AF_INET6, text, &v6->sin6_addr);
	return ss;
}

static UNUSED struct sockaddr_storage parse_address(const char *text, int port)
{
	struct sockaddr_storage ss = { 0 };
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ss;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ss;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
	} else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
	}
	return ss;
}

static UNUSED socklen_t address_size(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* As in the ABI: 16 bytes, v4 mapped. */
static UNUSED void address_bytes(const struct sockaddr_storage *ss, uint8_t ret[16])
{
	memset(ret, 0, 16);
	if (ss->ss_family == AF_INET6) {
		memcpy(ret, &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
		return;
	}
	ret[10] = ret[11] = 0xff;
	memcpy(ret + 12, &((const struct sockaddr_in *)ss)->sin_addr, 4);
}

static UNUSED int address_port(const struct sockaddr_storage *ss)
{
	return ntohs(ss->ss_family == AF_INET ? ((const struct sockaddr_in *)ss)->sin_port :
						((const struct sockaddr_in6 *)ss)->sin6_port);
}

static UNUSED bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	uint8_t x[16], y[16];

	address_bytes(a, x);
	address_bytes(b, y);
	return a->ss_family == b->ss_family && memcmp(x, y, 16) == 0 && address_port(a) == address_port(b);
}

/* ---- the network namespace */

/* linux/ipv6.h clashes with netinet/in.h. */
struct v6_request {
	struct in6_addr addr;
	uint32_t prefixlen;
	int ifindex;
};

/* Of the calling process: lo up, all of 198.51.100.0/24 local, three v6 addresses. */
static UNUSED void dress_namespace(void)
{
	static const int hosts[] = { HOST_SELF, HOST_DEDICATED, HOST_SHARED, HOST_OTHER };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_storage ss = make_address(V4, HOST_SELF, 0);
	struct ifreq r = { .ifr_name = "lo" };

	r.ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
	if (fd < 0 || fd6 < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		abort();
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "lo:1");
	memcpy(&r.ifr_addr, &ss, sizeof(struct sockaddr_in));
	if (ioctl(fd, SIOCSIFADDR, &r) < 0)
		abort();
	((struct sockaddr_in *)&r.ifr_netmask)->sin_family = AF_INET;
	((struct sockaddr_in *)&r.ifr_netmask)->sin_addr.s_addr = htonl(0xffffff00);
	if (ioctl(fd, SIOCSIFNETMASK, &r) < 0)
		abort();
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct sockaddr_storage v6 = make_address(V6, hosts[i], 0);
		struct v6_request r6 = { .prefixlen = 128, .ifindex = 1 };

		r6.addr = ((struct sockaddr_in6 *)&v6)->sin6_addr;
		if (ioctl(fd6, SIOCSIFADDR, &r6) < 0)
			abort();
	}
	(void)close(fd);
	(void)close(fd6);
	/* Ping sockets for every group, so that the gate is what refuses them. */
	fd = open("/proc/sys/net/ipv4/ping_group_range", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "0 2147483647", 12);
		(void)close(fd);
	}
}

static int open_listener(const char *addr, int port, int type, uint16_t *ret_port)
{
	struct sockaddr_storage ss = parse_address(addr, port);
	socklen_t size = sizeof(ss);
	int fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int one = 1;

	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, address_size(&ss)) < 0 || (type == SOCK_STREAM && listen(fd, 64) < 0) ||
	    getsockname(fd, (struct sockaddr *)&ss, &size) < 0) {
		perror(addr);
		abort();
	}
	if (ret_port)
		*ret_port = (uint16_t)address_port(&ss);
	return fd;
}

/* ---- leftovers */

/* True: nobody is in it, so that their descriptors (locks are among them) are closed. */
static bool is_group_empty(const char *dir)
{
	char path[PATH_MAX + 16], byte;

	(void)snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	bool empty = fd < 0 || read(fd, &byte, 1) <= 0;

	if (fd >= 0)
		(void)close(fd);
	return empty;
}

static void kill_group(const char *dir)
{
	char path[PATH_MAX + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/cgroup.kill", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write(fd, "1", 1);
		(void)close(fd);
	}
	for (int i = 0; i < 1000 && !is_group_empty(dir); i++)
		(void)usleep(1000);
}

static void end_group(const char *dir)
{
	kill_group(dir);
	for (int i = 0; i < 100 && cgroup_remove(dir) == -EBUSY; i++)
		(void)usleep(10000);
}

/* Names that start with our prefix and end in a pid that is no more. */
static void sweep(const char *folder, void (*end)(const char *path))
{
	DIR *d = opendir(folder);
	struct dirent *entry;

	while (d && (entry = readdir(d)) != NULL) {
		char path[PATH_MAX];
		int pid;

		if (sscanf(entry->d_name, RIG_PREFIX "%d", &pid) != 1 || kill(pid, 0) == 0 || errno != ESRCH)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		end(path);
	}
	if (d)
		(void)closedir(d);
}

static void end_pins(const char *path)
{
	char lock[PATH_MAX + 8];
	const char *name = strrchr(path, '/') + 1;
	struct gate_options o = { .pin_dir = path, .lock_path = lock };

	(void)snprintf(lock, sizeof(lock), "/tmp/%s.lock", name);
	(void)gate_remove(&o, NULL);
	(void)unlink(lock);
}

static void rig_down(void)
{
	if (getpid() != rig.owner)
		return;
	gate_close(rig.g);
	rig.g = NULL;
	/* Actors of a test that failed are still there and share the lock. */
	kill_group(rig.root);
	while (waitpid(-1, NULL, 0) > 0)
		;
	end_pins(rig.pin_dir);
	end_group(rig.root);
}

static void rig_signal(int sig)
{
	/* exit() runs rig_down; what it cannot do now the next run's sweep does. */
	exit(128 + sig);
}

/* ---- accounts and policy */

static UNUSED void set_account(int index, const char *name, int parent, int64_t left)
{
	struct gate_account *a = &gate_accounts(rig.g)[index];

	memset(a, 0, sizeof(*a));
	(void)snprintf(a->name, sizeof(a->name), "%s", name);
	a->parent = (uint32_t)parent;
	a->flags = GATE_ACCOUNT_USED;
	for (int w = 0; w < WINDOW_COUNT; w++) {
		a->windows[w].limit_nanousd = GATE_NO_LIMIT;
		a->windows[w].left_nanousd = GATE_NO_LIMIT;
	}
	a->windows[WINDOW_DAY].limit_nanousd = PLENTY;
	a->windows[WINDOW_DAY].left_nanousd = left;
}

static UNUSED void enrol(uint64_t cgroup, const char *name, uint32_t account, uint32_t flags)
{
	struct gate_agent a = { .account = account, .flags = flags };

	(void)snprintf(a.name, sizeof(a.name), "%s", name);
	assert_int_equal(gate_enrol(rig.g, cgroup, &a), 0);
}

/* Every subtest starts from here: two agents in credit, a living daemon, others: allow, empty queues. */
static UNUSED void rig_normal(void)
{
	static const uint16_t ports[] = { PORT_CAPTURED };

	set_account(ACCOUNT_TOP, "top", 0, PLENTY);
	set_account(ACCOUNT_A, "agent-a", ACCOUNT_TOP, PLENTY);
	set_account(ACCOUNT_B, "agent-b", ACCOUNT_TOP, PLENTY);
	enrol(rig.id_a, "agent-a", ACCOUNT_A, 0);
	enrol(rig.id_b, "agent-b", ACCOUNT_B, 0);
	(void)gate_expel(rig.g, rig.id_stranger);
	gate_set_listeners(rig.g, rig.port4, rig.port6, rig.netns_cookie);
	gate_set_policy(rig.g, false, ports, 1, 600 * (uint64_t)SECOND_NS);
	gate_set_daemon_cgroup(rig.g, rig.id_daemon);
	gate_state(rig.g)->abi_version = GATE_ABI_VERSION;
	gate_beat(rig.g);
}

static UNUSED void kill_daemon(void)
{
	gate_state(rig.g)->heartbeat_ns = 1;
	gate_state(rig.g)->stale_after_ns = 1;
}

static UNUSED void others_deny(void)
{
	gate_state(rig.g)->others_deny = 1;
}

static UNUSED void put_endpoint(enum form form, int host, enum gate_class class)
{
	struct sockaddr_storage ss = make_address(form, host, 0);
	uint8_t addr[16];

	address_bytes(&ss, addr);
	assert_int_equal(gate_put_endpoint(rig.g, addr, 128, class, 0), 0);
}

static UNUSED void put_endpoints(void)
{
	for (enum form f = V4; f <= V6; f++) {
		put_endpoint(f, HOST_DEDICATED, GATE_CLASS_DEDICATED);
		put_endpoint(f, HOST_SHARED, GATE_CLASS_SHARED);
	}
}

/* ---- up */

static void make_group(char ret[PATH_MAX], const char *name, uint64_t *ret_id)
{
	struct err e = { "" };

	(void)snprintf(ret, PATH_MAX, "%s/%s", rig.root, name);
	if (cgroup_make(ret, &e) < 0 || cgroup_id(ret, ret_id, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		abort();
	}
}

/* NULL, or why these tests cannot run here. */
static const char *rig_obstacle(void)
{
	static struct err e;

	if (geteuid() != 0)
		return "needs root";
	if (cgroup_mount(rig.mount_point, sizeof(rig.mount_point), &e) < 0)
		return e.text;
	if (unshare(CLONE_NEWNET) < 0)
		return "needs a network namespace of its own, and may not make one";
	return NULL;
}

/* cmocka group setup. Opens the gate unless the test wants to do so itself. */
static UNUSED int rig_up(bool open_gate)
{
	static const int ports[3] = { PORT_CAPTURED, PORT_OTHER, PORT_DNS };
	socklen_t size = sizeof(rig.netns_cookie);
	struct err e = { "" };

	sweep(rig.mount_point, kill_group);
	sweep("/sys/fs/bpf", end_pins);
	sweep(rig.mount_point, end_group);
	dress_namespace();
	rig.owner = getpid();
	(void)snprintf(rig.root, sizeof(rig.root), "%s/" RIG_PREFIX "%d", rig.mount_point, (int)rig.owner);
	(void)snprintf(rig.pin_dir, sizeof(rig.pin_dir), "/sys/fs/bpf/" RIG_PREFIX "%d", (int)rig.owner);
	(void)snprintf(rig.lock_path, sizeof(rig.lock_path), "/tmp/" RIG_PREFIX "%d.lock", (int)rig.owner);
	rig.o = (struct gate_options){ .pin_dir = rig.pin_dir, .cgroup_root = rig.root, .lock_path = rig.lock_path };
	rig.seen = mmap(NULL, sizeof(*rig.seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	(void)atexit(rig_down);
	(void)signal(SIGINT, rig_signal);
	(void)signal(SIGTERM, rig_signal);
	(void)signal(SIGPIPE, SIG_IGN);
	make_group(rig.agent_a, "agent-a", &rig.id_a);
	make_group(rig.agent_b, "agent-b", &rig.id_b);
	make_group(rig.stranger, "stranger", &rig.id_stranger);
	make_group(rig.daemon, "daemon", &rig.id_daemon);
	rig.egress4 = open_listener("127.0.0.1", 0, SOCK_STREAM, &rig.port4);
	rig.egress6 = open_listener("::1", 0, SOCK_STREAM, &rig.port6);
	for (int i = 0; i < 3; i++) {
		rig.provider[i] = open_listener("::", ports[i], SOCK_STREAM, NULL);
		rig.provider_udp[i] = open_listener("::", ports[i], SOCK_DGRAM, NULL);
	}
	if (getsockopt(rig.egress4, SOL_SOCKET, 71 /* SO_NETNS_COOKIE */, &rig.netns_cookie, &size) < 0)
		return -1;
	if (!open_gate)
		return 0;
	if (gate_open(&rig.o, &rig.g, &e) < 0) {
		(void)fprintf(stderr, "%s\n", e.text);
		return -1;
	}
	put_endpoints();
	return 0;
}

#endif
