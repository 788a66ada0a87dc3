// SPDX-License-Identifier: Apache-2.0
/* cmd/estimate_fit.c: see cmd/estimate_fit.h. */
#include "ctl/cmd/estimate_fit.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "ctl/records.h"
#include "ctl_abi.h"

enum { F_FITS, F_WHY, F_AFFORDS, F_CLAMP, F_COUNT };
static const char *const fields[F_COUNT] = { [F_FITS] = "fits", [F_WHY] = "why", [F_AFFORDS] = "affords", [F_CLAMP] = "clamp" };

static void take(void *ctx, const char *const *v)
{
	struct estimate_fit *f = ctx;

	f->fits = strcmp(v[F_FITS], "true") == 0;
	f->clamps = strcmp(v[F_CLAMP], "true") == 0;
	(void)str_copy(f->why, sizeof(f->why), str_of(v[F_WHY]));
	(void)str_copy(f->affords, sizeof(f->affords), str_of(v[F_AFFORDS]));
}

/* A path has room for names only; any other is none. */
static int target_of(const char *agent, const char *provider, const char *model, nanousd amount, struct buf *out, struct err *e)
{
	char usd[32];
	int r = 0;

	if (!agent[0] || strlen(agent) >= 64 || strspn(agent, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != strlen(agent))
		return err_set(e, EINVAL, "--agent: \"%.60s\" is not the name of an agent; `purse status` lists those that there are", agent);
	(void)usd_show(amount, usd, sizeof(usd));
	r = buf_printf(out, "/v1/agents/%s/fit", agent);
	if (r == 0)
		r = client_query(out, "provider", provider);
	if (r == 0)
		r = client_query(out, "model", model);
	if (r == 0)
		r = client_query(out, "amount", usd);
	if (r == 0)
		r = buf_append(out, "", 1);
	return r ? err_set(e, -r, "--agent: the model's name is too long") : 0;
}

int estimate_fit_ask(struct cli *cli, const char *agent, const char *provider, const char *model, nanousd amount, struct estimate_fit *ret)
{
	struct client_answer a;
	struct err e = { "" };
	struct buf target;
	int exit_code;

	buf_init(&target, 4096);
	if (target_of(agent, provider, model, amount, &target, &e) < 0)
		exit_code = cli_fail(&e, PURSE_EXIT_USAGE);
	else
		exit_code = cli_call(cli, "GET", buf_ptr(&target), NULL, &a);
	buf_done(&target);
	if (exit_code)
		return exit_code;
	*ret = (struct estimate_fit){ .asked = true };
	(void)str_copy(ret->agent, sizeof(ret->agent), str_of(agent));
	(void)records_read(&a.body, NULL, fields, F_COUNT, take, ret);
	client_answer_done(&a);
	return PURSE_EXIT_OK;
}

void estimate_fit_put(const struct estimate_fit *f, struct jsonw *w)
{
	if (!f->asked)
		return;
	jsonw_object(w, "fit");
	jsonw_cstr(w, "agent", f->agent);
	jsonw_bool(w, "fits", f->fits);
	jsonw_cstr(w, "why", f->why[0] ? f->why : NULL);
	jsonw_cstr(w, "affords", f->affords[0] ? f->affords : NULL);
	jsonw_bool(w, "clamp", f->clamps);
	jsonw_close(w);
}

void estimate_fit_show(const struct estimate_fit *f)
{
	if (!f->asked)
		return;
	if (!f->fits)
		(void)printf("\n%s: refused now: %s\n", f->agent, f->why);
	else if (f->affords[0])
		(void)printf("\n%s: fits now; a call may hold %sUSD\n", f->agent, f->affords);
	else
		(void)printf("\n%s: fits now; it has no limit\n", f->agent);
	if (!f->fits && f->clamps)
		(void)printf("With clamp on, one that is not streamed has its output limit lowered to what is left instead, if that is what stands against it.\n");
}
