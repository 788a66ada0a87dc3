// SPDX-License-Identifier: Apache-2.0
/* namespaces.c: see namespaces.h. The table belongs to the thread; others see it under the lock. */
#include "path/namespaces.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "kern/gate.h"
#include "kern/netns.h"
#include "path/listening.h"
#include "path/path.h"
#include "path/worker.h"

#define MS INT64_C(1000000)
/* Between looks at every agent's processes: so long, or longer where a look takes more than a hundredth of it. */
#define LOOK_EVERY_NS (1000 * MS)
#define LOOK_SHARE 100
/* After a denial by a process that is gone: at most so often, or a tenth of the time. */
#define LOOK_AGAIN_NS (50 * MS)
/* Who is refused over and over makes us look over and over: a fifth of the time at most. */
#define HINT_SHARE 4
#define RETRY_FIRST_NS (1000 * MS)
#define RETRY_LAST_NS (60000 * MS)
#define HINTS_MAX 64

struct place {
	struct netns_id id;
	struct netns_listener l; /* what was opened belongs to the listenings */
	struct listening *on4, *on6;
	uint64_t agent; /* whose process was seen there first */
	int pid, tid;   /* the last one that was seen there */
	int64_t seen_ns, tried_ns, wait_ns;
	bool is_told;   /* of what it lacks */
};

struct hint {
	uint64_t agent;
	int pid;
};

struct namespaces {
	struct path *path;
	struct gate *gate;
	struct netns_id own;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* hints, is_stopping */
	bool is_stopping, is_running;
	struct hint hints[HINTS_MAX];
	size_t nhints;
	/* Written by the thread under the lock; it reads them without. */
	struct place *places; /* NAMESPACES_MAX */
	size_t nplaces;

	/* The thread's own. */
	struct hint hint; /* what is looked into; pid 0 = a round */
	size_t last;      /* index of the last hit: processes of one namespace come together */
	bool is_told_full, is_told_blind;
	int64_t now_ns, round_ns, next_ns; /* of this look; begin of the last round; when the next one is due */
	int64_t rest_ns;    /* hints wait until then */
	int64_t soonest_ns; /* no round before */
};

/* ---- one namespace */

static const char *name_of(struct namespaces *n, uint64_t agent, char ret[GATE_NAME_MAX])
{
	struct gate_agent a;

	if (gate_find_agent(n->gate, agent, &a) < 0)
		return "(gone)";
	(void)snprintf(ret, GATE_NAME_MAX, "%.*s", GATE_NAME_MAX - 1, a.name);
	return ret;
}

/* Lacking something is told at the second look: loopback may be on its way up. */
static void tell(struct namespaces *n, struct place *p, bool is_new)
{
	bool lacks = !p->on4 || !p->on6, is_first = p->wait_ns == RETRY_FIRST_NS;
	char name[GATE_NAME_MAX], missing[160] = "";

	if (!is_new && (!lacks || is_first || p->is_told))
		return;
	if (lacks && !is_first) {
		p->is_told = true;
		if (!p->on4 && p->l.why4 == ENETDOWN)
			(void)snprintf(missing, sizeof(missing), "; its loopback device is down: connections from there are denied until it is up");
		else
			(void)snprintf(missing, sizeof(missing), "; no listener on %s (%s): connections from there to %s are denied",
				       p->on4 ? "::1" : "127.0.0.1", strerror(p->on4 ? p->l.why6 : p->l.why4), p->on4 ? "IPv6" : "IPv4");
	}
	log_line(missing[0] ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "egress", "network namespace %llu of agent %s (process %d): %s%s",
		 (unsigned long long)p->id.ino, name_of(n, p->agent, name), p->pid,
		 p->on4 && p->on6 ? "listening on 127.0.0.1 and ::1" : p->on4 ? "listening on 127.0.0.1" :
		 p->on6 ? "listening on ::1" : "not listening", missing);
}

/* What was opened goes to the workers. False: it was none, or no memory. */
static bool hand_over(struct namespaces *n, struct listening **on, int *fd, uint64_t cookie)
{
	if (*on || *fd < 0)
		return false;
	*on = listenings_add(path_listenings(n->path), *fd, cookie);
	*fd = -1;
	return *on != NULL;
}

static void silence(struct namespaces *n, struct place *p)
{
	listenings_drop(path_listenings(n->path), p->on4);
	listenings_drop(path_listenings(n->path), p->on6);
	p->on4 = p->on6 = NULL;
	path_wake_workers(n->path);
}

