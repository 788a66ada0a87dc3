// SPDX-License-Identifier: Apache-2.0
/*
 * log.h: one line per event on stderr, `TIME LEVEL subject: text`. Thread-safe.
 * Control characters in the text are escaped (\xNN). Never pass a key, a prompt,
 * a body, a query string or a header value. Lines over 400 a second are dropped
 * and counted; the count is printed with the next line that passes.
 */
#ifndef PURSE_BASE_LOG_H
#define PURSE_BASE_LOG_H

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_set_level(enum log_level least);
/* subject names whom it is about: "agent bot", "gate", "ledger", "exchange 12". */
void log_line(enum log_level level, const char *subject, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
#define log_debug(subject, ...) log_line(LOG_LEVEL_DEBUG, subject, __VA_ARGS__)
#define log_info(subject, ...) log_line(LOG_LEVEL_INFO, subject, __VA_ARGS__)
#define log_warn(subject, ...) log_line(LOG_LEVEL_WARN, subject, __VA_ARGS__)
#define log_error(subject, ...) log_line(LOG_LEVEL_ERROR, subject, __VA_ARGS__)

#endif
