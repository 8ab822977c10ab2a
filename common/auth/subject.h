/* SPDX-License-Identifier: Apache-2.0
 * subject.h - who asks, as far as he has proven it. */
#pragma once

#include <stdbool.h>

#include "common/http/server.h"

struct auth_subject {
    const char *principal; /* NULL: nobody in particular, or an executor with a token */
    /* Of an executor's token, together or not at all. */
    const char *framework_id, *executor_id, *container_id;
};

/* Never NULL: without authentication it is the subject of which nothing is known. Lives as long as the exchange. */
const struct auth_subject *auth_subject_of(const struct http_exchange *x);
