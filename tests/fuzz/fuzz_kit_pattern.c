/* SPDX-License-Identifier: Apache-2.0
 * fuzz_kit_pattern.c - an expression in Java's syntax, then a text: neither may crash or take long, a refusal has a reason,
 * and an expression without anything special matches what it spells. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/kit/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that are no UTF-8 all match each other. */
static bool is_plain(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s >= 128 || strchr("\\[](){}|*+?.^$", *s) != NULL)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *both = xcalloc(1, size + 2);
    if (size > 0)
        memcpy(both, data, size);
    const char *text = both + strlen(both) + 1;
    struct err err = {""};
    struct pattern *p = kit_pattern_new(both, &err);
    if (p == NULL)
        CHECK(err.text[0] != '\0');
    else if (is_plain(both))
        CHECK(pattern_matches(p, both) && pattern_matches(p, text) == (strcmp(both, text) == 0));
    else
        CHECK(pattern_matches(p, text) == pattern_matches(p, text));
    (void)pattern_free(p);
    free(both);
    return 0;
}
