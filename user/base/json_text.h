// SPDX-License-Identifier: Apache-2.0
/* json_text.h: the inside of json.cc: characters, escapes and numbers of JSON (RFC 8259 sections 2, 6, 7). Pure. */
#ifndef PURSE_BASE_JSON_TEXT_H
#define PURSE_BASE_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_CHAR_BLANK 1
#define JSON_CHAR_STRUCT 2
#define JSON_CHAR_DIGIT 4
extern const unsigned char json_char_class[256];
/* What the letter behind a backslash stands for; 0 = no such escape, or 'u'. */
extern const char json_escape[256];

static inline bool json_is_blank(char c) { return json_char_class[(unsigned char)c] & JSON_CHAR_BLANK; }
static inline bool json_is_digit(char c) { return json_char_class[(unsigned char)c] & JSON_CHAR_DIGIT; }
/* May stand right behind a number or a word. */
static inline bool json_ends_word(char c)
{
	return json_char_class[(unsigned char)c] & (JSON_CHAR_BLANK | JSON_CHAR_STRUCT);
}
static inline char json_escape_letter(char c) { return json_escape[(unsigned char)c]; }

/* The value of four hexadecimal digits, -1 if they are not. Stops reading at the first that is none. */
int json_hex4(const char *p);
/* Needs escapes that were checked. The result is never longer than the source; returns its length. */
size_t json_unescape(const char *p, const char *end, char *to);
/*
 * The length of the number at p, 0 if there is none or it is malformed; what follows is the
 * caller's to check. An integer in int64 that is not "-0" sets *ret_is_int and *ret.
 */
size_t json_number(const char *p, size_t n, bool *ret_is_int, int64_t *ret);

#endif
