/* SPDX-License-Identifier: Apache-2.0
 * selector.h - label selectors of GET /v2/apps?label= (facts: marathon 1.4): key, key==v, key!=v, key in (a,b), key notin
 * (a,b), joined by commas. Pure. */
#pragma once

#include <stdbool.h>

#include "frameworks/marathon/app.h"

/* Is the text a selector at all? */
bool selector_is_valid(const char *text);
/* Of a valid selector: does it choose these labels? */
bool selector_matches(const char *text, const struct pairs *labels);
