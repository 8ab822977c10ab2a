/* SPDX-License-Identifier: Apache-2.0
 * pattern.h - regular expressions of LIKE and UNLIKE, in Java's syntax, on the engine of common/base/pattern.h: the whole
 * text must match, in time in proportion to steps times text. What the two write differently is translated (named groups)
 * or refused, so that no expression silently means something else: classes inside classes, intersections, flags, \p, \Q.
 * What needs back-tracking (look-around, back references, possessive repeats) is refused by the engine. */
#pragma once

#include "common/base/pattern.h"

#define KIT_PATTERN_BYTES_MAX 256
#define KIT_PATTERN_STEPS_MAX 1000

/* NULL with a reason when the text cannot be used. err may be NULL. */
struct pattern *kit_pattern_new(const char *text, struct err *err);
