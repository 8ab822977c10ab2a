/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/offer_book.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"

static char launch_accepted[] = "accepted", launch_refused[] = "refused", launch_sent[] = "sent";

void offer_book_init(struct offer_book *b, struct world *w, bool is_judge)
{
    *b = (struct offer_book){.world = w, .is_judge = is_judge};
    map_init(&b->offers);
    map_init(&b->old);
    map_init(&b->streams);
    map_init(&b->launches);
}

static void free_offer(struct offer *o)
{
    free(o->id);
    free(o->framework_id);
    free(o->agent_id);
    o->resources = resources_free(o->resources);
    free(o);
}

void offer_book_deinit(struct offer_book *b)
{
    for (struct map_entry *e = map_first(&b->offers); e != NULL; e = map_next(e))
        free_offer(map_value(e));
    for (struct map_entry *e = map_first(&b->streams); e != NULL; e = map_next(e))
        free(map_value(e));
    map_deinit(&b->offers);
    map_deinit(&b->old);
    map_deinit(&b->streams);
    map_deinit(&b->launches);
}

static void judge(struct offer_book *b, const char *what, const char *id, const char *who)
{
    if (b->is_judge)
        world_violate(b->world, "2", "offer %s: %s (%s)", id, what, who ? who : "?");
}

static void end_offer(struct offer_book *b, struct offer *o)
{
    (void)map_remove(&b->offers, o->id);
    (void)map_put(&b->old, o->id, b);
    free_offer(o);
    b->has_changed = true;
}

static char *stream_key(stream_id stream, char key[24])
{
    snprintf(key, 24, "%llu", (unsigned long long)stream);
    return key;
}

static const char *framework_of(struct offer_book *b, stream_id stream)
{
    char key[24];
    return map_get(&b->streams, stream_key(stream, key));
}

static void end_stream(struct offer_book *b, stream_id stream)
{
    char key[24];
    char *framework_id = map_remove(&b->streams, stream_key(stream, key));
    if (framework_id == NULL)
        return;
    bool is_elsewhere = false; /* taken over by a newer stream, whose offers these are not */
    for (struct map_entry *e = map_first(&b->streams); e != NULL; e = map_next(e))
        is_elsewhere |= strcmp(map_value(e), framework_id) == 0;
    for (struct map_entry *e = map_first(&b->offers), *next; e != NULL && !is_elsewhere; e = next) {
        struct offer *o = map_value(e);
        next = map_next(e);
        if (strcmp(o->framework_id, framework_id) == 0)
            end_offer(b, o);
    }
    free(framework_id);
}

static bool is_answered_well(const struct sim_seen *seen)
{
    for (size_t i = 0; i < seen->out->count; i++) {
        const struct master_effect *x = &seen->out->items[i];
        if (x->type == MASTER_EFFECT_REPLY && x->reply.request == seen->in->call.request)
            return x->reply.status < 300;
    }
    return false;
}

static void note_launch(struct offer_book *b, const char *framework_id, const Mesos__V1__TaskInfo *task, bool is_good)
{
    char key[512];
    snprintf(key, sizeof(key), "%s/%s", framework_id, task->task_id->value);
    const char *before = map_get(&b->launches, key);
    if (before == NULL || strcmp(before, launch_refused) == 0) /* an id used again is refused, the first one counts */
        (void)map_put(&b->launches, key, is_good ? launch_accepted : launch_refused);
}

static void on_accept(struct offer_book *b, const char *framework_id, const Mesos__V1__Scheduler__Call__Accept *accept)
{
    bool is_good = accept->n_offer_ids > 0;
    for (size_t i = 0; i < accept->n_offer_ids; i++) {
        struct offer *o = map_get(&b->offers, accept->offer_ids[i]->value);
        is_good = is_good && o != NULL && strcmp(o->framework_id, framework_id) == 0;
    }
    for (size_t i = 0; i < accept->n_offer_ids; i++) {
        struct offer *o = map_get(&b->offers, accept->offer_ids[i]->value);
        if (o != NULL && strcmp(o->framework_id, framework_id) == 0)
            end_offer(b, o);
    }
    for (size_t i = 0; i < accept->n_operations; i++) {
        const Mesos__V1__Offer__Operation *op = accept->operations[i];
        for (size_t t = 0; op->launch != NULL && t < op->launch->n_task_infos; t++)
            note_launch(b, framework_id, op->launch->task_infos[t], is_good);
    }
}

