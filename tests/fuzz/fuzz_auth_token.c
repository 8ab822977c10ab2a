/* SPDX-License-Identifier: Apache-2.0
 * Tokens as they come, which are hardly ever signed; and the input as the payload of one that is: made, read, the same. */
#include <stdint.h>
#include <string.h>

#include "common/auth/token.h"
#include "common/base/check.h"
#include "common/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char key[] = "a key of the fuzzer's own";
    struct auth_subject subject;
    const char *why;
    struct arena *arena = arena_new(0);
    struct auth_tokens *tokens = auth_tokens_new(key, sizeof(key));
    (void)auth_token_read(tokens, (const char *)data, size, 1, arena, &subject, &why);
    if (size < 256 && memchr(data, '\0', size) == NULL && text_is_utf8(data, size)) {
        char *id = arena_memdup(arena, data, size);
        id = arena_printf(arena, "%.*s", (int)size, size > 0 ? id : "");
        char *token = auth_token_make(tokens, id, id, "c", arena);
        CHECK(auth_token_read(tokens, token, strlen(token), 1, arena, &subject, &why) == 0);
        CHECK(strcmp(subject.framework_id, id) == 0 && strcmp(subject.executor_id, id) == 0);
    }
    auth_tokens_free(tokens);
    arena_free(arena);
    return 0;
}
