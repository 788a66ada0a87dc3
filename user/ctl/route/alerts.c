// SPDX-License-Identifier: Apache-2.0
/* route/alerts.c: GET /v1/alerts and POST /v1/alerts/NAME/test. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/alert/alerts.h"
#include "ctl/route/route.h"
#include "gate_abi.h"

void route_alerts(const struct control *c, const struct request *r, struct answer *a)
{
	int ret = alerts_write(c->alerts, a->body);

	if (ret < 0)
		answer_refuse(a, 500, "alerts: %s", strerror(-ret));
}

void route_alert_test(const struct control *c, const struct request *r, struct answer *a)
{
	char name[GATE_NAME_MAX];
	struct err e = { "" };

	if (!str_copy(name, sizeof(name), r->name)) {
		answer_refuse(a, 404, "\"%.*s\" is longer than any name", 60, r->name.p);
		return;
	}
	int ret = alerts_test(c->alerts, name, clock_realtime_ns() / 1000000000, &e);

	if (ret < 0)
		answer_error(a, ret, &e);
	else if (buf_printf(a->body, "{\"name\":\"%s\"}", name) < 0)
		answer_refuse(a, 500, "out of memory");
}
