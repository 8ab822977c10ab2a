/* SPDX-License-Identifier: Apache-2.0
 * chronos_api.h - the routes of Chronos's API, for the shell's front (facts: net-cron E.1). */
#pragma once

#include "frameworks/kit/shell.h"

/* false: the path is not below /v1/scheduler or /scheduler, and nothing was done. path has no slash at its end. */
bool chronos_api_route(struct kit_shell *s, struct http_exchange *x, const struct http_message *m, const char *path);
