// SPDX-License-Identifier: Apache-2.0
/*
 * driver.c: runs a fuzz target without libFuzzer.
 *
 *   fuzz_X [-t SECONDS] [-n RUNS] [-s SEED] [FILE or FOLDER ...]
 *
 * First every file and every built-in seed as it is, then mutations of them until the time or the count is up (default:
 * none if files are given, else 10 seconds). Whatever kills the target leaves its input in ./crash-NAME. It is blind
 * to coverage: good for a smoke test and for trying files again; libFuzzer and AFL++ dig deeper.
 */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 65536
#define INPUTS_MAX 4096
#define RUN_SECONDS_MAX 20

static struct str inputs[INPUTS_MAX];
static size_t ninputs;
static unsigned char input[INPUT_MAX];
static size_t input_len;
static const char *crash_file;

/* Only what a signal handler may call. */
static void save_input(void)
{
	FILE *f = crash_file ? fopen(crash_file, "wb") : NULL;

	if (!f)
		return;
	(void)fwrite(input, 1, input_len, f);
	(void)fclose(f);
	fprintf(stderr, "the input is in %s\n", crash_file);
	crash_file = NULL;
}

static void on_signal(int signum)
{
	if (signum == SIGALRM)
		fprintf(stderr, "one input takes over %d s\n", RUN_SECONDS_MAX);
	save_input();
	_exit(1);
}

/* AddressSanitizer and UBSan do not die by a signal. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void run_one(void)
{
	uint8_t *copy = (uint8_t *)fuzz_copy(input, input_len);

	(void)alarm(RUN_SECONDS_MAX);
	(void)LLVMFuzzerTestOneInput(copy, input_len);
	(void)alarm(0);
	free(copy);
}

static void load(struct str s)
{
	input_len = s.n < INPUT_MAX ? s.n : INPUT_MAX;
	memcpy(input, s.p, input_len);
}

static void add_input(struct str s)
{
	if (ninputs < INPUTS_MAX)
		inputs[ninputs++] = s;
}

static void add_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *p = malloc(INPUT_MAX);

	MUST(p);
	if (!f) {
		perror(path);
		exit(2);
	}
	add_input((struct str){ p, fread(p, 1, INPUT_MAX, f) });
	(void)fclose(f);
}

static void add_path(const char *path)
{
	char inside[4096];
	struct dirent *entry;
	struct stat st;
	DIR *dir;

	if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
		add_file(path);
		return;
	}
	dir = opendir(path);
	MUST(dir);
	while ((entry = readdir(dir)) != NULL) {
		(void)snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (entry->d_name[0] != '.' && stat(inside, &st) == 0 && S_ISREG(st.st_mode))
			add_file(inside);
	}
	(void)closedir(dir);
}

/* ---- mutations */

static uint32_t rng;

static size_t below(size_t n)
{
	return n ? fuzz_random(&rng) % n : 0;
}

static void cut_out(size_t at, size_t n)
{
	memmove(input + at, input + at + n, input_len - at - n);
	input_len -= n;
}

static void put_in(size_t at, const void *p, size_t n)
{
	unsigned char copy[64];

	n = n < sizeof(copy) ? n : sizeof(copy);
	if (n > INPUT_MAX - input_len)
		return;
	memcpy(copy, p, n);
	memmove(input + at + n, input + at, input_len - at);
	memcpy(input + at, copy, n);
	input_len += n;
}

static void mutate(void)
{
	static const char telling[] = "\r\n\0 \t:;,=0159afF\"{}[]-+\x7f\x80\xff\x16\x1f";
	const size_t at = below(input_len);
	const struct str other = inputs[below(ninputs)];
	size_t from;

	switch (fuzz_random(&rng) % 8) {
	case 0:
		if (input_len)
			input[at] ^= (unsigned char)(1u << below(8));
		break;
	case 1:
		if (input_len)
			input[at] = (unsigned char)fuzz_random(&rng);
		break;
	case 2:
		if (input_len)
			input[at] = (unsigned char)telling[below(sizeof(telling) - 1)];
		break;
	case 3:
		put_in(at, &telling[below(sizeof(telling) - 1)], 1);
		break;
	case 4:
		if (input_len)
			cut_out(at, below(input_len - at < 16 ? input_len - at : 16) + 1);
		break;
	case 5:
		from = below(input_len);
		put_in(at, input + from, below(input_len - from));
		break;
	case 6:
		from = below(other.n);
		put_in(at, other.p + from, below(other.n - from));
		break;
	default:
		if (below(8) == 0)
			input_len = at;
	}
}

static int64_t now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}

int main(int argc, char **argv)
{
	static char crash_name[256];
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	long seconds = -1, runs = -1, done = 0;
	uint32_t seed = (uint32_t)time(NULL) | 1;
	int64_t end;
	int option;

	while ((option = getopt(argc, argv, "t:n:s:")) != -1) {
		if (option == 't')
			seconds = atol(optarg);
		else if (option == 'n')
			runs = atol(optarg);
		else if (option == 's')
			seed = (uint32_t)strtoul(optarg, NULL, 0) | 1;
		else
			return 2;
	}
	(void)snprintf(crash_name, sizeof(crash_name), "crash-%s", name);
	crash_file = crash_name;
	(void)signal(SIGABRT, on_signal);
	(void)signal(SIGALRM, on_signal);
	if (__sanitizer_set_death_callback)
		__sanitizer_set_death_callback(save_input);
	for (int i = optind; i < argc; i++)
		add_path(argv[i]);
	for (const struct str *s = fuzz_seeds; s && s->p; s++)
		add_input(*s);
	for (size_t i = 0; i < ninputs; i++, done++) {
		load(inputs[i]);
		run_one();
	}
	if (seconds < 0 && runs < 0)
		seconds = optind < argc ? 0 : 10;
	if (ninputs == 0)
		add_input((struct str){ "", 0 });
	rng = seed;
	end = now_s() + (seconds < 0 ? 1 << 30 : seconds);
	for (long i = 0; (runs < 0 || i < runs) && now_s() < end; i++, done++) {
		load(inputs[below(ninputs)]);
		for (size_t n = below(12) + 1; n; n--)
			mutate();
		run_one();
	}
	printf("  %-16s %ld inputs, seed %u: no fault\n", name, done, seed);
	return 0;
}
