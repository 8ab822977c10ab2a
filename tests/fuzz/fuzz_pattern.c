/* SPDX-License-Identifier: Apache-2.0
 * fuzz_pattern.c - an expression, then a text: neither may crash or take long, and both must give the same answer twice. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *both = xcalloc(1, size + 2);
    if (size > 0)
        memcpy(both, data, size);
    const char *text = both + strlen(both) + 1;
    struct err err = {""};
    char *expression = xstrdup(both); /* alone, so that reading behind its end is seen */
    struct pattern *p = pattern_new(expression, 100, &err);
    free(expression);
    if (p != NULL)
        CHECK(pattern_matches(p, text) == pattern_matches(p, text));
    else
        CHECK(err.text[0] != '\0');
    pattern_free(p);
    free(both);
    return 0;
}
