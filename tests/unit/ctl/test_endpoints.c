// SPDX-License-Identifier: Apache-2.0
/* test_endpoints.c: the gate's table of addresses: fixed ones, learned ones, what is forgotten and what never is. */
#include "cm.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/addr.h"
#include "ctl/config/config.h"
#include "ctl/endpoint_proof.h"
#include "ctl/endpoints.h"
#include "fakes.h"

#define DAY INT64_C(86400)
#define HOUR INT64_C(3600)

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

	endpoints_learn(ep, host, addrs, (a != NULL) + (b != NULL), 60, a ? NULL : "no such name", now);
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
	endpoints_sweep(ep, 10 * DAY);
	assert_int_equal(total(), 3);
	/* An answer again: what was not named for an hour goes, what was just named stays. */
	learn("a.example.com", 10 * DAY + 1, "198.51.100.2", NULL);
	assert_int_equal(total(), 1);
	assert_non_null(in_gate("198.51.100.2"));
	/* Named within the hour: stays. */
	learn("a.example.com", 10 * DAY + 2, "198.51.100.3", NULL);
	learn("a.example.com", 10 * DAY + HOUR, "198.51.100.3", NULL);
	assert_int_equal(total(), 2);
	learn("a.example.com", 10 * DAY + HOUR + 1, "198.51.100.3", NULL);
	assert_int_equal(total(), 1);
	assert_string_equal(endpoints_address(ep, 1, 0, mem, sizeof(mem)), "198.51.100.3");
	/* Answers of no known family are no reason to forget. */
	struct sockaddr_storage odd = { .ss_family = AF_UNIX };

	endpoints_learn(ep, "a.example.com", &odd, 1, 60, NULL, 30 * DAY);
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

/* ---- known by SNI */

static void prove_by(const char *agent, unsigned provider, const char *name, const char *address, bool is_own, int64_t now)
{
	struct sockaddr_storage ss = sock(address);
	struct proof p = { .port = 443, .tag = provider };

	(void)snprintf(p.agent, sizeof(p.agent), "%s", agent);
	(void)snprintf(p.name, sizeof(p.name), "%s", name);
	assert_true(addr_from_sockaddr(&ss, p.addr, NULL));
	endpoints_proven(ep, &p, is_own, now);
}

/* An agent of its own for each address, so that bounds of one agent do not matter. */
static void prove(unsigned provider, const char *name, const char *address, int64_t now)
{
	static unsigned count;
	char agent[32];

	(void)snprintf(agent, sizeof(agent), "agent-%u", count++);
	prove_by(agent, provider, name, address, false, now);
}

static size_t learned(void)
{
	struct endpoints_counts n;

	endpoints_count(ep, &n);
	return n.learned;
}

static void proven_addresses(void **state)
{
	start("providers: [{name: p, dialect: openai, hosts: [a.example.com, .example.net]}]");
	learn("a.example.com", 10, "198.51.100.1", NULL);
	/* Near what DNS names: the provider's class. Anywhere else: shared. */
	prove(0, "a.example.com", "198.51.100.77", 20);
	prove(0, "a.example.com", "203.0.113.5", 20);
	prove(0, "x.example.net", "198.51.100.78", 20);
	assert_int_equal(in_gate("198.51.100.77")->class, GATE_CLASS_DEDICATED);
	assert_int_equal(in_gate("198.51.100.78")->class, GATE_CLASS_DEDICATED);
	assert_int_equal(in_gate("203.0.113.5")->class, GATE_CLASS_SHARED);
	assert_int_equal(learned(), 3);
	/* What is learned makes nothing else near. */
	prove(0, "a.example.com", "203.0.113.6", 20);
	assert_int_equal(in_gate("203.0.113.6")->class, GATE_CLASS_SHARED);
	/* DNS names it, too: better known. */
	learn("a.example.com", 30, "203.0.113.5", NULL);
	assert_int_equal(in_gate("203.0.113.5")->class, GATE_CLASS_DEDICATED);
	assert_int_equal(learned(), 3);
	/* Names that are none of the provider's, providers that are none. */
	prove(0, "other.test", "203.0.113.9", 20);
	prove(0, "example.net", "203.0.113.9", 20);
	prove(7, "a.example.com", "203.0.113.9", 20);
	assert_null(in_gate("203.0.113.9"));
	/* An hour after the last proof they go, also without DNS. */
	prove(0, "x.example.net", "198.51.100.78", 20 + HOUR / 2);
	endpoints_sweep(ep, 20 + HOUR);
	assert_null(in_gate("198.51.100.77"));
	assert_non_null(in_gate("198.51.100.78"));
	assert_non_null(in_gate("198.51.100.1")); /* DNS's: not swept */
	endpoints_sweep(ep, 20 + 2 * HOUR);
	assert_null(in_gate("198.51.100.78"));
	stop();
}

static void own_addresses_are_not_learned(void **state)
{
	start("providers: [{name: p, dialect: openai, hosts: [a.example.com]}]");
	prove_by("bot", 0, "a.example.com", "192.0.2.3", true, 5);
	assert_int_equal(total(), 0);
	/* Unless it is where the provider is known to be. */
	learn("a.example.com", 10, "192.0.2.1", NULL);
	prove_by("bot", 0, "a.example.com", "192.0.2.3", true, 15);
	assert_int_equal(total(), 2);
	stop();
}

