/* SPDX-License-Identifier: Apache-2.0
 * gate.h - lets requests in that prove who asks (facts: mesos 10.1). What he may do is acl.h's question. */
#pragma once

#include "common/auth/credentials.h"
#include "common/auth/subject.h"
#include "common/auth/token.h"

struct auth_gate {
    const struct auth_credentials *credentials; /* HTTP basic authentication; NULL: not offered */
    const struct auth_tokens *tokens;           /* of executors, by `Bearer`; NULL: not offered */
    int64_t now_s;                              /* seconds since 1970, for tokens that expire */
};

/* Does the request show a pair or a token that the gate knows? Then auth_subject_of(x) says whose. Else it was answered:
 * 401 with the challenges and no body, or 400 for more than one Authorization header, of which two readers would take two.
 */
bool auth_gate_pass(const struct auth_gate *g, const char *realm, struct http_exchange *x,
                    const struct http_message *request);
