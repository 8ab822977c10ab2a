/* SPDX-License-Identifier: Apache-2.0
 * picture.c - see picture.h. */
#include "common/follow/picture.h"

#include <errno.h>
#include <string.h>

#define SUBSCRIBED MESOS__V1__MASTER__EVENT__TYPE__SUBSCRIBED

struct reading {
    struct arena *arena;
    void (*part)(void *ctx, const struct picture_part *part);
    void *ctx;
    struct err *err;
};

static void tell(struct reading *r, struct picture_part part)
{
    r->part(r->ctx, &part);
}

/* -- bytes ------------------------------------------------------------------------------------------------------ */

struct bytes {
    const uint8_t *at, *end;
};

static bool read_varint(struct bytes *p, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (p->at == p->end)
            return false;
        uint8_t byte = *p->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* value is of types 0 (varint), 1 (8 bytes), 5 (4 bytes); body of type 2. */
struct field {
    unsigned number, type;
    uint64_t value;
    struct bytes body;
};

/* The next field: 1, 0 at the end, -EPROTO. */
static int read_field(struct bytes *p, struct field *out)
{
    uint64_t key, len;
    if (p->at == p->end)
        return 0;
    if (!read_varint(p, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX)
        return -EPROTO;
    *out = (struct field){.number = (unsigned)(key >> 3), .type = (unsigned)(key & 7)};
    if (out->type == 0)
        return read_varint(p, &out->value) ? 1 : -EPROTO;
    if (out->type == 2 && !read_varint(p, &len))
        return -EPROTO;
    if (out->type == 1 || out->type == 5)
        len = out->type == 1 ? 8 : 4;
    else if (out->type != 2)
        return -EPROTO;
    if ((size_t)(p->end - p->at) < len)
        return -EPROTO;
    if (out->type == 2)
        out->body = (struct bytes){p->at, p->at + len};
    else
        memcpy(&out->value, p->at, len); /* little-endian, as the machine */
    p->at += len;
    return 1;
}

/* -- a picture in protobuf -------------------------------------------------------------------------------------- */

static int tell_item(struct reading *r, enum picture_part_type type, struct bytes body)
{
    static const ProtobufCMessageDescriptor *const descriptors[] = {
        [PICTURE_AGENT] = &mesos__v1__master__response__get_agents__agent__descriptor,
        [PICTURE_RECOVERED_AGENT] = &mesos__v1__agent_info__descriptor,
        [PICTURE_FRAMEWORK] = &mesos__v1__master__response__get_frameworks__framework__descriptor,
        [PICTURE_TASK] = &mesos__v1__task__descriptor};
    arena_reset(r->arena);
    const void *m = wire_decode(WIRE_PROTOBUF, descriptors[type], body.at, (size_t)(body.end - body.at), r->arena, r->err);
    if (!m)
        return -EPROTO;
    struct picture_part part = {.type = type};
    if (type == PICTURE_AGENT)
        part.agent = m;
    else if (type == PICTURE_RECOVERED_AGENT)
        part.recovered_agent = m;
    else if (type == PICTURE_FRAMEWORK)
        part.framework = ((const Mesos__V1__Master__Response__GetFrameworks__Framework *)m)->framework_info;
    else
        part.task = m;
    tell(r, part);
    return 0;
}

/* One pass over GetState for one of its lists: the order of the lists in it is the sender's. */
static int tell_list(struct reading *r, struct bytes state, unsigned list, unsigned number, enum picture_part_type type)
{
    struct field outer, inner;
    int result;
    while ((result = read_field(&state, &outer)) > 0) {
        if (outer.number != list || outer.type != 2)
            continue;
        while ((result = read_field(&outer.body, &inner)) > 0)
            if (inner.number == number && inner.type == 2 && (result = tell_item(r, type, inner.body)) < 0)
                return result;
        if (result < 0)
            return result;
    }
    return result;
}

static int tell_state(struct reading *r, struct bytes state)
{
    static const struct {
        unsigned list, number; /* GetState's field, and its field */
        enum picture_part_type type;
    } lists[] = {{4, 1, PICTURE_AGENT},
                 {4, 2, PICTURE_RECOVERED_AGENT},
                 {3, 1, PICTURE_FRAMEWORK},
                 {1, 2, PICTURE_TASK},
                 {1, 5, PICTURE_TASK}};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        if (tell_list(r, state, lists[i].list, lists[i].number, lists[i].type) < 0)
            return -EPROTO;
    return 0;
}

static int tell_picture(struct reading *r, struct bytes subscribed, struct picture_told *told)
{
    struct bytes state = {0};
    struct field field;
    int result;
    while ((result = read_field(&subscribed, &field)) > 0) {
        if (field.number == 1 && field.type == 2)
            state = field.body;
        else if (field.number == 2 && field.type == 1)
            memcpy(&told->heartbeat_seconds, &field.value, sizeof(field.value));
    }
    if (result < 0)
        return result;
    told->is_snapshot = true;
    tell(r, (struct picture_part){.type = PICTURE_BEGIN});
    if (tell_state(r, state) < 0)
        return -EPROTO;
    tell(r, (struct picture_part){.type = PICTURE_END});
    return 0;
}

/* -- decoded ---------------------------------------------------------------------------------------------------- */

static void tell_decoded_state(struct reading *r, const Mesos__V1__Master__Response__GetState *state)
{
    const Mesos__V1__Master__Response__GetAgents *agents = state->get_agents;
    const Mesos__V1__Master__Response__GetFrameworks *frameworks = state->get_frameworks;
    const Mesos__V1__Master__Response__GetTasks *tasks = state->get_tasks;
    for (size_t i = 0; agents && i < agents->n_agents; i++)
        tell(r, (struct picture_part){.type = PICTURE_AGENT, .agent = agents->agents[i]});
    for (size_t i = 0; agents && i < agents->n_recovered_agents; i++)
        tell(r, (struct picture_part){.type = PICTURE_RECOVERED_AGENT, .recovered_agent = agents->recovered_agents[i]});
    for (size_t i = 0; frameworks && i < frameworks->n_frameworks; i++)
        tell(r, (struct picture_part){.type = PICTURE_FRAMEWORK, .framework = frameworks->frameworks[i]->framework_info});
    for (size_t i = 0; tasks && i < tasks->n_tasks; i++)
        tell(r, (struct picture_part){.type = PICTURE_TASK, .task = tasks->tasks[i]});
    for (size_t i = 0; tasks && i < tasks->n_unreachable_tasks; i++)
        tell(r, (struct picture_part){.type = PICTURE_TASK, .task = tasks->unreachable_tasks[i]});
}

static int tell_event(struct reading *r, const Mesos__V1__Master__Event *event, struct picture_told *told)
{
    if (event->type != SUBSCRIBED) {
        tell(r, (struct picture_part){.type = PICTURE_EVENT, .event = event});
        return 0;
    }
    if (!event->subscribed)
        return err_set(r->err, -EPROTO, "SUBSCRIBED without its content");
    told->is_snapshot = true;
    told->heartbeat_seconds = event->subscribed->heartbeat_interval_seconds;
    tell(r, (struct picture_part){.type = PICTURE_BEGIN});
    if (event->subscribed->get_state)
        tell_decoded_state(r, event->subscribed->get_state);
    tell(r, (struct picture_part){.type = PICTURE_END});
    return 0;
}

/* Is the record a picture in protobuf? 1 with its body, 0, or -EPROTO. */
static int find_picture(const void *record, size_t len, struct bytes *subscribed, struct err *err)
{
    struct bytes bytes = {record, (const uint8_t *)record + len};
    struct field field;
    uint64_t type = 0;
    bool has_body = false;
    int result;
    while ((result = read_field(&bytes, &field)) > 0) {
        if (field.number == 1 && field.type == 0)
            type = field.value;
        else if (field.number == 2 && field.type == 2) {
            *subscribed = field.body;
            has_body = true;
        }
    }
    if (result < 0)
        return err_set(err, result, "event of %zu bytes: not protobuf", len);
    return type == SUBSCRIBED && has_body;
}

int picture_read(enum wire_format format, const void *record, size_t len, struct arena *arena,
                 void (*part)(void *ctx, const struct picture_part *part), void *ctx, struct picture_told *told,
                 struct err *err)
{
    struct reading r = {arena, part, ctx, err};
    *told = (struct picture_told){0};
    arena_reset(arena);
    if (format == WIRE_PROTOBUF) {
        struct bytes subscribed;
        int result = find_picture(record, len, &subscribed, err);
        if (result > 0)
            result = tell_picture(&r, subscribed, told) < 0 ? -EPROTO : 1;
        if (result != 0)
            return result < 0 ? result : 0;
    }
    const Mesos__V1__Master__Event *event = (const Mesos__V1__Master__Event *)wire_decode(
        format, &mesos__v1__master__event__descriptor, record, len, arena, err);
    return event ? tell_event(&r, event, told) : -EPROTO;
}
