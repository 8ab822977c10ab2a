/* SPDX-License-Identifier: Apache-2.0
 * checks.c - when which back end is checked, and what the answers mean. A back end counts as up until it has failed
 * check_failures_max times in a row; one success brings it back. */
#include <stdlib.h>

#include "common/base/check.h"
#include "lb/state.h"

void lb_target_attach(struct lb *lb, struct lb_share *share)
{
    const struct lb_endpoint *at = &share->backend.at;
    if (lb->config.check_interval_ms == 0 || at->protocol != LB_TCP)
        return;
    struct lb_target *target = map_get_n(&lb->targets, at, sizeof(*at));
    if (target == NULL) {
        target = xcalloc(1, sizeof(*target));
        target->at = *at;
        list_init(&target->shares);
        (void)map_put_n(&lb->targets, at, sizeof(*at), target); /* was not there */
        /* Spread over the interval, so that a thousand tasks that start together are not checked together. */
        uint64_t spread = rng_below(&lb->rng, (uint64_t)lb->config.check_interval_ms);
        heap_set(&lb->checks, &target->due, lb->now_ms + (int64_t)spread);
    }
    share->target = target;
    list_push_back(&target->shares, &share->in_target);
}

void lb_target_detach(struct lb *lb, struct lb_share *share)
{
    struct lb_target *target = share->target;
    if (target == NULL)
        return;
    share->target = NULL;
    list_remove(&share->in_target);
    if (!list_is_empty(&target->shares))
        return;
    heap_remove(&lb->checks, &target->due);
    if (target->is_in_flight)
        lb->checks_in_flight--;
    (void)map_remove_n(&lb->targets, &target->at, sizeof(target->at));
    free(target);
}

void lb_checks_start_due(struct lb *lb)
{
    while (lb->checks_in_flight < LB_CHECKS_IN_FLIGHT_MAX) {
        struct heap_node *node = heap_pop_due(&lb->checks, lb->now_ms);
        if (node == NULL)
            return;
        struct lb_target *target = container_of(node, struct lb_target, due);
        target->is_in_flight = true;
        lb->checks_in_flight++;
        lb_effect(lb, LB_EFFECT_CHECK)->check = target->at;
    }
}

void lb_checks_on_checked(struct lb *lb, const struct lb_endpoint *at, bool is_up)
{
    struct lb_target *target = map_get_n(&lb->targets, at, sizeof(*at));
    if (target == NULL || !target->is_in_flight)
        return; /* gone meanwhile, or gone and back */
    target->is_in_flight = false;
    lb->checks_in_flight--;
    heap_set(&lb->checks, &target->due, lb->now_ms + lb->config.check_interval_ms);
    target->failures = is_up ? 0 : target->failures + 1;
    bool is_down = target->is_down ? !is_up : target->failures >= lb->config.check_failures_max;
    if (is_down != target->is_down) {
        char text[LB_ENDPOINT_TEXT_SIZE];
        lb_endpoint_format(at, text);
        lb_trace(lb, "back end %s is %s", text, is_down ? "down: its checks fail" : "up again");
        target->is_down = is_down;
        list_for_each(it, &target->shares) lb_service_changed(lb, container_of(it, struct lb_share, in_target)->service);
    }
    lb_checks_start_due(lb);
}
