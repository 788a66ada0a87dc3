// SPDX-License-Identifier: Apache-2.0
/*
 * route.h: one control request as plain values, its answer, and the table that joins them: method, path, who may, function.
 * server.c knows sockets and HTTP; the functions of the table know neither. docs/control.md describes the same for people.
 */
#ifndef PURSE_CTL_ROUTE_H
#define PURSE_CTL_ROUTE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "ctl/control.h"
#include "ctl/peer.h"
#include "terms.h"

enum route_who {
	ROUTE_ANYONE, /* who can reach the socket at all */
	ROUTE_OWNER,  /* uid 0 and the daemon's own uid: looks */
	ROUTE_OUTSIDE, /* these, but no process of an agent, nor one that cannot be placed: whatever changes something or keeps something */
};

struct request {
	struct str method, path, query; /* path without the query */
	struct str name;  /* what stood for '*' in the route's path */
	struct str body;  /* JSON_PADDING readable bytes behind it */
	uid_t uid;
	pid_t pid;
	const struct peer *peer; /* for route_find only */
	char who[64];     /* "uid 0 pid 123": for the audit trail */
};

/* An answer without an end lasts until somebody closes. */
enum answer_length {
	ANSWER_WHOLE,  /* body is all */
	ANSWER_EVENTS, /* body, then new events as they happen */
	ANSWER_LEASE,  /* body, then nothing: the open connection is what counts */
};
struct answer {
	int status;
	const char *type;  /* content type */
	enum answer_length length;
	const char *allow; /* with 405 */
	uint64_t waits_for; /* agents_ticket(): goes out when that is over, or after CTL_WAIT_MS. 0 = at once */
	struct buf *body;
};

struct route {
	const char *method;
	const char *path; /* "/v1/agents/ * /pause" without the blanks: '*' is one name */
	enum route_who who;
	bool slow; /* runs on a thread of its own: uses only what is thread-safe (ledger, budget) */
	const char *verb; /* for the log */
	void (*run)(const struct control *c, const struct request *r, struct answer *a);
};

/* NULL: *a holds the refusal (403, 404, 405). Fills r->name. is_owner: uid 0 or the daemon's. */
const struct route *route_find(struct request *r, bool is_owner, struct answer *a);
const struct route *route_at(size_t i); /* NULL = end */

/* The one JSON object that an answer is: begun here, filled by the route, closed there (500 if it did not fit into its bounds). */
struct jsonw;
void answer_begin(struct jsonw *w, struct answer *a);
void answer_finish(struct jsonw *w, struct answer *a);
/* {"error":{"message":"…"}} with the status that fits the errno. */
void answer_error(struct answer *a, int ret, const struct err *e);
void answer_refuse(struct answer *a, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The value of key in a query, decoded into mem. false: not there. -> *ret_bad: there, but not readable. */
bool query_find(struct str query, const char *key, char *mem, size_t size, bool *ret_bad);


/* The answer of GET /v1/audit, likewise. Returns what audit_run did. */
struct audit_input;
int route_audit_write(const struct audit_input *in, struct buf *out);

/* the other files of ctl/route/ */
void route_status(const struct control *c, const struct request *r, struct answer *a);
void route_health(const struct control *c, const struct request *r, struct answer *a);
void route_gate(const struct control *c, const struct request *r, struct answer *a);
void route_trust(const struct control *c, const struct request *r, struct answer *a);
void route_events(const struct control *c, const struct request *r, struct answer *a);
void route_ledger(const struct control *c, const struct request *r, struct answer *a);
void route_ledger_prune(const struct control *c, const struct request *r, struct answer *a);
void route_audit(const struct control *c, const struct request *r, struct answer *a);
void route_lease(const struct control *c, const struct request *r, struct answer *a);
void route_reload(const struct control *c, const struct request *r, struct answer *a);
void route_agent_add(const struct control *c, const struct request *r, struct answer *a);
void route_agent_set(const struct control *c, const struct request *r, struct answer *a);
void route_agent_remove(const struct control *c, const struct request *r, struct answer *a);
void route_agent_fit(const struct control *c, const struct request *r, struct answer *a);
void route_agent_pause(const struct control *c, const struct request *r, struct answer *a);
void route_agent_resume(const struct control *c, const struct request *r, struct answer *a);
void route_agent_kill(const struct control *c, const struct request *r, struct answer *a);
void route_agent_raise(const struct control *c, const struct request *r, struct answer *a);
void route_agent_lower(const struct control *c, const struct request *r, struct answer *a);
void route_account_pause(const struct control *c, const struct request *r, struct answer *a);
void route_account_resume(const struct control *c, const struct request *r, struct answer *a);
void route_account_kill(const struct control *c, const struct request *r, struct answer *a);
void route_account_raise(const struct control *c, const struct request *r, struct answer *a);
void route_account_lower(const struct control *c, const struct request *r, struct answer *a);
void route_endpoints(const struct control *c, const struct request *r, struct answer *a);
void route_alerts(const struct control *c, const struct request *r, struct answer *a);
void route_alert_test(const struct control *c, const struct request *r, struct answer *a);
void route_account_add(const struct control *c, const struct request *r, struct answer *a);
void route_account_set(const struct control *c, const struct request *r, struct answer *a);
void route_account_remove(const struct control *c, const struct request *r, struct answer *a);

#endif
