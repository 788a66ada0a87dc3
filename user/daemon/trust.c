// SPDX-License-Identifier: Apache-2.0
/*
 * daemon/trust.c: the CA and what of it is published for agents to trust, renewed while the daemon runs; and whom the daemon trusts
 * itself, followed as the files change.
 */
#include "daemon/daemon.h"

#include "base/log.h"
#include "ctl/config/config.h"
#include "ctl/trust.h"
#include "ctl_abi.h"
#include "wire/ca.h"

int start_ca(struct daemon *d, struct err *e)
{
	const struct config *c = d->config;
	const char *names[64 * 64];
	char dir[1200];
	size_t n = 0;
	bool is_new = false;

	for (size_t i = 0; i < c->providers.n; i++)
		for (size_t j = 0; j < c->providers.v[i].hosts.n && n < sizeof(names) / sizeof(names[0]); j++)
			names[n++] = c->providers.v[i].hosts.v[j];
	(void)config_place(c->state_dir, PURSE_CA_NAME, dir, sizeof(dir));
	int r = ca_open(dir, names, n, &d->ca, &is_new, e);

	if (r < 0)
		return r;
	if (is_new)
		log_info("ca", "new certificates for the configured hosts; agents that run already keep the old ones until they are "
			 "started again");
	(void)trust_dir(c, d->trust_dir, sizeof(d->trust_dir));
	r = trust_publish(d->trust_dir, ca_root_path(d->ca), ca_bundle_path(d->ca), e);
	if (r < 0)
		ca_close(d->ca);
	return r;
}

void stop_ca(struct daemon *d)
{
	ca_close(d->ca);
}

/* A daemon may run for longer than its certificates last. */
void renew_ca(struct daemon *d)
{
	bool changed, is_new;
	struct err e;
	int r = ca_renew(d->ca, &changed, &is_new, &e);

	if (r == 0 && changed)
		r = trust_publish(d->trust_dir, ca_root_path(d->ca), ca_bundle_path(d->ca), &e);
	if (r < 0)
		log_error("ca", "%s; the certificates are to be renewed, and this is tried again in an hour", e.text);
	else if (is_new)
		log_info("ca", "new certificates for the configured hosts; agents that were started more than 30 days ago have to be started again");
	else if (changed)
		log_info("ca", "the root of the next certificates is published; agents learn of it when they are started, and it is used when the "
			 "present one has 30 days left");
}

void follow_trust(struct daemon *d)
{
	const char *extra = d->config->upstream_ca[0] ? d->config->upstream_ca : NULL;
	struct err e;
	int r = ca_clients_follow(d->ca, extra, &e);

	if (r < 0)
		log_error("upstream", "%s; providers are verified as before until the file changes again", e.text);
	else if (r > 0)
		log_info("upstream", "roots and revocation lists have changed and are loaded again");
}