/* The listener first, its row in the gate after it: a redirect always finds somebody. */
static bool publish(struct namespaces *n, struct place *p)
{
	bool is_new = hand_over(n, &p->on4, &p->l.fd4, p->l.cookie);

	is_new = hand_over(n, &p->on6, &p->l.fd6, p->l.cookie) || is_new;
	if (!is_new)
		return false;
	path_wake_workers(n->path);
	int r = gate_put_listener(n->gate, p->l.cookie, p->on4 ? p->l.port4 : 0, p->on6 ? p->l.port6 : 0);

	if (r == 0)
		return true;
	log_error("egress", "network namespace %llu: the gate cannot be told of its listener: %s; agents there are denied",
		  (unsigned long long)p->id.ino, strerror(-r));
	silence(n, p);
	return false;
}

static void try_to_listen(struct namespaces *n, struct place *p, const struct netns_seen *s)
{
	CLEANUP_CLOSE int ns = netns_open(s);
	struct netns_listener l = p->l;
	int r = ns;

	/* What there is already is not opened twice; its descriptor is not ours any more. */
	l.fd4 = p->on4 ? INT_MAX : -1;
	l.fd6 = p->on6 ? INT_MAX : -1;
	if (r >= 0)
		r = netns_listen(ns, 0, &l);
	(void)pthread_mutex_lock(&n->lock);
	p->l = l;
	p->tried_ns = n->now_ns;
	p->wait_ns = !p->wait_ns ? RETRY_FIRST_NS : p->wait_ns < RETRY_LAST_NS / 2 ? 2 * p->wait_ns : RETRY_LAST_NS;
	bool is_new = r >= 0 && publish(n, p);
	(void)pthread_mutex_unlock(&n->lock);

	if (r >= 0)
		tell(n, p, is_new);
	else if (r != -ENOENT && r != -ESTALE && r != -ESRCH && !p->is_told) {
		p->is_told = true;
		log_warn("egress", "network namespace %llu (process %d): cannot listen there: %s; agents there are denied",
			 (unsigned long long)p->id.ino, p->pid, strerror(-r));
	}
}

static void drop(struct namespaces *n, size_t i)
{
	struct place *p = &n->places[i];

	(void)pthread_mutex_lock(&n->lock);
	/* First the row: nobody is sent there any more. */
	if (p->on4 || p->on6)
		(void)gate_drop_listener(n->gate, p->l.cookie);
	silence(n, p);
	log_info("egress", "network namespace %llu: no agent is there any more", (unsigned long long)p->id.ino);
	*p = n->places[--n->nplaces];
	(void)pthread_mutex_unlock(&n->lock);
}

/* ---- the table */

