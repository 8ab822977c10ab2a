/* SPDX-License-Identifier: Apache-2.0
 * token.h - what executors show to their agent: JSON web tokens, HS256 and nothing else (facts: mesos 10.6). The key is the
 * agent's alone: it makes the tokens and reads them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/auth/subject.h"
#include "common/base/arena.h"
#include "common/base/err.h"

#define AUTH_TOKEN_BYTES_MAX 8192u /* two ids of 255 bytes, each of which JSON writes as six */

struct auth_tokens;

/* All bytes of the file are the key. is_exposed: as of other files of secrets. Less than 16 bytes are refused. */
int auth_tokens_load(const char *flag_value, struct auth_tokens **out, bool *is_exposed, struct err *err);
struct auth_tokens *auth_tokens_new(const void *key, size_t len);
struct auth_tokens *auth_tokens_free(struct auth_tokens *t);

/* The token of this run of an executor, in the arena. */
char *auth_token_make(const struct auth_tokens *t, const char *framework_id, const char *executor_id,
                      const char *container_id, struct arena *arena);

/* Reads a token: its claims go to *out, in the arena. The signature is checked before anything else is looked at. `exp` is
 * honoured when it is there; now_s are seconds since 1970. 0, or -EACCES with the reason, which says nothing of the token.
 */
int auth_token_read(const struct auth_tokens *t, const char *text, size_t len, int64_t now_s, struct arena *arena,
                    struct auth_subject *out, const char **why);
