// SPDX-License-Identifier: Apache-2.0
/*
 * ca.h: the node's own certificate authority, which can only sign names of configured LLM hosts (promise P9).
 *
 * First ca_open on a directory: a root key is made in memory, signs one intermediate (ECDSA P-256, critical
 * nameConstraints: permitted the names, excluded all IPs; pathlen 0; serverAuth) and is destroyed; it never
 * reaches the disk. JDK ignores constraints on a root, hence the intermediate (measured). On disk (dir 0700):
 *   root.pem          what agents trust: the root in use, then the next one, then old ones until they end
 *   issuer.pem        the intermediate with its chain
 *   issuer.key        its key, 0600; wider modes or another owner are refused
 *   bundle.pem        system roots + root.pem, for variables that replace the trust store (SSL_CERT_FILE …)
 *   next.pem, .key    from 60 to 30 days before the end: the ones that come after, signed by a new root
 *   old.pem           roots and intermediates that are no longer used
 * When the names no longer match the intermediate, it expires within 30 days, or it has not begun (it was made with a
 * wrong clock), the next root and intermediate (made now, if there were none) take its place, and ret_is_new says so.
 * Validity: root and intermediate 365 days. Files that are damaged, missing in part or do not belong together are an
 * error that says which and what to do; a directory or key that others own or could read is one too. A crash while the
 * files were being written is none.
 * A constraint also permits the names below it (RFC 5280 4.2.1.10): the certificate bounds what a stolen key
 * could sign, ca_permits is the exact gate.
 * Leaves: ECDSA P-256, 7 days but never past the intermediate, backdated an hour, 128 random serial bits, the name as CN and as the only
 * SAN; minted on demand, the last 1024 cached in memory, minted anew in the last day of their life and when the
 * clock was set back. Thread-safe.
 */
#ifndef PURSE_WIRE_CA_H
#define PURSE_WIRE_CA_H

#include "base/err.h"
#include "terms.h"

struct ca;
struct tls_ctx;

/* names: lower-case host names, or ".example.com" for every name below it; copied. The directory's parent must exist. */
int ca_open(const char *dir, const char *const *names, size_t nnames, struct ca **ret, bool *ret_is_new,
	    struct err *e);
void ca_close(struct ca *ca);
bool ca_permits(const struct ca *ca, const char *host);
/* A server context for host (a reference: tls_ctx_unref). -EPERM when ca_permits is false; -EKEYEXPIRED when the
 * intermediate ran out under a daemon that was never started again. */
int ca_leaf(struct ca *ca, const char *host, struct tls_ctx **ret, struct err *e);
const char *ca_root_path(const struct ca *ca);
const char *ca_bundle_path(const struct ca *ca);
/*
 * To be called once an hour by one thread: does what a start would do to certificates that end, without a start. changed: the files
 * at root_path and bundle_path are others now, is_new: leaves are signed by another issuer from now on. Agents that read
 * their trust within the 30 days before go on; others have to be started again.
 */
int ca_renew(struct ca *ca, bool *ret_changed, bool *ret_is_new, struct err *e);
/* tls_client_ctx_new for providers: refuses all keys of this CA, the old and the next ones, too, and those that ca_renew makes. */
int ca_client_ctx_new(struct ca *ca, const char *extra_ca, struct tls_ctx **ret, struct err *e);
/*
 * Whom all of these contexts trust is loaded again, if extra_ca or the system's roots are other files than when it last was: new roots, and
 * revocation lists, which end. 1: it was; 0: nothing changed; negative: it cannot be, and they go on as before, told once for each change.
 * For the thread that makes the contexts, once a minute or so.
 */
int ca_clients_follow(struct ca *ca, const char *extra_ca, struct err *e);
/* SHA-256 of the root certificate in hex (size >= 65) and the end of the intermediate. */
void ca_describe(struct ca *ca, char *ret_fingerprint, size_t size, int64_t *ret_not_after_s);

#endif
