// SPDX-License-Identifier: Apache-2.0
/*
 * conn.h: the agent's connection: descriptor, TLS, who it is, what waits to be written. It owns and closes the
 * descriptor. What is done with the bytes is decided by its `stage`: sniff, terminate, then one of the two servers
 * (serve_h1, serve_h2); a spliced connection gives its descriptor away.
 *
 * A conn is closed by conn_close() from anywhere and freed at the end of the loop's turn; every stage function
 * may find that it closed its own conn and returns at once.
 */
#ifndef PURSE_PATH_CONN_H
#define PURSE_PATH_CONN_H

#include "base/buf.h"
#include "base/list.h"
#include "gate_abi.h"
#include "path/shares.h"
#include "path/worker.h"

struct conn;
struct hello;
struct listening;
struct tls;
struct tunnel;

/* Whom the gate says this is. Copied into each exchange, which may outlive the conn. */
struct identity {
	struct gate_flow flow;
	char agent[GATE_NAME_MAX]; /* name in the agents map; "" for a stranger */
	char subject[64];          /* "agent bot", for log lines */
};

/* The agent as it is enrolled now: connections are kept alive for longer than an enrolment may last. -ENOENT: expelled. */
int identity_refresh(struct worker *w, struct identity *who); /* accept.c */

struct stage {
	const char *name;
	void (*readable)(struct conn *c);
	void (*writable)(struct conn *c); /* after everything queued was written; NULL ok */
	void (*timeout)(struct conn *c);
	void (*close)(struct conn *c); /* the conn is going: let go of it; NULL ok */
	void (*goodbye)(struct conn *c); /* the last words of the protocol, then conn_finish; NULL = just that */
	void (*leaving)(struct conn *c); /* this process has handed over: the connection is to end with what it has; NULL ok */
	void (*look)(struct conn *c, int64_t now_ns); /* about once a second; NULL ok */
	bool (*busy)(struct conn *c);  /* an answer is not out yet, beyond what waits in c->out; NULL ok */
};

struct conn {
	unsigned magic;
	struct worker *worker;
	struct list link; /* worker->conns */
	int fd;
	struct loop_io *io;
	struct loop_timer *timer;
	struct tls *tls; /* NULL until terminate */
	struct identity who;
	char sni[256]; /* verified to be a configured LLM host once terminated */
	const struct path_provider *provider;
	uint16_t provider_index;
	const struct stage *stage;
	void *state;       /* of the stage: struct h1_server, struct h2_server; NULL before */
	struct tunnel *tunnel; /* through a configured proxy; NULL = none */
	struct buf in;     /* sniffed or pipelined bytes */
	struct buf out;    /* plain bytes to be encrypted */
	unsigned wants;    /* LOOP_READ and LOOP_WRITE as last set by the stage's needs */
	bool read_wants_write; /* what is to be read waits until something could be written (tls_blocked_on) */
	bool tls_wants_write; /* also without bytes in out: a handshake's answer, a splice */
	bool close_when_flushed, closed;
	bool is_late; /* its time was over a moment ago: what has arrived meanwhile is looked at first */
	struct place place; /* among its agent's (shares.h) */
	int64_t stalled_ns; /* boot clock: since when nothing of out was taken; 0 = it is */
};

/* Takes the descriptor over, also on failure. -EBUSY: over its agent's bound, which was told. */
int conn_new(struct worker *w, int fd, const struct identity *who, const struct stage *first, struct conn **ret);
void conn_close(struct conn *c);
/* It lost its place to a newer one. Stays only if there is still something of an answer to write. */
void conn_shed(struct conn *c);
/* For a connection onwards, one more of that agent's share: share_give. false: none is left, which was told. */
bool conn_take_onward(struct worker *w, struct share *a, const struct identity *who);
/* Between two requests, with everything written: may lose its place from now on; or is used again. Said again is harmless. */
void conn_rest(struct conn *c);
void conn_rouse(struct conn *c);
void conns_look(struct worker *w, int64_t now_ns); /* closes those whose agent takes nothing of its answer */
bool conn_is_busy(struct conn *c); /* some of an answer is still to be written */
void conn_set_stage(struct conn *c, const struct stage *s);
void conn_set_timeout(struct conn *c, int64_t ms); /* 0 = none */
void conn_read_more(struct conn *c, bool on);      /* backpressure towards the agent */
/* Reads decrypted bytes: like tls_read, but a closed or broken connection is closed here and answers -ECONNRESET. */
ssize_t conn_read(struct conn *c, void *p, size_t n);
/* Decrypted bytes may wait inside TLS where the socket cannot tell: if so, the stage reads again this turn. */
void conn_read_soon(struct conn *c);
/* Writes what is queued in c->out; closes on failure. Returns 0, -EAGAIN if some is left, -ECONNRESET when it closed. */
int conn_flush(struct conn *c);
/* Writes out what is queued, says goodbye, reads and discards for up to 2 s so that the peer sees it all, closes. */
void conn_finish(struct conn *c);
/* Without TLS: an HTTP/1.1 answer ("403 Forbidden", a line of text), then the end. For before the handshake; what the socket does not take at once is lost. */
void conn_answer_plain(struct conn *c, const char *status, const char *text);
/* ctx: a conn. Is it one of the config's? */
bool conn_is_llm_host(void *ctx, const char *host);
/* The same from outside of the stage, with what its protocol says before it goes. */
void conn_say_goodbye(struct conn *c);

#define CONN_SNIFF_MS 5000 /* for the first bytes, of the connection and of a tunnel in it */
#define CONN_OUT_MAX (8 * 1024 * 1024) /* queued towards one agent connection; backpressure starts at CONN_OUT_HIGH */
#define CONN_OUT_HIGH (256 * 1024)

/* The stages, in the order of the way. */
extern const struct stage stage_sniff;     /* sniff.c */
extern const struct stage stage_terminate; /* terminate.c */
extern const struct stage stage_h1;        /* serve_h1.c */
extern const struct stage stage_h2;        /* serve_h2.c */
extern const struct stage stage_linger;    /* conn.c */

/* Something of it was refused for want of room: counted, and said once a minute. */
void accept_tell_share(struct worker *w, struct share *a, const struct identity *who);   /* accept.c */
void accept_ready(struct worker *w, const struct listening *on);   /* accept.c */
void terminate_begin(struct conn *c, bool offer_h2); /* terminate.c; c->in holds the ClientHello */
void h1_server_begin(struct conn *c);
void h2_server_begin(struct conn *c);
void sniff_again(struct conn *c); /* sniff.c; in a tunnel, with what of it is in c->in */
/* splice.c: takes descriptor and sniffed bytes; the conn closes itself. NULL: not TLS. Without a name: to the address asked for. In a tunnel: on. */
void splice_begin(struct conn *c, const struct hello *h);

#endif
