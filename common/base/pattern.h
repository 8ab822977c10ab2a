/* SPDX-License-Identifier: Apache-2.0
 * pattern.h - regular expressions of strangers: the syntax of RE2 without flags and Unicode classes. Matching takes time in
 * proportion to program times text, whatever the expression: there is no backtracking, so there are no back references and
 * no look-around. Text is UTF-8; bytes that are not count as U+FFFD. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

#define PATTERN_BYTES_MAX 4096 /* of an expression */
#define PATTERN_DEPTH_MAX 32   /* of nested groups */
#define PATTERN_PROGRAM_MAX 10000

struct pattern;

/* program_max: steps that the expression may compile to, at most PATTERN_PROGRAM_MAX. NULL: err says what is wrong. */
struct pattern *pattern_new(const char *expression, size_t program_max, struct err *err);
struct pattern *pattern_free(struct pattern *p); /* accepts NULL, returns NULL */
/* Does the whole text match? */
bool pattern_matches(const struct pattern *p, const char *text);