static void on_input(struct offer_book *b, const struct sim_seen *seen)
{
    const struct master_event *in = seen->in;
    if (in->type == MASTER_EVENT_STREAM_CLOSED) {
        end_stream(b, in->stream_closed.stream);
    } else if (in->type == MASTER_EVENT_CALL && is_answered_well(seen)) {
        const char *framework_id = framework_of(b, in->call.stream);
        const Mesos__V1__Scheduler__Call *call = in->call.call;
        if (framework_id == NULL)
            return;
        if (call->accept != NULL)
            on_accept(b, framework_id, call->accept);
        for (size_t i = 0; call->decline != NULL && i < call->decline->n_offer_ids; i++) {
            struct offer *o = map_get(&b->offers, call->decline->offer_ids[i]->value);
            if (o != NULL && strcmp(o->framework_id, framework_id) == 0)
                end_offer(b, o);
        }
    }
}

static void on_offer(struct offer_book *b, stream_id stream, const Mesos__V1__Offer *offer)
{
    const char *id = offer->id->value, *owner = framework_of(b, stream);
    if (map_get(&b->offers, id) != NULL || map_get(&b->old, id) != NULL)
        judge(b, "made a second time", id, owner);
    if (owner == NULL || strcmp(owner, offer->framework_id->value) != 0)
        judge(b, "sent to somebody else", id, owner);
    struct offer *o = xcalloc(1, sizeof(*o));
    struct err err = {""};
    o->id = xstrdup(id);
    o->framework_id = xstrdup(offer->framework_id->value);
    o->agent_id = xstrdup(offer->agent_id->value);
    o->resources = resources_new();
    if (resources_add_wire(o->resources, offer->resources, offer->n_resources, &err) != 0)
        judge(b, err.text, id, owner);
    if (resources_is_empty(o->resources))
        judge(b, "is of nothing", id, owner);
    resources_unallocate(o->resources);
    struct offer *before = map_put(&b->offers, id, o);
    if (before != NULL)
        free_offer(before);
    o->step = b->step;
    b->has_changed = true;
}

static void on_event(struct offer_book *b, stream_id stream, const Mesos__V1__Scheduler__Event *event)
{
    char key[24];
    if (event->subscribed != NULL) {
        char *before = map_put(&b->streams, stream_key(stream, key), xstrdup(event->subscribed->framework_id->value));
        free(before);
    }
    for (size_t i = 0; event->offers != NULL && i < event->offers->n_offers; i++)
        on_offer(b, stream, event->offers->offers[i]);
    if (event->rescind != NULL) {
        const char *owner = framework_of(b, stream);
        struct offer *o = map_get(&b->offers, event->rescind->offer_id->value);
        if (o == NULL || owner == NULL || strcmp(owner, o->framework_id) != 0)
            judge(b, "rescinded, but is not out to", event->rescind->offer_id->value, owner);
        else
            end_offer(b, o);
    }
}

static void on_run(struct offer_book *b, const Muster__Link__RunTasks *run)
{
    struct arena *a = arena_new(0);
    const Mesos__V1__FrameworkInfo *info = (const Mesos__V1__FrameworkInfo *)wire_unpack(
        &mesos__v1__framework_info__descriptor, run->framework_info.data, run->framework_info.len, a, NULL);
    CHECK(info != NULL && info->id != NULL);
    for (size_t i = 0; i < run->n_tasks; i++) {
        const Mesos__V1__TaskInfo *task = (const Mesos__V1__TaskInfo *)wire_unpack(
            &mesos__v1__task_info__descriptor, run->tasks[i].data, run->tasks[i].len, a, NULL);
        CHECK(task != NULL);
        char key[512];
        snprintf(key, sizeof(key), "%s/%s", info->id->value, task->task_id->value);
        const char *how = map_get(&b->launches, key);
        if (b->is_judge && (how == NULL || strcmp(how, launch_accepted) != 0))
            world_violate(b->world, "2", "task %s is sent to an agent, but was %s", key, how ? how : "never accepted");
        (void)map_put(&b->launches, key, launch_sent);
    }
    arena_free(a);
}

void offer_book_seen(struct offer_book *b, const struct sim_seen *seen)
{
    if (seen->type == SIM_SEEN_MASTER_STARTS) {
        struct world *w = b->world;
        bool is_judge = b->is_judge;
        offer_book_deinit(b);
        offer_book_init(b, w, is_judge);
    }
    if (seen->type != SIM_SEEN_MASTER_IN)
        return;
    b->has_changed = false;
    b->step++;
    on_input(b, seen);
    for (size_t i = 0; i < seen->out->count; i++) {
        const struct master_effect *x = &seen->out->items[i];
        if (x->type == MASTER_EFFECT_STREAM_SEND)
            on_event(b, x->stream_send.stream, x->stream_send.event);
        else if (x->type == MASTER_EFFECT_STREAM_CLOSE)
            end_stream(b, x->stream_close.stream);
        else if (x->type == MASTER_EFFECT_LINK_SEND && x->link_send.message->run_tasks != NULL)
            on_run(b, x->link_send.message->run_tasks);
    }
}