/* Neighbours of an agent: a relay on the next machine would prove as much. */
static void private_addresses_are_not_learned(void **state)
{
	static const char *const neighbours[] = { "10.1.2.3", "172.31.0.9", "192.168.7.7", "100.64.0.1", "198.19.0.1", "169.254.1.1", "127.0.0.9",
						  "fd00::7", "fe80::7", "fec0::7", "64:ff9b::a01:203", "64:ff9b:1::7", "::1" };

	start("providers: [{name: p, dialect: openai, hosts: [a.example.com]}]");
	for (size_t i = 0; i < sizeof(neighbours) / sizeof(neighbours[0]); i++) {
		prove_by("bot", 0, "a.example.com", neighbours[i], false, 5);
		assert_null(in_gate(neighbours[i]));
	}
	/* A company's own host, near its other addresses. */
	learn("a.example.com", 10, "10.1.2.1", NULL);
	prove_by("bot", 0, "a.example.com", "10.1.2.3", false, 15);
	prove_by("bot", 0, "a.example.com", "10.1.3.3", false, 15);
	assert_int_equal(in_gate("10.1.2.3")->class, GATE_CLASS_DEDICATED);
	assert_null(in_gate("10.1.3.3"));
	stop();
}

struct counting {
	const char *agent;
	size_t n;
};

static bool count_taught(void *ctx, size_t i, const struct endpoint_view *v)
{
	struct counting *c = ctx;
	struct endpoint_address a;

	for (size_t j = 0; j < v->naddrs; j++) {
		endpoints_address_at(ep, i, j, &a);
		c->n += strcmp(a.taught_by, c->agent) == 0;
	}
	return true;
}

static size_t taught(const char *agent)
{
	struct counting c = { .agent = agent };

	endpoints_each(ep, count_taught, &c);
	return c.n;
}

/* One agent's many addresses push out its own, never those of another. */
static void one_agent_is_bounded(void **state)
{
	char mem[64];

	start("providers: [{name: p, dialect: openai, hosts: [a.example.com, b.example.com, c.example.com]}]");
	prove_by("good", 0, "a.example.com", "192.0.2.1", false, 5);
	prove_by("good", 0, "b.example.com", "192.0.2.2", false, 5);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(mem, sizeof(mem), "203.0.113.%d", i + 1);
		prove_by("bad", 0, i % 2 ? "a.example.com" : "b.example.com", mem, false, 10 + i);
	}
	assert_int_equal(taught("bad"), ENDPOINTS_LEARNED_PER_AGENT);
	assert_int_equal(taught("good"), 2);
	assert_non_null(in_gate("192.0.2.1"));
	assert_null(in_gate("203.0.113.84"));
	assert_non_null(in_gate("203.0.113.85")); /* the newest of its own */
	/* Room of one host: who has the most there gives, although another's is older. */
	for (int i = 0; i < 16; i++) {
		(void)snprintf(mem, sizeof(mem), "198.51.100.%d", i + 1);
		prove_by("worse", 0, "c.example.com", mem, false, 200 + i);
	}
	for (int i = 0; i < 15; i++) {
		(void)snprintf(mem, sizeof(mem), "198.51.101.%d", i + 1);
		prove_by("third", 0, "c.example.com", mem, false, 220 + i);
	}
	prove_by("good", 0, "c.example.com", "192.0.2.3", false, 1);
	prove_by("fourth", 0, "c.example.com", "192.0.2.4", false, 300);
	assert_int_equal(taught("worse"), 15);
	assert_null(in_gate("198.51.100.1"));
	assert_non_null(in_gate("192.0.2.3"));
	assert_int_equal(taught("third"), 15);
	stop();
}

