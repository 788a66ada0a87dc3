// SPDX-License-Identifier: Apache-2.0
/*
 * ways_inside.h: what the files of ways share: a row, one attempt, and how its end is told. One table for each kind of way:
 * ways_connect.c, ways_udp.c, ways_socket.c, ways_whose.c, ways_said.c, ways_older.c, ways_own.c, ways_uring.c, ways_untried.c.
 */
#ifndef PURSE_KERN_WAYS_INSIDE_H
#define PURSE_KERN_WAYS_INSIDE_H

#include "kern/ways.h"

struct way_socket {
	int domain, type, protocol;
	const char *loaded_as; /* in /proc/net/protocols; NULL = always there */
};

/* In shared memory: this process, its parent and its children write it. */
struct attempt {
	struct way_targets t;
	struct way_result r;
	struct way_socket socket;
	int fd, ring;         /* made before the cgroup was entered */
	int stage, home;      /* network namespaces; ways_stage.h */
	int tcp, udp, wire;   /* the witnesses there */
	char dir[1200];       /* of a cgroup that was made for this */
	void *ring_mem[3];
	struct ring_order *order;
};

struct way {
	unsigned no;
	const char *name, *why;
	enum way_need need;
	bool starts_outside;               /* tries in the cgroup outside; way_enter() where it becomes the agent */
	void (*before)(struct attempt *a); /* in a process outside, whose child then tries; WAY_UNTESTED said = not tried */
	void (*try)(struct attempt *a);    /* NULL = not tried on anybody's node: `untried` says why and what to do */
	void (*after)(struct attempt *a);  /* in the process outside, when the child has tried */
	struct way_socket socket;
	const char *untried;
};

struct way_table {
	const struct way *rows;
	size_t n;
};
#define WAY_TABLE(rows) { rows, sizeof(rows) / sizeof((rows)[0]) }

extern const struct way_table ways_connect, ways_udp, ways_socket, ways_whose, ways_said, ways_older, ways_own, ways_uring, ways_untried;

/* ---- telling */

void way_say(struct attempt *a, enum way_end end, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void way_say_errno(struct attempt *a, const char *call, int err);
/* A connect went through or is under way. false: not to our loopback, which was said. */
bool way_is_captured(struct attempt *a, int fd);
/* The same, and purse is asked: captured, open or broken. `sent`: so many bytes of WAY_REQUEST have gone already. */
#define WAY_REQUEST "GET / HTTP/1.1\r\nhost: purse-doctor.invalid\r\n\r\n"
void way_say_where(struct attempt *a, int fd, size_t sent);
/* Sends that, and tells by what comes. closed: what it means if purse hangs up. */
void way_say_http(struct attempt *a, int fd, const char *request, size_t sent, enum way_end closed);
void way_say_tls(struct attempt *a, int fd, const uint8_t *hello, size_t n, size_t piece, enum way_end closed);

/* ---- doing */

#define WAY_HARMLESS4 "192.0.2.1"   /* TEST-NET-1, RFC 5737: nobody's */
#define WAY_HARMLESS6 "2001:db8::1" /* RFC 3849 */
/* RFC 2544: nobody's either, and private to purse, so that it does not ask there whether it serves the name. */
#define WAY_UNLISTED4 "198.18.0.1"

enum way_form { WAY_V4, WAY_V6, WAY_MAPPED, WAY_NAT64 };
/* port 0: the target's own. false: this machine has no such target, and that was said. */
bool way_has_target(struct attempt *a, enum way_form form); /* false: said */
bool way_target(struct attempt *a, enum way_form form, int port, struct sockaddr_storage *ret);
socklen_t way_size(int family); /* of an address */
void way_connect_on(struct attempt *a, int fd, const struct sockaddr_storage *to);
void way_dial(struct attempt *a, enum way_form form, int port);
/* A connection, or -1 with all said. */
int way_open(struct attempt *a, const struct sockaddr_storage *to);
/* Becomes the agent, or goes outside. false: said. */
bool way_enter(struct attempt *a);
bool way_leave(struct attempt *a);
/* Makes and enters a cgroup "…/below" below the agent's, in a->dir. way_unnest goes back and removes it. */
bool way_nest(struct attempt *a, const char *below);
void way_unnest(struct attempt *a);

#endif