static bool is_same(const struct netns_id *a, const struct netns_id *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

static struct place *find(struct namespaces *n, const struct netns_id *id)
{
	if (n->last < n->nplaces && is_same(&n->places[n->last].id, id))
		return &n->places[n->last];
	for (size_t i = 0; i < n->nplaces; i++)
		if (is_same(&n->places[i].id, id)) {
			n->last = i;
			return &n->places[i];
		}
	return NULL;
}

static size_t count_of(const struct namespaces *n, uint64_t agent)
{
	size_t count = 0;

	for (size_t i = 0; i < n->nplaces; i++)
		count += n->places[i].agent == agent;
	return count;
}

static struct place *add(struct namespaces *n, const struct netns_seen *s, uint64_t agent)
{
	char name[GATE_NAME_MAX];
	bool is_full = n->nplaces == NAMESPACES_MAX || count_of(n, agent) >= NAMESPACES_OF_AGENT_MAX;

	if (is_full && !n->is_told_full)
		log_error("egress", "agent %s: no listener in network namespace %llu: at most %d for one agent and %d in all; agents there are denied",
			  name_of(n, agent, name), (unsigned long long)s->id.ino, NAMESPACES_OF_AGENT_MAX, NAMESPACES_MAX);
	n->is_told_full = n->is_told_full || is_full;
	if (is_full)
		return NULL;
	(void)pthread_mutex_lock(&n->lock);
	struct place *p = &n->places[n->nplaces++];

	*p = (struct place){ .id = s->id, .l = NETNS_LISTENER_NONE, .agent = agent };
	(void)pthread_mutex_unlock(&n->lock);
	return p;
}

static void mark(struct namespaces *n, struct place *p, const struct netns_seen *s)
{
	(void)pthread_mutex_lock(&n->lock);
	p->seen_ns = n->now_ns;
	p->pid = s->pid;
	p->tid = s->tid;
	(void)pthread_mutex_unlock(&n->lock);
}

static bool is_time_to_try(const struct namespaces *n, const struct place *p)
{
	int64_t wait = n->hint.pid && p->wait_ns > LOOK_AGAIN_NS ? LOOK_AGAIN_NS : p->wait_ns;

	return (!p->on4 || !p->on6) && (p->wait_ns == 0 || n->now_ns - p->tried_ns >= wait);
}

static void see(void *ctx, const struct netns_seen *s)
{
	struct namespaces *n = ctx;

	if (is_same(&s->id, &n->own))
		return;
	struct place *p = find(n, &s->id);

	if (!p)
		p = add(n, s, n->hint.pid ? n->hint.agent : s->agent);
	if (!p)
		return;
	if (p->seen_ns != n->now_ns)
		mark(n, p, s);
	if (is_time_to_try(n, p))
		try_to_listen(n, p, s);
}

/* Only what is known already: the process may be another by now. */
static void see_again(void *ctx, const struct netns_seen *s)
{
	struct namespaces *n = ctx;
	struct place *p = find(n, &s->id);

	if (p && p->seen_ns != n->now_ns)
		mark(n, p, s);
}

/* ---- the looks */

static void look_round(struct namespaces *n)
{
	int64_t end, share;

	n->hint = (struct hint){ 0 };
	n->now_ns = n->round_ns = clock_boot_ns();
	int r = netns_look_agents(n->gate, see, n);

	if (r < 0 && !n->is_told_blind)
		log_error("egress", "cannot look where the agents' processes are (%s): a network namespace is found only after a refusal there",
			  strerror(-r));
	n->is_told_blind = r < 0;
	for (size_t i = 0; i < n->nplaces; i++)
		/* A thread may be there alone, and the list of processes does not show it. */
		if (n->places[i].seen_ns != n->now_ns)
			(void)netns_look_process(n->places[i].pid, see_again, n);
	for (size_t i = n->nplaces; i-- > 0;)
		if (n->now_ns - n->places[i].seen_ns > NAMESPACES_KEEP_NS)
			drop(n, i);
	n->is_told_full = n->is_told_full && n->nplaces > NAMESPACES_OF_AGENT_MAX / 2;
	end = clock_boot_ns();
	share = LOOK_SHARE * (end - n->round_ns);
	n->soonest_ns = end + (share / 10 > LOOK_AGAIN_NS ? share / 10 : LOOK_AGAIN_NS);
	n->next_ns = end + (share > LOOK_EVERY_NS ? share : LOOK_EVERY_NS);
}

static void look_into(struct namespaces *n, const struct hint *hint)
{
	n->hint = *hint;
	n->now_ns = clock_boot_ns();
	/* Gone already: what it was denied for another of its kind may ask for at once, so all are looked at soon. */
	if (netns_look_process(hint->pid, see, n) < 0 && n->next_ns > n->soonest_ns)
		n->next_ns = n->soonest_ns;
}

static struct timespec until(int64_t left_ns)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += left_ns % (1000 * MS);
	t.tv_sec += left_ns / (1000 * MS) + t.tv_nsec / (1000 * MS);
	t.tv_nsec %= 1000 * MS;
	return t;
}

/* Until there is something to look into or a round is due. Returns false to end. */
static bool wait_for_work(struct namespaces *n, struct hint *ret, size_t *ret_n)
{
	(void)pthread_mutex_lock(&n->lock);
	while (!n->is_stopping) {
		int64_t now = clock_boot_ns(), when = n->next_ns;

		if (now >= n->next_ns || (n->nhints && now >= n->rest_ns))
			break;
		if (n->nhints && n->rest_ns < when)
			when = n->rest_ns;
		struct timespec t = until(when - now);

		(void)pthread_cond_timedwait(&n->changed, &n->lock, &t);
	}
	bool goes_on = !n->is_stopping;

	memcpy(ret, n->hints, n->nhints * sizeof(*ret));
	*ret_n = n->nhints;
	n->nhints = 0;
	(void)pthread_mutex_unlock(&n->lock);
	return goes_on;
}

static void *run(void *arg)
{
	struct namespaces *n = arg;
	struct hint hints[HINTS_MAX];
	size_t count = 0;

	while (wait_for_work(n, hints, &count)) {
		int64_t begin = clock_boot_ns(), end;

		for (size_t i = 0; i < count; i++)
			look_into(n, &hints[i]);
		end = clock_boot_ns();
		n->rest_ns = end + HINT_SHARE * (end - begin);
		if (end >= n->next_ns)
			look_round(n);
	}
	return NULL;
}

/* ---- from outside */

void namespaces_look(struct namespaces *n, uint64_t agent, int pid)
{
	bool is_known = false;

	(void)pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->nhints; i++)
		is_known = is_known || n->hints[i].pid == pid;
	/* More than that at once: a round, as if the process were gone already. */
	if (!is_known && n->nhints < HINTS_MAX)
		n->hints[n->nhints++] = (struct hint){ .agent = agent, .pid = n->nhints < HINTS_MAX - 1 ? pid : 0 };
	(void)pthread_cond_signal(&n->changed);
	(void)pthread_mutex_unlock(&n->lock);
}

