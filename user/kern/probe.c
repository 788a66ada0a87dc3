// SPDX-License-Identifier: Apache-2.0
/* probe.c: one small question to the kernel per row of a table. It changes nothing that outlives the question. */
#include "kern/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "kern/cgroup.h"
#include "kern/sockets.h"

#define INSN(op, dst, number) ((struct bpf_insn){ .code = (op), .dst_reg = (dst), .imm = (number) })

/* Loads a cgroup program of nothing but `insns`; 0 or -errno. */
static int try_program(enum bpf_prog_type type, enum bpf_attach_type attach, const struct bpf_insn *insns, size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
	CLEANUP_CLOSE int fd = bpf_prog_load(type, "purse_probe", "Apache-2.0", insns, n, &opts);

	return fd < 0 ? -errno : 0;
}

static int try_return(enum bpf_prog_type type, enum bpf_attach_type attach)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 1),
		INSN(BPF_JMP | BPF_EXIT, 0, 0),
	};

	return try_program(type, attach, insns, 2);
}

/* bpf_set_retval(-ECONNREFUSED); return 0. libbpf's own probe misreads the texts of newer kernels. */
bool probe_has_set_retval(void)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_1, -ECONNREFUSED),
		INSN(BPF_JMP | BPF_CALL, 0, BPF_FUNC_set_retval),
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0),
		INSN(BPF_JMP | BPF_EXIT, 0, 0),
	};

	return try_program(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insns, 4) == 0;
}

static bool file_has(const char *path, const char *word)
{
	FILE *f = fopen(path, "re");
	CLEANUP_FREE char *line = NULL;
	size_t cap = 0;
	bool has = false;

	while (f && !has && getline(&line, &cap, f) > 0)
		has = strstr(line, word) != NULL;
	if (f)
		(void)fclose(f);
	return has;
}

/* Programs attach also where the module is not on the list, and are never asked. 6.8+ tells by a system call, before that securityfs. */
static bool lsm_is_on(void)
{
	enum { LIST_MODULES = 461, ID_BPF = 110 };
	uint64_t ids[32];
	uint32_t size = sizeof(ids);
	long n = syscall(LIST_MODULES, ids, &size, 0);

	for (long i = 0; i < n; i++)
		if (ids[i] == ID_BPF)
			return true;
	return n < 0 && file_has("/sys/kernel/security/lsm", "bpf");
}

bool probe_has_lsm_cgroup(void)
{
	const struct bpf_insn insns[] = {
		INSN(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 1),
		INSN(BPF_JMP | BPF_EXIT, 0, 0),
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = BPF_LSM_CGROUP);
	int id = lsm_is_on() ? libbpf_find_vmlinux_btf_id("socket_create", BPF_LSM_CGROUP) : -1;

	if (id <= 0)
		return false;
	opts.attach_btf_id = (uint32_t)id;
	CLEANUP_CLOSE int fd = bpf_prog_load(BPF_PROG_TYPE_LSM, "purse_probe", "GPL", insns, 2, &opts);

	return fd >= 0;
}

/* ---- the questions. Each fills text and answers. */

struct answer {
	char *text;
	size_t size;
};
#define SAY(a, ...) ((void)snprintf((a)->text, (a)->size, __VA_ARGS__))

static enum probe_state ask_kernel(struct answer *a)
{
	struct utsname u;
	unsigned major = 0, minor = 0;

	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2) {
		SAY(a, "cannot tell the kernel's version");
		return PROBE_MISSING_OPTIONAL;
	}
	if (major < 5 || (major == 5 && minor < 15)) {
		SAY(a, "%s is older than 5.15: sockets may lose their cgroup; boot a newer kernel", u.release);
		return PROBE_MISSING_ESSENTIAL;
	}
	SAY(a, "%s", u.release);
	return PROBE_OK;
}

static enum probe_state ask_cgroup(struct answer *a)
{
	struct err e = { "" };
	char dir[200];

	if (cgroup_mount(dir, sizeof(dir), &e) < 0) {
		SAY(a, "%s", e.text);
		return PROBE_MISSING_ESSENTIAL;
	}
	SAY(a, "mounted at %s", dir);
	return PROBE_OK;
}

static enum probe_state ask_net_cls(struct answer *a)
{
	if (!file_has("/proc/self/mountinfo", "net_cls") && !file_has("/proc/self/mountinfo", "net_prio")) {
		SAY(a, "cgroup v1 net_cls and net_prio are not in use");
		return PROBE_OK;
	}
	SAY(a, "cgroup v1 net_cls or net_prio is mounted: programs that use it can blur which cgroup a socket is in; boot with "
	       "cgroup_no_v1=net_cls,net_prio");
	return PROBE_MISSING_OPTIONAL;
}

static enum probe_state ask_privileges(struct answer *a)
{
	int ret = try_return(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);

	if (ret == 0) {
		SAY(a, "cgroup programs load");
		return PROBE_OK;
	}
	if (ret == -EPERM)
		SAY(a, "not permitted: needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; what follows cannot be told without");
	else
		SAY(a, "a cgroup/connect4 program does not load: %s; the kernel needs CONFIG_BPF_SYSCALL and CONFIG_CGROUP_BPF",
		    strerror(-ret));
	return PROBE_MISSING_ESSENTIAL;
}

