// SPDX-License-Identifier: Apache-2.0
/* alert/post.c: one HTTP POST of an alert, on libcurl, whose types show nowhere else. */
#include "ctl/alert/post.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/str.h"
#include "ctl_abi.h"
#include "wire/hmac.h"

#define ANSWER_MAX (64 * 1024) /* read and thrown away; more is cut off */
#define SECRET_MAX 4096
#define AFTER_MAX_S 300

int alert_post_init(struct err *e)
{
	CURLcode c = curl_global_init(CURL_GLOBAL_DEFAULT);

	return c == CURLE_OK ? 0 : err_set(e, EIO, "alerts: libcurl cannot start: %s", curl_easy_strerror(c));
}

void alert_post_done(void)
{
	curl_global_cleanup();
}

/* ---- signing */

static int read_secret(const char *path, char *mem, size_t size, size_t *ret_n, struct err *why)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t n = fd < 0 ? -1 : read(fd, mem, size);

	if (n < 0)
		return err_set(why, errno, "secret_file %s: %s", path, strerror(errno));
	while (n > 0 && (mem[n - 1] == '\n' || mem[n - 1] == '\r'))
		n--;
	if (n == 0 || (size_t)n == size)
		return err_set(why, EINVAL, "secret_file %s: holds no secret of 1 to %zu bytes", path, size - 1);
	*ret_n = (size_t)n;
	return 0;
}

static int sign(const struct alert_post *p, char *header, size_t size, struct err *why)
{
	char secret[SECRET_MAX], hex[HMAC_HEX_MAX];
	struct buf text;
	size_t n = 0;
	int r = read_secret(p->secret_file, secret, sizeof(secret), &n, why);

	if (r < 0)
		return r;
	buf_init(&text, p->body.n + 64);
	r = buf_printf(&text, "%lld.", (long long)p->now_s);
	if (r == 0)
		r = buf_append(&text, p->body.p, p->body.n);
	if (r == 0)
		r = hmac_sha256((struct str){ secret, n }, (struct str){ buf_ptr(&text), buf_len(&text) }, hex);
	buf_done(&text);
	explicit_bzero(secret, sizeof(secret));
	if (r < 0)
		return err_set(why, -r, "cannot be signed: %s", strerror(-r));
	(void)snprintf(header, size, "x-purse-signature: t=%lld,v1=%s", (long long)p->now_s, hex);
	return 0;
}

/* ---- the request */

static size_t swallow(char *bytes, size_t size, size_t n, void *ctx)
{
	size_t *seen = ctx;

	*seen += size * n;
	return *seen > ANSWER_MAX ? 0 : size * n;
}

static int progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	return __atomic_load_n((const bool *)ctx, __ATOMIC_RELAXED) ? 1 : 0;
}

static struct curl_slist *headers_of(const struct alert_post *p, struct err *why)
{
	static const char *const fixed[] = { "content-type: application/json", "expect:", "user-agent: purse/" PURSE_VERSION };
	char line[256];
	struct curl_slist *list = NULL, *longer;
	bool failed = p->secret_file[0] && sign(p, line, sizeof(line), why) < 0;

	if (failed)
		return NULL;
	for (size_t i = 0; i < 5 && !failed; i++) {
		if (i == 4)
			(void)snprintf(line, sizeof(line), "x-purse-alert-id: %s", p->id);
		if (i == 3 && !p->secret_file[0])
			continue;
		longer = curl_slist_append(list, i < 3 ? fixed[i] : line);
		failed = !longer;
		list = longer ? longer : list;
	}
	if (failed) {
		curl_slist_free_all(list);
		list = NULL;
		(void)err_set(why, ENOMEM, "out of memory");
	}
	return list;
}

static void set_up(CURL *curl, const struct alert_post *p, struct curl_slist *headers, size_t *seen)
{
	(void)curl_easy_setopt(curl, CURLOPT_URL, p->url);
	(void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	(void)curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	(void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	/* Who stops does not wait for a name server: its thread ends by itself. */
	(void)curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L);
	(void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)p->timeout_ms);
	(void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)p->body.n);
	(void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, p->body.p);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, swallow);
	(void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, seen);
	(void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress);
	(void)curl_easy_setopt(curl, CURLOPT_XFERINFODATA, (void *)p->stop);
}

static enum alert_outcome judge(long status, struct err *why)
{
	if (status >= 200 && status < 300)
		return ALERT_DELIVERED;
	(void)err_set(why, EPROTO, status / 100 == 3 ? "answered %ld, and redirects are not followed" : "answered %ld", status);
	return status >= 500 || status == 408 || status == 425 || status == 429 ? ALERT_TRY_AGAIN : ALERT_HOPELESS;
}

enum alert_outcome alert_post(const struct alert_post *p, int64_t *ret_after_s, struct err *why)
{
	struct curl_slist *headers = headers_of(p, why);
	CURL *curl = headers ? curl_easy_init() : NULL;
	enum alert_outcome out = ALERT_TRY_AGAIN;
	curl_off_t after = 0;
	size_t seen = 0;
	long status = 0;

	*ret_after_s = 0;
	if (headers && !curl)
		(void)err_set(why, ENOMEM, "out of memory");
	if (curl) {
		set_up(curl, p, headers, &seen);
		CURLcode c = curl_easy_perform(curl);

		(void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
		(void)curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &after);
		/* An answer that is too long is one all the same. */
		if (c == CURLE_OK || (c == CURLE_WRITE_ERROR && status >= 200))
			out = judge(status, why);
		else if (c == CURLE_ABORTED_BY_CALLBACK)
			out = ALERT_STOPPED;
		else
			(void)err_set(why, EIO, "%s", curl_easy_strerror(c));
		*ret_after_s = after > AFTER_MAX_S ? AFTER_MAX_S : after;
	}
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return out;
}
