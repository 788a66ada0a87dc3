// SPDX-License-Identifier: Apache-2.0
/*
 * ctl_abi.h: what the daemon and the command line must agree on: version, places, exit codes, bounds of the
 * control API. The requests themselves are described in docs/control.md.
 */
#ifndef PURSE_CTL_ABI_H
#define PURSE_CTL_ABI_H

#ifndef PURSE_VERSION
#define PURSE_VERSION "0.1.0"
#endif

#define PURSE_CONFIG_ENV "PURSE_CONFIG"
#define PURSE_CONFIG_PATH "/etc/purse/purse.yaml"

/* File names below run_dir and state_dir. */
#define PURSE_SOCKET_NAME "control.sock"
#define PURSE_LOCK_NAME "gate.lock"
#define PURSE_LEDGER_NAME "ledger.db"
#define PURSE_CA_NAME "ca"
#define PURSE_ALERTS_NAME "alerts.json"
/* <run_dir>-trust: copies of the public certificates that agents of any user may read (run_dir is 0700). */
#define PURSE_TRUST_SUFFIX "-trust"
/* Where the daemon goes, below the cgroup2 mount, when it has no cgroup of its own. */
#define PURSE_DAEMON_CGROUP "/purse.daemon"
/* Where agents' cgroups are made, below cgroup_root. */
#define PURSE_AGENTS_CGROUP "/purse"

/* Exit codes: sysexits for the config, so that systemd does not restart on it. */
enum purse_exit {
	PURSE_EXIT_OK = 0,
	PURSE_EXIT_FAILURE = 1,
	PURSE_EXIT_USAGE = 2,
	PURSE_EXIT_NO_DAEMON = 3,
	PURSE_EXIT_CONFIG = 78,
};

#define CTL_REQUEST_MAX (64 * 1024)       /* head and body of one request */
#define CTL_ANSWER_MAX (128 * 1024 * 1024) /* a ledger listing is the largest */
#define CTL_CONNS_MAX 32
#define CTL_AGENT_CONNS_MAX 8             /* of these, from inside agents or from who cannot be placed */
#define CTL_LEASES_MAX 1024               /* `purse run`s at once; their connections do not count in CTL_CONNS_MAX */
#define CTL_IDLE_MS 30000                 /* between requests, and for a whole request to come in */
#define CTL_WAIT_MS 10000                 /* an answer is held back for so long while old connections are being ended */
#define CTL_EVENTS_KEPT 1000
#define CTL_LEDGER_ROWS_MAX 100000
#define CTL_LEDGER_ROWS_DEFAULT 100

#endif
