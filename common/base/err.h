/* SPDX-License-Identifier: Apache-2.0
 * err.h - an error text for people, filled where the failing object is known and extended on the way up.
 *
 * Functions return 0, a negative errno (unexpected, forwarded unchanged) or a positive outcome of their own enum.
 * Where a person reads the result, the last argument is a struct err *; NULL is allowed and drops the text. */
#pragma once

struct err {
    char text[512]; /* always terminated; longer texts are cut */
};

/* Sets the text and returns code, so that `return err_set(err, -EINVAL, "...")` reads well. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Like err_set with ": <strerror(-code)>" at the end; code is a negative errno. */
int err_sys(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<prefix>: " before the present text and returns code. */
int err_wrap(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
