/* SPDX-License-Identifier: Apache-2.0
 * The text of --resources and --attributes: anything is refused or gives a set that is written and read back as itself. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/resource/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > (1u << 16))
        return 0;
    char *text = xstrndup((const char *)data, size);
    struct resources *first = resources_new(), *second = resources_new();
    struct err err = {""};
    if (resources_parse_flag(text, "*", first, &err) == 0) {
        struct arena *a = arena_new(0);
        Mesos__V1__Resource **wire;
        size_t n = resources_to_wire(first, RESOURCE_POST_REFINEMENT, a, &wire);
        CHECK(resources_add_wire(second, wire, n, &err) == 0);
        CHECK(resources_equal(first, second));
        arena_free(a);
    } else {
        CHECK(err.text[0] != '\0');
        CHECK(resources_is_empty(first));
    }
    first = resources_free(first);
    second = resources_free(second);
    struct arena *a = arena_new(0);
    Mesos__V1__Attribute **list;
    size_t n;
    if (attributes_parse_flag(text, a, &list, &n, &err) == 0) {
        struct buf out;
        buf_init(&out, 0);
        for (size_t i = 0; i < n; i++)
            attribute_format(list[i], &out);
        buf_deinit(&out);
    }
    arena_free(a);
    free(text);
    return 0;
}
