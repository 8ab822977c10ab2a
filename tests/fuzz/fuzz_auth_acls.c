/* SPDX-License-Identifier: Apache-2.0
 * ACL files; an approver must say the same as a single question. */
#include <stdint.h>

#include "common/auth/acl.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {NULL, "a", "b", "a/b", "/metrics/snapshot"};
    struct err err;
    struct auth_acls *acls = NULL;
    if (auth_acls_parse((const char *)data, size, &acls, &err) < 0)
        return 0;
    for (int action = 0; action < AUTH_ACTION_COUNT; action++) {
        for (size_t i = 0; i < 3; i++) {
            struct auth_approver approver = auth_approver(acls, names[i], (enum auth_action)action);
            for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
                CHECK(auth_approves(&approver, names[j]) ==
                      auth_allows(acls, names[i], (enum auth_action)action, names[j]));
        }
    }
    auth_acls_free(acls);
    return 0;
}
