/* SPDX-License-Identifier: Apache-2.0
 * fuzz_lb_event.c - any bytes as records of the master's stream, given to the balancer's core. */
#include <string.h>

#include "common/base/check.h"
#include "common/follow/picture.h"
#include "lb/lb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lb *lb;
static int64_t now_ms;

static void step(struct lb_event event)
{
    struct lb_effects out;
    event.now_ms = now_ms;
    CHECK(lb_step(lb, &event, &out) == 0);
    for (size_t i = 0; i < out.count; i++)
        if (out.items[i].type == LB_EFFECT_CHECK) {
            struct lb_event answer = {.type = LB_EVENT_CHECKED, .now_ms = now_ms};
            answer.checked.target = out.items[i].check;
            CHECK(lb_step(lb, &answer, &out) == 0);
            break;
        }
}

static void on_part(void *ctx, const struct picture_part *part)
{
    (void)ctx;
    step((struct lb_event){.type = LB_EVENT_RECEIVED, .received = part});
    lb_check_invariants(lb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new(0);
    if (size < 1) {
        arena_free(arena);
        return 0;
    }
    lb = lb_new(&(struct lb_config){.range = VIP_RANGE_CLUSTER, .has_ipv6 = true, .check_interval_ms = 1000, .seed = 1});
    /* The same bytes several times: what was kept from the first meets the second. */
    for (now_ms = 0; now_ms < 3 * 700000; now_ms += 700000) {
        struct picture_told told;
        (void)picture_read(data[0] == '{' ? WIRE_JSON : WIRE_PROTOBUF, data, size, arena, on_part, NULL, &told, NULL);
        step((struct lb_event){.type = LB_EVENT_FLUSH});
        step((struct lb_event){.type = LB_EVENT_TICK});
        step((struct lb_event){.type = LB_EVENT_FLUSH});
        CHECK(!lb_has_changes(lb));
        lb_check_invariants(lb);
    }
    lb = lb_free(lb);
    arena_free(arena);
    return 0;
}
