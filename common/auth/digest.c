/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>

#include "common/base/check.h"

struct auth_digest {
    EVP_MAC *mac;
    EVP_MAC_CTX *context; /* keeps the key between uses */
};

/* None of these can fail but for memory or a libcrypto without SHA-256: there is nothing to go on with then. */

struct auth_digest *auth_digest_new(const void *key, size_t len)
{
    struct auth_digest *d = xcalloc(1, sizeof(*d));
    char name[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                 OSSL_PARAM_construct_end()};
    d->mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    CHECK(d->mac != NULL);
    d->context = EVP_MAC_CTX_new(d->mac);
    CHECK(d->context != NULL && EVP_MAC_init(d->context, key, len, params) == 1);
    return d;
}

struct auth_digest *auth_digest_free(struct auth_digest *d)
{
    if (d == NULL)
        return NULL;
    EVP_MAC_CTX_free(d->context);
    EVP_MAC_free(d->mac);
    free(d);
    return NULL;
}

void auth_digest(struct auth_digest *d, const struct auth_digest_part *parts, size_t count, uint8_t out[AUTH_DIGEST_BYTES])
{
    size_t len = 0;
    CHECK(EVP_MAC_init(d->context, NULL, 0, NULL) == 1);
    for (size_t i = 0; i < count; i++)
        CHECK(EVP_MAC_update(d->context, parts[i].data, parts[i].len) == 1);
    CHECK(EVP_MAC_final(d->context, out, &len, AUTH_DIGEST_BYTES) == 1 && len == AUTH_DIGEST_BYTES);
}