static void learned_ones_are_bounded(void **state)
{
	char mem[64], text[2048] = "providers: [{name: p, dialect: openai, hosts: [";

	for (int h = 0; h < 12; h++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%sh%d.example.com", h ? ", " : "", h);
	(void)strcat(text, "]}]");
	start(text);
	learn("h0.example.com", 1, "198.51.100.1", "198.51.100.2");
	for (int i = 0; i < 100; i++) {
		(void)snprintf(mem, sizeof(mem), "203.0.113.%d", i + 1);
		prove(0, "h0.example.com", mem, 10 + i);
	}
	assert_int_equal(learned(), ENDPOINTS_LEARNED_PER_HOST);
	assert_int_equal(total(), ENDPOINTS_LEARNED_PER_HOST + 2);
	assert_null(in_gate("203.0.113.1")); /* the oldest went */
	assert_non_null(in_gate("203.0.113.100"));
	assert_non_null(in_gate("198.51.100.1"));
	for (int h = 1; h < 12; h++) {
		for (int i = 0; i < 40; i++) {
			char name[32];

			(void)snprintf(mem, sizeof(mem), "9.%d.0.%d", h, i + 1);
			(void)snprintf(name, sizeof(name), "h%d.example.com", h);
			prove(0, name, mem, 200 + h * 40 + i);
		}
	}
	assert_int_equal(learned(), ENDPOINTS_LEARNED_MAX);
	assert_int_equal(total(), ENDPOINTS_LEARNED_MAX + 2);
	assert_null(in_gate("203.0.113.100"));
	assert_non_null(in_gate("198.51.100.1"));
	/* DNS needs the room: learned ones go, resolved ones never. */
	for (int i = 0; i < ENDPOINTS_PER_HOST + 10; i++) {
		(void)snprintf(mem, sizeof(mem), "192.0.%d.%d", i / 200, i % 200 + 1);
		learn("h11.example.com", 900, mem, NULL);
	}
	prove(0, "h11.example.com", "9.99.0.1", 901);
	assert_null(in_gate("9.99.0.1"));
	assert_non_null(in_gate("192.0.0.1"));
	stop();
}

/* ---- ranges, NAT64 */

static void ranges_and_nat64(void **state)
{
	start("nat64_prefixes: ['64:ff9b::/96', '2001:db8:64::/96']\n"
	      "providers: [{name: p, dialect: openai, hosts: [a.example.com], addresses: [198.51.100.0/24]},\n"
	      " {name: q, dialect: openai, class: shared, hosts: [b.example.com], addresses: [203.0.113.7]}]");
	/* A range alone is gated, DNS is asked all the same. */
	assert_int_equal(in_gate("198.51.100.0")->prefixlen, 120);
	assert_int_equal(in_gate("2001:db8:64::c633:6400")->prefixlen, 120);
	assert_int_equal(in_gate("203.0.113.7")->class, GATE_CLASS_SHARED);
	assert_int_equal(in_gate("2001:db8:64::cb00:7107")->class, GATE_CLASS_SHARED);
	learn("a.example.com", 5, "192.0.2.1", NULL);
	assert_non_null(in_gate("192.0.2.1"));
	assert_int_equal(in_gate("2001:db8:64::c000:201")->prefixlen, 128);
	/* A shared address in a dedicated range is no hole in it. */
	prove(1, "b.example.com", "198.51.100.9", 6);
	assert_int_equal(in_gate("198.51.100.9")->class, GATE_CLASS_DEDICATED);
	/* All forms go together. */
	learn("a.example.com", 5 + HOUR, "192.0.2.2", NULL);
	assert_null(in_gate("192.0.2.1"));
	assert_null(in_gate("2001:db8:64::c000:201"));
	stop();
}

/* ---- a start */

static void put_left(const char *text, enum gate_class class)
{
	struct addr_net n;

	assert_true(addr_parse_net(text, &n));
	assert_int_equal(gate_put_endpoint(NULL, n.addr, n.prefixlen, class, 3), 0);
}

static void what_an_earlier_daemon_left(void **state)
{
	struct err e = { "" };
	const char *text = "nat64_prefixes: ['2001:db8:64::/96']\n"
			   "providers: [{name: p, dialect: openai, hosts: [a.example.com, .example.net]}, {name: q, dialect: openai, hosts: [b.example.com]}]";

	memset(fake_endpoints, 0, sizeof(fake_endpoints));
	put_left("198.51.100.1", GATE_CLASS_DEDICATED);
	put_left("2001:db8:64::c633:6401", GATE_CLASS_DEDICATED);
	put_left("198.51.100.2", GATE_CLASS_SHARED);
	put_left("192.0.2.0/24", GATE_CLASS_SHARED);
	put_left("127.0.0.0/8", GATE_CLASS_EXEMPT);
	if (config_parse("t.yaml", text, strlen(text), &config, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(endpoints_new(config, NULL, NULL, &ep, &e), 0);
	assert_int_equal(total(), 5);
	learn("a.example.com", HOUR - 1, "198.51.100.1", NULL);
	endpoints_sweep(ep, HOUR - 1);
	assert_int_equal(total(), 5);
	/* b.example.com has not answered yet: perhaps it is all that is left of it. */
	endpoints_sweep(ep, 2 * HOUR);
	assert_non_null(in_gate("198.51.100.2"));
	learn("a.example.com", 2 * HOUR, "198.51.100.1", NULL);
	learn("b.example.com", 2 * HOUR, "198.51.100.3", NULL);
	endpoints_sweep(ep, 2 * HOUR);
	assert_null(in_gate("198.51.100.2"));
	assert_null(in_gate("192.0.2.0"));
	assert_non_null(in_gate("127.0.0.0"));
	assert_non_null(in_gate("198.51.100.1"));
	assert_int_equal(in_gate("198.51.100.1")->provider, 0);
	assert_non_null(in_gate("2001:db8:64::c633:6401"));
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
		cmocka_unit_test(wildcards_and_errors), cmocka_unit_test(proven_addresses),
		cmocka_unit_test(own_addresses_are_not_learned),
		cmocka_unit_test(private_addresses_are_not_learned), cmocka_unit_test(one_agent_is_bounded), cmocka_unit_test(learned_ones_are_bounded),
		cmocka_unit_test(ranges_and_nat64),  cmocka_unit_test(what_an_earlier_daemon_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
