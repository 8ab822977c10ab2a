/* SPDX-License-Identifier: Apache-2.0
 * Files of credentials, as a list and as one pair; what was read is asked for. */
#include <stdint.h>
#include <stdlib.h>

#include "common/auth/credentials.h"
#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err;
    struct auth_credentials *c = NULL;
    struct auth_credential one;
    if (auth_credentials_parse((const char *)data, size, &c, &err) == 0) {
        CHECK(auth_credentials_count(c) > 0);
        (void)auth_credentials_find(c, data, size);
    }
    auth_credentials_free(c);
    if (auth_credential_parse((const char *)data, size, &one, &err) == 0) {
        free(auth_basic_value(one.principal, one.secret));
        auth_credential_deinit(&one);
    }
    return 0;
}
