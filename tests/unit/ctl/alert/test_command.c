// SPDX-License-Identifier: Apache-2.0
/*
 * test_command.c: alert/command.c and alert/group.c with real processes: what ends, what does not, what runs away (setsid, double fork, stdout held
 * open), what is cut by a stop. Nothing may be left running, no folder, no descriptor, and nobody waits longer than is said. Stops of a POST (alert/post.c) are here, too.
 */
#include "cm.h"

#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/alert/group.h"
#include "ctl/alert/post.h"
#include "kern/cgroup.h"

/* Two forks and a session of its own; the last one's pid is told in $OUT and it never ends. */
#define RUN_AWAY "setsid /bin/sh -c '(echo $$ > $OUT; exec sleep 1000) &' ; while ! test -s $OUT; do sleep 0.01; done; "

static struct {
	char dir[64], out[128], own[1100];
	bool has_cgroup, stop;
} t;

static int set_up(void **state)
{
	char mount[512], path[512];

	memset(&t, 0, sizeof(t));
	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/purse-test-XXXXXX");
	assert_non_null(mkdtemp(t.dir));
	(void)snprintf(t.out, sizeof(t.out), "%s/out", t.dir);
	if (cgroup_mount(mount, sizeof(mount), NULL) == 0 && cgroup_of(0, path, sizeof(path), NULL) == 0) {
		(void)snprintf(t.own, sizeof(t.own), "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
		t.has_cgroup = access(t.own, W_OK) == 0;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)unlink(t.out);
	(void)rmdir(t.dir);
	return 0;
}

static enum alert_outcome run(const char *script, int64_t timeout_ms, struct err *why, int64_t *ret_ms)
{
	char out[160], text[] = "{\"a\":1}";
	const char *const env[] = { "PATH=/usr/bin:/bin", out, NULL }, *const argv[] = { "/bin/sh", "-c", script, NULL };
	int64_t began_ns = clock_boot_ns();
	struct alert_command c = { .argv = argv, .env = env, .input = str_of(text), .timeout_ms = timeout_ms, .stop = &t.stop };

	(void)snprintf(out, sizeof(out), "OUT=%s", t.out);
	enum alert_outcome r = alert_command(&c, why);

	*ret_ms = (clock_boot_ns() - began_ns) / 1000000;
	return r;
}

static size_t count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	(void)closedir(d);
	return n;
}

static bool left_a_folder(void)
{
	char prefix[64];
	struct dirent *entry;
	bool found = false;
	DIR *d = t.has_cgroup ? opendir(t.own) : NULL;

	(void)snprintf(prefix, sizeof(prefix), "purse-alert-%d-", (int)getpid());
	while (d && (entry = readdir(d)) != NULL)
		found = found || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
	if (d)
		(void)closedir(d);
	return found;
}

/* The pid that the script has told, alive? A zombie of somebody else's is not. */
static bool runaway_lives(void)
{
	char path[64], line[256] = "";
	FILE *f = fopen(t.out, "r");
	long pid = 0;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%ld", &pid), 1);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	(void)!fgets(line, sizeof(line), f);
	(void)fclose(f);
	return !strstr(line, ") Z ");
}

static void how_it_ends(void **state)
{
	static const struct {
		const char *name, *script, *why;
		enum alert_outcome outcome;
		bool escapes; /* only a cgroup holds it */
		int64_t timeout_ms, least_ms, most_ms;
	} cases[] = {
		{ "well", "test \"$(cat)\" = '{\"a\":1}'", "", ALERT_DELIVERED, false, 5000, 0, 3000 },
		{ "does not read", "exit 0", "", ALERT_DELIVERED, false, 5000, 0, 3000 },
		{ "talks", "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2", "", ALERT_DELIVERED, false, 5000, 0, 3000 },
		{ "fails", "exit 3", "ended with 3", ALERT_TRY_AGAIN, false, 5000, 0, 3000 },
		{ "dies", "kill -SEGV $$", "died of signal 11", ALERT_TRY_AGAIN, false, 5000, 0, 3000 },
		{ "signals are plain", "kill -PIPE $$", "died of signal 13", ALERT_TRY_AGAIN, false, 5000, 0, 3000 },
		{ "too long", "sleep 1000", "killed, it took longer than 300 ms", ALERT_TRY_AGAIN, false, 300, 300, 1800 },
		{ "will not hear", "trap '' TERM HUP INT; sleep 1000 & sleep 1000", "it took longer", ALERT_TRY_AGAIN, false, 300, 300, 1800 },
		{ "waits for what it has started", "(sleep 0.3; echo 1 > $OUT) & exit 0", "", ALERT_DELIVERED, true, 5000, 300, 3000 },
		{ "runs away and waits", RUN_AWAY "sleep 1000", "killed, it took longer than 600 ms", ALERT_TRY_AGAIN, true, 600, 600, 2100 },
		{ "runs away and ends", RUN_AWAY "exit 0", "ended with 0, but what it had started still ran after 600 ms", ALERT_HOPELESS, true, 600,
		  600, 2100 },
		{ "runs away and fails", RUN_AWAY "exit 4", "ended with 4", ALERT_TRY_AGAIN, true, 600, 600, 2100 },
		{ "one that forks on and on", "f() { (f &) ; sleep 0.2; }; f; sleep 0.1; f", "killed", ALERT_TRY_AGAIN, true, 300, 300, 2500 },
	};
	size_t open_before = count_open();

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err why = { "" };
		int64_t ms;

		if (cases[i].escapes && !t.has_cgroup)
			continue;
		(void)unlink(t.out);
		enum alert_outcome r = run(cases[i].script, cases[i].timeout_ms, &why, &ms);

		if (r != cases[i].outcome || !strstr(why.text, cases[i].why) || (!cases[i].why[0] && why.text[0]) || ms < cases[i].least_ms ||
		    ms > cases[i].most_ms)
			fail_msg("%s: outcome %d after %lld ms: %s", cases[i].name, (int)r, (long long)ms, why.text);
		if (strstr(cases[i].script, "setsid") && runaway_lives())
			fail_msg("%s: it lives on", cases[i].name);
		if (left_a_folder() || count_open() != open_before || waitpid(-1, NULL, WNOHANG) != -1)
			fail_msg("%s: something is left behind", cases[i].name);
	}
	(void)signal(SIGPIPE, SIG_DFL);
}

