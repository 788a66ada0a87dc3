// SPDX-License-Identifier: Apache-2.0
/*
 * ways_own.c: BPF programs of the agent's own on a cgroup below its own: they run before the gate's, which has the last word. One says yes and
 * takes a refusal back; one goes to the LLM instead of where the program asked for.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <string.h>

#include "kern/ways_inside.h"

#ifndef BPF_F_PREORDER
#define BPF_F_PREORDER (1U << 6)
#endif

#define INSN(...) ((struct bpf_insn){ __VA_ARGS__ })
#define KEEP_CTX INSN(.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1)
#define SET(reg, value) INSN(.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = (reg), .imm = (int)(value))
#define CALL(id) INSN(.code = BPF_JMP | BPF_CALL, .imm = (id))
#define STORE(field) \
	INSN(.code = BPF_STX | BPF_W | BPF_MEM, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_2, .off = (short)offsetof(struct bpf_sock_addr, field))
#define EXIT INSN(.code = BPF_JMP | BPF_EXIT)

/* In a cgroup of its own, with that program on it. */
static bool attach(struct attempt *a, enum bpf_attach_type type, const struct bpf_insn *code, size_t n, unsigned flags)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = type);

	if (!way_nest(a, ""))
		return false;
	int prog = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "agents_own", "GPL", code, n, &opts);
	int dir = open(a->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (prog < 0)
		way_say_errno(a, "BPF_PROG_LOAD", -prog);
	int r = prog < 0 ? prog : bpf_prog_attach(prog, dir, type, BPF_F_ALLOW_MULTI | flags);

	if (prog >= 0 && r == -EINVAL && flags)
		way_say(a, WAY_UNTESTED, "no BPF_F_PREORDER on this kernel (6.15)");
	else if (prog >= 0 && r < 0)
		way_say_errno(a, "BPF_PROG_ATTACH", -r);
	return r == 0;
}

static bool attach_yes(struct attempt *a, unsigned flags)
{
	const struct bpf_insn yes[] = { SET(BPF_REG_1, 0), CALL(BPF_FUNC_set_retval), SET(BPF_REG_0, 1), EXIT };

	return attach(a, BPF_CGROUP_UDP4_SENDMSG, yes, sizeof(yes) / sizeof(yes[0]), flags);
}

static bool attach_elsewhere(struct attempt *a, enum bpf_attach_type type)
{
	const struct bpf_insn go[] = { KEEP_CTX, SET(BPF_REG_2, a->t.v4.sin_addr.s_addr), STORE(user_ip4), SET(BPF_REG_2, a->t.v4.sin_port),
				       STORE(user_port), SET(BPF_REG_0, 1), EXIT };

	return attach(a, type, go, sizeof(go) / sizeof(go[0]), 0);
}

static void send_to(struct attempt *a, const struct sockaddr_storage *to)
{
	if (sendto(socket(AF_INET, SOCK_DGRAM, 0), "", 1, MSG_DONTWAIT, (const struct sockaddr *)to, sizeof(struct sockaddr_in)) < 0)
		way_say_errno(a, "sendto", errno);
	else
		way_say(a, WAY_OPEN, "a datagram was let through");
}

static void harmless(struct sockaddr_storage *ret)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };

	(void)inet_pton(AF_INET, WAY_HARMLESS4, &to.sin_addr);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, &to, sizeof(to));
}

static void say_yes(struct attempt *a, unsigned flags)
{
	struct sockaddr_storage to;

	if (way_target(a, WAY_V4, 0, &to) && attach_yes(a, flags))
		send_to(a, &to);
	way_unnest(a);
}

static void try_yes(struct attempt *a) { say_yes(a, 0); }
static void try_yes_first(struct attempt *a) { say_yes(a, BPF_F_PREORDER); }

static void try_connects_elsewhere(struct attempt *a)
{
	struct sockaddr_storage llm, to;

	harmless(&to);
	if (way_target(a, WAY_V4, 0, &llm) && attach_elsewhere(a, BPF_CGROUP_INET4_CONNECT))
		way_connect_on(a, socket(AF_INET, SOCK_STREAM, 0), &to);
	way_unnest(a);
}

static void try_sends_elsewhere(struct attempt *a)
{
	struct sockaddr_storage llm, to;

	harmless(&to);
	if (way_target(a, WAY_V4, 0, &llm) && attach_elsewhere(a, BPF_CGROUP_UDP4_SENDMSG))
		send_to(a, &to);
	way_unnest(a);
}

static const struct way rows[] = {
	{ 52, "own program: yes", "a BPF program below the gate's takes its refusal back", WAY_NEEDS_CAPS, .try = try_yes },
	{ 52, "own program: yes, first", "the same with BPF_F_PREORDER", WAY_NEEDS_CAPS, .try = try_yes_first },
	{ 52, "own program: connect", "a BPF program that goes to the LLM instead", WAY_NEEDS_CAPS, .try = try_connects_elsewhere },
	{ 52, "own program: send", "the same for datagrams", WAY_NEEDS_CAPS, .try = try_sends_elsewhere },
};
const struct way_table ways_own = WAY_TABLE(rows);
