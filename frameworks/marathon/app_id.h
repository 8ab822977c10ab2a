/* SPDX-License-Identifier: Apache-2.0
 * app_id.h - ids of apps and groups, and the ids made from them (facts: marathon 2.2, 3.3). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A Mesos task id has at most 255 bytes: `<id>.instance-<uuid>._app.<number>` must fit. */
#define APP_ID_MAX 180
#define APP_ID_SIZE (APP_ID_MAX + 1)

/* Resolves raw against base (an absolute id, "/" for most callers): folds ".", "..", doubled and trailing slashes. out is
 * absolute, "/" for the root. false: longer than APP_ID_MAX. Characters are not judged: good for look-ups. */
bool app_id_resolve(const char *raw, const char *base, char out[APP_ID_SIZE]);
/* NULL when the absolute id may name an app, else why not (static text). */
const char *app_id_problem(const char *id);
/* Is id below group (not equal)? Everything but "/" is below "/". */
bool app_id_is_below(const char *id, const char *group);
/* "/a/b" -> "a_b". */
void app_id_to_safe(const char *id, char out[APP_ID_SIZE]);
/* "/a/b" -> "b.a": name of its tasks. */
void app_id_to_name(const char *id, char out[APP_ID_SIZE]);