static enum probe_state ask_hooks(struct answer *a)
{
	static const struct {
		const char *name;
		enum bpf_prog_type type;
		enum bpf_attach_type attach;
	} hooks[] = {
		{ "sendmsg6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP6_SENDMSG },
		{ "getpeername6", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_GETPEERNAME },
		{ "sock_create", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE },
		{ "sock_ops", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS },
		{ "egress", BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS },
	};

	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		int ret = try_return(hooks[i].type, hooks[i].attach);

		if (ret < 0) {
			SAY(a, "a cgroup %s program does not load: %s", hooks[i].name, strerror(-ret));
			return PROBE_MISSING_ESSENTIAL;
		}
	}
	SAY(a, "sock_create, connect, sendmsg, getpeername, sock_ops, egress");
	return PROBE_OK;
}

static enum probe_state ask_maps(struct answer *a)
{
	static const struct {
		const char *name;
		enum bpf_map_type type;
	} maps[] = {
		{ "ring buffer", BPF_MAP_TYPE_RINGBUF },
		{ "socket storage", BPF_MAP_TYPE_SK_STORAGE },
		{ "LPM trie", BPF_MAP_TYPE_LPM_TRIE },
	};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		if (libbpf_probe_bpf_map_type(maps[i].type, NULL) != 1) {
			SAY(a, "cannot make a map of type %s", maps[i].name);
			return PROBE_MISSING_ESSENTIAL;
		}
	}
	SAY(a, "ring buffer, socket storage, LPM trie");
	return PROBE_OK;
}

static enum probe_state ask_bpffs(struct answer *a)
{
	struct statfs fs;

	if (statfs("/sys/fs/bpf", &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC) {
		SAY(a, "mounted at /sys/fs/bpf");
		return PROBE_OK;
	}
	SAY(a, "none at /sys/fs/bpf yet; pursed mounts one when it starts");
	return PROBE_MISSING_OPTIONAL;
}

static enum probe_state ask_set_retval(struct answer *a)
{
	if (probe_has_set_retval()) {
		SAY(a, "refused connects get EDQUOT, ECONNREFUSED or EACCES");
		return PROBE_OK;
	}
	SAY(a, "every refused connect gets EPERM, so programs cannot tell why; Linux 6.1 and newer can");
	return PROBE_MISSING_OPTIONAL;
}

static enum probe_state ask_packet_sockets(struct answer *a)
{
	if (probe_has_lsm_cgroup()) {
		SAY(a, "agents are refused AF_PACKET, AF_XDP and other families (bpf security module); TUN needs CAP_NET_ADMIN: keep it from agents");
		return PROBE_OK;
	}
	SAY(a, "the bpf security module is off, not permitted, or older than 6.0: agents with CAP_NET_RAW can open packet sockets, which no "
	       "other hook sees; take CAP_NET_RAW and CAP_NET_ADMIN from them, or boot with lsm=...,bpf");
	return PROBE_MISSING_OPTIONAL;
}

static enum probe_state ask_open_sockets(struct answer *a)
{
	int tcp = sockets_can_end(IPPROTO_TCP), udp = sockets_can_end(IPPROTO_UDP);

	if (tcp == 0 && udp == 0) {
		SAY(a, "what an agent had open before it was one is ended (SOCK_DESTROY)");
		return PROBE_OK;
	}
	if (tcp == 0)
		SAY(a, "connections from before an agent was one are ended, UDP is not (%s; modprobe udp_diag); what it sends to LLM addresses is "
		       "dropped", strerror(-udp));
	else if (tcp == -ENOTSUP)
		SAY(a, "this kernel has no CONFIG_INET_DIAG_DESTROY: what an agent had open before it was one is not ended; what it sends to LLM "
		       "addresses is dropped, which a program sees as a stall; start agents anew after they are added");
	else
		SAY(a, "connections from before an agent was one cannot be ended: %s; is the module tcp_diag there, and this root?", strerror(-tcp));
	return PROBE_MISSING_OPTIONAL;
}

static enum probe_state ask_loopback6(struct answer *a)
{
	if (file_has("/proc/net/if_inet6", "00000000000000000000000000000001")) {
		SAY(a, "::1 is there");
		return PROBE_OK;
	}
	SAY(a, "no ::1 in this network namespace: agents cannot reach LLM endpoints over IPv6 and fall back to IPv4");
	return PROBE_MISSING_OPTIONAL;
}

static const struct {
	const char *name;
	enum probe_state (*ask)(struct answer *a);
} questions[] = {
	{ "kernel", ask_kernel },
	{ "cgroup v2", ask_cgroup },
	{ "cgroup v1 net_cls", ask_net_cls },
	{ "privileges", ask_privileges },
	{ "bpf hooks", ask_hooks },
	{ "bpf maps", ask_maps },
	{ "bpf file system", ask_bpffs },
	{ "bpf set_retval", ask_set_retval },
	{ "packet sockets", ask_packet_sockets },
	{ "open sockets", ask_open_sockets },
	{ "IPv6 loopback", ask_loopback6 },
};

size_t probe_run(struct probe_result *ret, size_t n)
{
	size_t total = sizeof(questions) / sizeof(questions[0]);

	for (size_t i = 0; i < total && i < n; i++) {
		struct answer a = { .text = ret[i].text, .size = sizeof(ret[i].text) };

		ret[i].text[0] = '\0';
		ret[i].name = questions[i].name;
		ret[i].state = questions[i].ask(&a);
	}
	return total;
}
