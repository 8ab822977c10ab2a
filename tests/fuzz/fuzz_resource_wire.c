/* SPDX-License-Identifier: Apache-2.0
 * Packed AgentInfo (a list of resources): what is accepted obeys the laws of sets and survives every form. */
#include <stddef.h>
#include <stdint.h>

#include "common/base/check.h"
#include "common/resource/resource.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > (1u << 16))
        return 0;
    struct arena *a = arena_new(0);
    Mesos__V1__AgentInfo *info = mesos__v1__agent_info__unpack(arena_pb(a), size, data);
    struct resources *all = resources_new(), *half = resources_new(), *back = resources_new();
    if (info != NULL && resources_add_wire(all, info->resources, info->n_resources, NULL) == 0) {
        CHECK(resources_add_wire(half, info->resources, info->n_resources / 2, NULL) == 0);
        CHECK(resources_contains(all, half));
        Mesos__V1__Resource **wire;
        size_t n = resources_to_wire(all, RESOURCE_ENDPOINT, a, &wire);
        CHECK(resources_add_wire(back, wire, n, NULL) == 0);
        CHECK(resources_equal(back, all));
        struct resources *rest = resources_copy(all);
        resources_subtract(rest, half);
        resources_add(rest, half);
        CHECK(resources_equal(rest, all));
        resources_allocate(rest, "a/b");
        resources_unallocate(rest);
        rest = resources_free(rest);
        struct buf text;
        buf_init(&text, 0);
        resources_format(all, &text);
        buf_deinit(&text);
    }
    all = resources_free(all);
    half = resources_free(half);
    back = resources_free(back);
    arena_free(a);
    return 0;
}