size_t namespaces_list(struct namespaces *n, struct path_namespace *ret, size_t most)
{
	size_t count = 0;

	(void)pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->nplaces; i++) {
		const struct place *p = &n->places[i];

		if (!p->on4 && !p->on6)
			continue;
		if (count < most)
			ret[count] = (struct path_namespace){ .inode = p->id.ino, .agent = p->agent, .pid = p->pid,
							      .port4 = p->on4 ? p->l.port4 : 0, .port6 = p->on6 ? p->l.port6 : 0 };
		count++;
	}
	(void)pthread_mutex_unlock(&n->lock);
	return count;
}

static int run_thread(struct namespaces *n)
{
	int r = thread_start(&n->thread, NULL, run, n);

	n->is_running = r == 0;
	return r;
}

/* ---- a hand-over */

void namespaces_pause(struct namespaces *n)
{
	(void)pthread_mutex_lock(&n->lock);
	n->is_stopping = true;
	(void)pthread_cond_signal(&n->changed);
	(void)pthread_mutex_unlock(&n->lock);
	if (n->is_running)
		(void)pthread_join(n->thread, NULL);
	n->is_running = false;
}

int namespaces_resume(struct namespaces *n)
{
	n->is_stopping = false;
	return n->is_running ? 0 : run_thread(n);
}

void namespaces_each(struct namespaces *n, void (*fn)(void *ctx, const struct path_inherited *one), void *ctx)
{
	for (size_t i = 0; i < n->nplaces; i++) {
		const struct place *p = &n->places[i];
		struct path_inherited one = {
			.fd4 = p->on4 ? p->on4->fd : -1, .fd6 = p->on6 ? p->on6->fd : -1, .port4 = p->l.port4, .port6 = p->l.port6,
			.cookie = p->l.cookie, .dev = p->id.dev, .ino = p->id.ino, .agent = p->agent, .pid = p->pid, .tid = p->tid,
		};

		if (p->on4 || p->on6)
			fn(ctx, &one);
	}
}

static int adopt(struct namespaces *n, const struct path_inherited *one)
{
	struct listenings *all = path_listenings(n->path);
	struct place *p = n->nplaces < NAMESPACES_MAX ? &n->places[n->nplaces] : NULL;

	if (!p)
		return -E2BIG;
	*p = (struct place){ .id = { .dev = one->dev, .ino = one->ino }, .l = NETNS_LISTENER_NONE, .agent = one->agent, .pid = one->pid,
			     .tid = one->tid, .seen_ns = clock_boot_ns() };
	p->l.cookie = one->cookie;
	p->l.port4 = one->port4;
	p->l.port6 = one->port6;
	n->nplaces++;
	p->on4 = one->fd4 >= 0 ? listenings_add(all, one->fd4, one->cookie) : NULL;
	p->on6 = one->fd6 >= 0 ? listenings_add(all, one->fd6, one->cookie) : NULL;
	return (one->fd4 < 0) == !p->on4 && (one->fd6 < 0) == !p->on6 ? 0 : -ENOMEM;
}

static int adopt_all(struct namespaces *n)
{
	const struct path_options *o = path_options_of(n->path);
	int r = 0;

	for (size_t i = 0; r == 0 && i < o->ninherited; i++)
		if (!o->inherited[i].is_own)
			r = adopt(n, &o->inherited[i]);
	if (o->ninherited)
		path_wake_workers(n->path);
	return r;
}

int namespaces_start(struct path *p, struct namespaces **ret, struct err *e)
{
	struct namespaces *n = calloc(1, sizeof(*n));
	pthread_condattr_t attr;

	if (!n || !(n->places = calloc(NAMESPACES_MAX, sizeof(*n->places)))) {
		free(n);
		return err_set(e, ENOMEM, "egress: no memory");
	}
	n->path = p;
	n->gate = path_env_of(p)->gate;
	(void)pthread_mutex_init(&n->lock, NULL);
	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	(void)pthread_cond_init(&n->changed, &attr);
	(void)pthread_condattr_destroy(&attr);

	int r = netns_own(&n->own);

	if (r == 0)
		r = adopt_all(n);
	if (r == 0)
		r = run_thread(n);
	if (r < 0) {
		free(n->places);
		free(n);
		return err_set(e, -r, "egress: cannot watch network namespaces: %s", strerror(-r));
	}
	*ret = n;
	return 0;
}

/* The rows stay in the gate: until the next daemon their ports are nobody else's. The listenings are dropped by the path. */
void namespaces_stop(struct namespaces *n)
{
	if (!n)
		return;
	namespaces_pause(n);
	(void)pthread_cond_destroy(&n->changed);
	(void)pthread_mutex_destroy(&n->lock);
	free(n->places);
	free(n);
}
