// SPDX-License-Identifier: Apache-2.0
/* test_endpoints.c: the gate's table of addresses: fixed ones, learned ones, what is forgotten and what never is. */
#include "cm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "ctl/config.h"
#include "ctl/endpoints.h"
#include "fakes.h"

#define DAY INT64_C(86400)

static struct config *config;
static struct endpoints *ep;

static void start(const char *text)
{
	struct err e = { "" };

	memset(fake_endpoints, 0, sizeof(fake_endpoints));
	if (config_parse("t.yaml", text, strlen(text), &config, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(endpoints_new(config, NULL, NULL, &ep, &e), 0);
}

static void stop(void)
{
	endpoints_free(ep);
	config_free(config);
}

static struct sockaddr_storage sock(const char *text)
{
	struct sockaddr_storage ss = { 0 };

	if (inet_pton(AF_INET, text, &((struct sockaddr_in *)&ss)->sin_addr) == 1)
		ss.ss_family = AF_INET;
	else if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&ss)->sin6_addr) == 1)
		ss.ss_family = AF_INET6;
	return ss;
}

static const struct fake_endpoint *in_gate(const char *text)
{
	struct sockaddr_storage ss = sock(text);
	uint8_t addr[16] = { [10] = 0xff, 0xff };

	if (ss.ss_family == AF_INET)
		memcpy(addr + 12, &((struct sockaddr_in *)&ss)->sin_addr, 4);
	else
		memcpy(addr, &((struct sockaddr_in6 *)&ss)->sin6_addr, 16);
	return fake_endpoint(addr);
}

static void learn(const char *host, int64_t now, const char *a, const char *b)
{
	struct sockaddr_storage addrs[2] = { a ? sock(a) : (struct sockaddr_storage){ 0 }, b ? sock(b) : (struct sockaddr_storage){ 0 } };

	endpoints_learn(ep, host, addrs, (a != NULL) + (b != NULL), a ? NULL : "no such name", now);
}

static size_t total(void)
{
	size_t n = 0;

	for (int i = 0; i < 1024; i++)
		n += fake_endpoints[i].used;
	return n;
}

static void fixed_addresses(void **state)
{
	start("providers: [{name: p, dialect: openai, hosts: [a.example.com, b.example.com], class: shared, "
	      "addresses: [198.51.100.7, '2001:db8::7']}]");
	assert_int_equal(total(), 2);
	assert_int_equal(in_gate("198.51.100.7")->class, GATE_CLASS_SHARED);
	assert_non_null(in_gate("2001:db8::7"));
	/* DNS has no say. */
	learn("a.example.com", 10, "203.0.113.1", NULL);
	assert_int_equal(total(), 2);
	stop();
}

static void learned_addresses(void **state)
{
	char mem[64];

	start("providers: [{name: p, dialect: openai, hosts: [x.example.net]}, {name: q, dialect: openai, hosts: [a.example.com]}]");
	learn("a.example.com", 10, "198.51.100.1", "2001:db8::1");
	assert_int_equal(in_gate("198.51.100.1")->provider, 1);
	assert_int_equal(in_gate("2001:db8::1")->class, GATE_CLASS_DEDICATED);
	/* Another set comes beside it. */
	learn("a.example.com", 40, "198.51.100.2", NULL);
	assert_int_equal(total(), 3);
	/* No answer, for days: all stay. */
	learn("a.example.com", 10 * DAY, NULL, NULL);
	assert_int_equal(total(), 3);
	/* An answer again: what was not seen for a day goes, what was just seen stays. */
	learn("a.example.com", 10 * DAY + 1, "198.51.100.2", NULL);
	assert_int_equal(total(), 1);
	assert_non_null(in_gate("198.51.100.2"));
	/* Seen within the day: stays. */
	learn("a.example.com", 10 * DAY + 2, "198.51.100.3", NULL);
	learn("a.example.com", 11 * DAY, "198.51.100.3", NULL);
	assert_int_equal(total(), 2);
	learn("a.example.com", 11 * DAY + 1, "198.51.100.3", NULL);
	assert_int_equal(total(), 1);
	assert_string_equal(endpoints_address(ep, 1, 0, mem, sizeof(mem)), "198.51.100.3");
	/* Answers of no known family are no reason to forget. */
	struct sockaddr_storage odd = { .ss_family = AF_UNIX };

	endpoints_learn(ep, "a.example.com", &odd, 1, NULL, 30 * DAY);
	assert_int_equal(total(), 1);
	stop();
}

static void shared_between_hosts(void **state)
{
	start("providers: [{name: p, dialect: openai, class: shared, hosts: [a.example.com]}, "
	      "{name: q, dialect: openai, hosts: [b.example.net]}]");
	learn("b.example.net", 0, "198.51.100.1", NULL);
	learn("a.example.com", 1, "198.51.100.1", NULL);
	/* The stricter class counts, whoever came last. */
	assert_int_equal(in_gate("198.51.100.1")->class, GATE_CLASS_DEDICATED);
	/* One forgets it, the other one still has it. */
	learn("a.example.com", 2 * DAY, "198.51.100.9", NULL);
	assert_non_null(in_gate("198.51.100.1"));
	stop();
}

static void many_addresses(void **state)
{
	char mem[64];

	start("providers: [{name: p, dialect: openai, hosts: [a.example.com]}]");
	for (int i = 0; i < 300; i++) {
		(void)snprintf(mem, sizeof(mem), "10.0.%d.%d", i / 250, i % 250 + 1);
		learn("a.example.com", 5, mem, NULL);
	}
	assert_int_equal(total(), ENDPOINTS_PER_HOST);
	/* Full of old ones, and the answer is new: nothing is dropped for something that could not be put. */
	learn("a.example.com", 3 * DAY, "198.51.100.1", NULL);
	assert_int_equal(total(), ENDPOINTS_PER_HOST);
	learn("a.example.com", 3 * DAY + 1, "10.0.0.1", "198.51.100.1");
	learn("a.example.com", 3 * DAY + 2, "10.0.0.1", "198.51.100.1");
	assert_int_equal(total(), 2);
	stop();
}

static bool see(void *ctx, size_t i, const struct endpoint_view *v)
{
	if (i == 0)
		assert_true(v->wildcard && !v->fixed && v->naddrs == 0);
	else
		assert_string_equal(v->error, "no such name");
	return true;
}

static void wildcards_and_errors(void **state)
{
	start("providers: [{name: p, dialect: openai, hosts: [.example.com, a.example.net]}]");
	learn(".example.com", 5, "198.51.100.1", NULL);
	learn("a.example.net", 5, NULL, NULL);
	assert_int_equal(total(), 0);
	endpoints_each(ep, see, NULL);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fixed_addresses),      cmocka_unit_test(learned_addresses),
		cmocka_unit_test(shared_between_hosts), cmocka_unit_test(many_addresses),
		cmocka_unit_test(wildcards_and_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
