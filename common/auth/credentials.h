/* SPDX-License-Identifier: Apache-2.0
 * credentials.h - who is allowed in: principals and their secrets (facts: mesos 10.1, 10.2), and the one pair that a client
 * of ours shows.
 *
 * A table keeps no secret. Each pair is kept as its keyed hash, with a key drawn for this process alone, and what a client
 * shows is looked up by the same hash: how long that takes tells nothing about principals or secrets, and does not grow
 * with the table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"

#define AUTH_PRINCIPAL_BYTES_MAX 255u
#define AUTH_SECRET_BYTES_MAX 4096u

struct auth_credentials;

/* Reads the text of a credentials file: {"credentials":[{"principal":"p","secret":"s"}, ...]}, or lines `principal secret`.
 * Both parts are UTF-8 without control characters and not empty, and neither has a colon: HTTP basic authentication could
 * not carry it. A principal may have several secrets, so that they can be changed without an outage. Errors never repeat a
 * secret. */
int auth_credentials_parse(const char *text, size_t len, struct auth_credentials **out, struct err *err);
/* The table of one pair, `principal:secret`. */
int auth_credentials_of_pair(const char *pair, struct auth_credentials **out, struct err *err);
struct auth_credentials *auth_credentials_free(struct auth_credentials *c);
size_t auth_credentials_count(const struct auth_credentials *c);

/* The principal of this pair, `principal:secret` as HTTP basic authentication writes it; valid as long as c. NULL: unknown,
 * or not such a pair. */
const char *auth_credentials_find(const struct auth_credentials *c, const void *pair, size_t len);

/* One pair, to show to others. */
struct auth_credential {
    char *principal, *secret;
};

/* Reads {"principal":"p","secret":"s"} or a line `principal secret`. */
int auth_credential_parse(const char *text, size_t len, struct auth_credential *out, struct err *err);
void auth_credential_deinit(struct auth_credential *c); /* wipes and frees */

/* Value of the header Authorization for this pair. Caller wipes and frees. */
char *auth_basic_value(const char *principal, const char *secret);

/* The same of the file that a flag names (file.h). is_exposed: everybody on this machine can read it, which deserves a
 * warning. */
int auth_credentials_load(const char *flag_value, struct auth_credentials **out, bool *is_exposed, struct err *err);
int auth_credential_load(const char *flag_value, struct auth_credential *out, bool *is_exposed, struct err *err);
