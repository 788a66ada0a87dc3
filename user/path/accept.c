// SPDX-License-Identifier: Apache-2.0
/*
 * accept.c: takes connections and asks the gate who they are. The gate wrote the flow before the SYN left, so
 * a connection without one did not come through the gate: a stranger that dialled our port. It is closed unread.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "kern/gate.h"
#include "path/conn.h"
#include "path/listening.h"

#define TELL_NS INT64_C(60000000000)

int identity_refresh(struct worker *w, struct identity *who)
{
	struct gate_agent agent;

	int r = gate_find_agent(w->env->gate, who->flow.agent_cgroup, &agent);
	if (r)
		return r;
	who->flow.account = agent.account;
	(void)snprintf(who->agent, sizeof who->agent, "%s", agent.name);
	(void)snprintf(who->subject, sizeof who->subject, "agent %s", agent.name);
	return 0;
}

void accept_tell_share(struct worker *w, struct share *a, const struct identity *who)
{
	uint64_t n = share_refused(a, clock_boot_ns()), has, most;

	WORKER_COUNT(w, over_share, 1);
	if (!n)
		return;
	share_view(a, SHARE_CONNECTIONS, &has, &most);
	log_warn(who->subject, "%s (pid %u): %llu connections or calls refused: it has %llu connections in use, its share of them is %llu; "
		 "see connections_per_agent and connections_max", who->flow.comm, who->flow.pid, (unsigned long long)n,
		 (unsigned long long)has, (unsigned long long)most);
}

/* The listener stays readable: without a pause, until the next tick, this would turn in circles. */
static void out_of_files(struct worker *w, int error)
{
	int64_t now = clock_boot_ns();

	WORKER_COUNT(w, out_of_files, 1);
	if (!w->told_files_ns || now - w->told_files_ns > TELL_NS) {
		w->told_files_ns = now;
		log_error("egress", "accept: %s; raise the limit of open files (LimitNOFILE=) or lower connections_max", strerror(error));
	}
	listening_want(w, false);
}

static int identify(struct worker *w, uint64_t netns_cookie, const struct sockaddr_storage *peer, struct identity *ret)
{
	*ret = (struct identity){ 0 };
	int r = gate_take_flow(w->env->gate, netns_cookie, peer, &ret->flow);
	if (r)
		return r;
	if (ret->flow.flags & GATE_FLOW_STRANGER) {
		(void)snprintf(ret->subject, sizeof ret->subject, "process %u", ret->flow.pid);
		return 0;
	}
	/* Expelled between connect and accept: no agent, no service. */
	return identity_refresh(w, ret);
}

static void accept_one(struct worker *w, int fd, uint64_t netns_cookie, const struct sockaddr_storage *peer)
{
	struct identity who;
	int one = 1;

	if (identify(w, netns_cookie, peer, &who)) {
		WORKER_COUNT(w, strangers, 1);
		log_info("egress", "closed a connection that did not come through the gate");
		close(fd);
		return;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	CRASH_POINT("accept");
	struct conn *c;
	int r = conn_new(w, fd, &who, &stage_sniff, &c);
	if (r == -EBUSY)
		return;
	if (r) {
		log_error(who.subject, "cannot take a connection: %s", strerror(-r));
		return;
	}
	conn_set_timeout(c, CONN_SNIFF_MS);
}

void accept_ready(struct worker *w, const struct listening *on)
{
	/* A bounded batch, so that a flood of connects does not starve the open ones. */
	for (int i = 0; i < 64; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof peer;
		int fd = accept4(on->fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			accept_one(w, fd, on->netns_cookie, &peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN)
			return;
		return out_of_files(w, errno);
	}
}