static void what_is_not_there(void **state)
{
	static const char *const env[] = { NULL };
	static const char *const names[] = { "/no/such/program", "/etc/passwd", "/tmp" };

	for (size_t i = 0; i < COUNT(names); i++) {
		const char *const argv[] = { names[i], NULL };
		struct alert_command c = { .argv = argv, .env = env, .input = str_of("x"), .timeout_ms = 1000, .stop = &t.stop };
		struct err why = { "" };

		assert_int_equal(alert_command(&c, &why), ALERT_HOPELESS);
		assert_non_null(strstr(why.text, "cannot be run: "));
		assert_false(left_a_folder());
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	}
}

static void *stop_soon(void *ctx)
{
	struct timespec nap = { .tv_nsec = 400000000 };

	(void)nanosleep(&nap, NULL);
	__atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
	return NULL;
}

static void a_stop_waits_for_nobody(void **state)
{
	static const char *const scripts[] = { "sleep 1000", RUN_AWAY "sleep 1000", RUN_AWAY "exit 0" };

	for (size_t i = 0; i < (t.has_cgroup ? COUNT(scripts) : 1); i++) {
		struct err why = { "" };
		pthread_t thread;
		int64_t ms;

		t.stop = false;
		(void)unlink(t.out);
		assert_int_equal(pthread_create(&thread, NULL, stop_soon, NULL), 0);
		assert_int_equal(run(scripts[i], 60000, &why, &ms), ALERT_STOPPED);
		assert_int_equal(pthread_join(thread, NULL), 0);
		assert_true(ms < 400 + ALERT_STOP_MS);
		assert_false(i > 0 && runaway_lives());
		assert_false(left_a_folder());
	}
	t.stop = false;
}

/* ---- the same of a POST whose name server says nothing */

static bool go_where_no_name_server_answers(const char *file)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	FILE *f = fopen(file, "w");

	if (!f || fputs("nameserver 127.0.0.1\n", f) < 0 || fclose(f) != 0 || unshare(CLONE_NEWNS | CLONE_NEWNET) < 0)
		return false;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0 &&
	       ioctl(fd, SIOCSIFFLAGS, &lo) == 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
}

enum { WELL, BADLY, NOT_HERE };

_Noreturn static void post_and_stop(void)
{
	struct alert_post p = { .url = "http://silent.example.com/", .secret_file = "", .id = "1", .body = str_of("{}"), .timeout_ms = 60000, .stop = &t.stop };
	struct err why = { "" };
	int64_t after_s;
	pthread_t thread;

	if (!go_where_no_name_server_answers(t.out))
		_exit(NOT_HERE);
	int64_t began_ns = clock_boot_ns();

	if (alert_post_init(&why) < 0 || pthread_create(&thread, NULL, stop_soon, NULL) != 0)
		_exit(BADLY);
	enum alert_outcome r = alert_post(&p, &after_s, &why);
	int64_t ms = (clock_boot_ns() - began_ns) / 1000000;

	(void)fprintf(stderr, "outcome %d after %lld ms: %s\n", (int)r, (long long)ms, why.text);
	_exit(r == ALERT_STOPPED && ms >= 400 && ms < 400 + ALERT_STOP_MS ? WELL : BADLY);
}

static void a_stop_waits_for_no_name_server(void **state)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		post_and_stop();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NOT_HERE)
		skip();
	assert_int_equal(WEXITSTATUS(status), WELL);
}

/* A daemon that was killed leaves its command running: the next start ends it. Not that of one which lives. */
static void what_a_dead_daemon_left_is_swept(void **state)
{
	char dead_dir[1300], live_dir[1300];
	struct err e = { "" };
	int status;

	if (!t.has_cgroup)
		skip();
	pid_t dead = fork();

	if (dead == 0)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	(void)snprintf(dead_dir, sizeof(dead_dir), "%s/purse-alert-%d-%d", t.own, (int)dead, (int)dead);
	(void)snprintf(live_dir, sizeof(live_dir), "%s/purse-alert-%d-9", t.own, (int)getpid());
	assert_int_equal(cgroup_make(dead_dir, &e), 0);
	assert_int_equal(cgroup_make(live_dir, &e), 0);
	pid_t left = fork();

	if (left == 0) {
		(void)pause();
		_exit(0);
	}
	assert_int_equal(cgroup_enter(dead_dir, left, &e), 0);
	group_sweep();
	assert_int_equal(waitpid(left, &status, WNOHANG), left);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	assert_int_equal(access(dead_dir, F_OK), -1);
	assert_int_equal(access(live_dir, F_OK), 0);
	assert_int_equal(cgroup_remove(live_dir), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(how_it_ends, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_is_not_there, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_waits_for_nobody, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_stop_waits_for_no_name_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_a_dead_daemon_left_is_swept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
