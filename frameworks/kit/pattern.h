/* SPDX-License-Identifier: Apache-2.0
 * pattern.h - regular expressions of LIKE and UNLIKE: whole-string match without back-tracking.
 *
 * Marathon takes Java's syntax. Here it is POSIX extended syntax (the C library matches it in time linear in the text as
 * long as there are no back-references) plus \d \D \w \W \s \S and (?:...). What would need back-tracking (look-around,
 * lazy or possessive quantifiers, back-references) and bounded repeats that blow up are refused when the app is validated.
 */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"

#define KIT_PATTERN_BYTES_MAX 256
#define KIT_PATTERN_REPEATS_MAX 1000 /* product of the upper bounds of all {n,m} */

struct kit_pattern;

/* NULL with a reason when the text cannot be used. */
struct kit_pattern *kit_pattern_new(const char *text, struct err *err);
struct kit_pattern *kit_pattern_free(struct kit_pattern *p); /* accepts NULL, returns NULL */
bool kit_pattern_matches(const struct kit_pattern *p, const char *whole);
