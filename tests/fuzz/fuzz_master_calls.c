/* SPDX-License-Identifier: Apache-2.0
 * fuzz_master_calls.c - a master's core with an agent and a framework that gets any calls of schedulers and operators and
 * any messages of agents, in any order with news of the store, lost connections and time. Input: lines of one letter and
 * JSON, where @F, @A and @O stand for the ids of a framework, an agent and an offer: s call of the framework   S SUBSCRIBE
 * on a new stream   o call of an operator   a message of the agent   b of a second one d, D a write is done, failed   c the
 * framework's stream ends   l the agent's link goes down and up   t NUMBER: time passes */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/master.h"

#define LINES_MAX 64
#define TOKENS_MAX 256
#define TIME_STEP_MAX 100 /* deadlines that one passage of time may pass */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct master *m;
    struct master_effects out;
    struct arena *arena;
    int64_t now_ms;
    uint64_t tokens[TOKENS_MAX], next;
    size_t token_count;
    stream_id stream;
    link_id links[2];
    const char *framework, *agent, *offer;
    bool fatal;
};

static void step(struct world *w, struct master_event in)
{
    if (w->fatal)
        return;
    in.now_ms = w->now_ms;
    in.wall_ms = 1700000000000 + w->now_ms;
    (void)master_step(w->m, &in, &w->out); /* its refusals are effects */
    for (size_t i = 0; i < w->out.count; i++) {
        const struct master_effect *e = &w->out.items[i];
        if (e->type == MASTER_EFFECT_STORE && w->token_count < TOKENS_MAX)
            w->tokens[w->token_count++] = e->store.token;
        if (e->type == MASTER_EFFECT_STREAM_CLOSE && e->stream_close.stream == w->stream)
            w->stream = 0;
        for (size_t j = 0; j < 2; j++)
            if (e->type == MASTER_EFFECT_LINK_CLOSE && e->link_close.link == w->links[j])
                w->links[j] = 0;
        if (e->type == MASTER_EFFECT_LINK_SEND && e->link_send.message->registered != NULL)
            w->agent = arena_strdup(w->arena, e->link_send.message->registered->agent_id->value);
        if (e->type == MASTER_EFFECT_STREAM_SEND && e->stream_send.event->subscribed != NULL)
            w->framework = arena_strdup(w->arena, e->stream_send.event->subscribed->framework_id->value);
        if (e->type == MASTER_EFFECT_STREAM_SEND && e->stream_send.event->offers != NULL)
            w->offer = arena_strdup(w->arena, e->stream_send.event->offers->offers[0]->id->value);
        w->fatal = w->fatal || e->type == MASTER_EFFECT_FATAL;
    }
    if (!w->fatal)
        master_check_invariants(w->m);
}

static ProtobufCMessage *decode(struct world *w, const ProtobufCMessageDescriptor *type, const char *text, size_t len)
{
    struct buf filled;
    struct err err;
    buf_init(&filled, 1u << 20);
    for (size_t i = 0; i < len; i++) {
        const char *value = text[i] != '@' || i + 1 == len ? NULL
                            : text[i + 1] == 'F'           ? w->framework
                            : text[i + 1] == 'A'           ? w->agent
                            : text[i + 1] == 'O'           ? w->offer
                                                           : NULL;
        if (value != NULL) {
            (void)buf_append_str(&filled, value); /* a full buffer is no JSON */
            i++;
        } else {
            (void)buf_append(&filled, text + i, 1); /* as above */
        }
    }
    ProtobufCMessage *m = wire_decode(WIRE_JSON, type, buf_data(&filled), buf_len(&filled), w->arena, &err);
    buf_deinit(&filled);
    return m;
}

static void on_scheduler(struct world *w, const char *text, size_t len, bool subscribes)
{
    struct err err;
    const Mesos__V1__Scheduler__Call *call = (const void *)decode(w, &mesos__v1__scheduler__call__descriptor, text, len);
    if (call == NULL || master_call_check(call, NULL, &err) != 0)
        return;
    if (subscribes != (call->type == MESOS__V1__SCHEDULER__CALL__TYPE__SUBSCRIBE))
        return;
    struct master_event in = {.type = MASTER_EVENT_CALL,
                              .call = {.request = ++w->next, .stream = w->stream, .has_stream_header = true, .call = call}};
    if (subscribes) {
        w->stream = ++w->next;
        in = (struct master_event){.type = MASTER_EVENT_SUBSCRIBE, .subscribe = {.stream = w->stream, .call = call}};
    }
    step(w, in);
}

static void on_operator(struct world *w, const char *text, size_t len)
{
    struct err err;
    const Mesos__V1__Master__Call *call = (const void *)decode(w, &mesos__v1__master__call__descriptor, text, len);
    if (call != NULL && master_operator_call_check(call, &err) == 0)
        step(w, (struct master_event){.type = MASTER_EVENT_OPERATOR_CALL,
                                      .operator_call = {.request = ++w->next, .call = call}});
}

static void link_up(struct world *w, size_t which)
{
    w->links[which] = ++w->next;
    step(w,
         (struct master_event){.type = MASTER_EVENT_LINK_UP, .link_up = {.link = w->links[which], .peer_ip = "10.0.0.1"}});
}

static void on_agent(struct world *w, size_t which, const char *text, size_t len)
{
    if (w->links[which] == 0)
        link_up(w, which);
    const Muster__Link__AgentToMaster *m = (const void *)decode(w, &muster__link__agent_to_master__descriptor, text, len);
    if (m != NULL)
        step(w, (struct master_event){.type = MASTER_EVENT_LINK_MESSAGE,
                                      .link_message = {.link = w->links[which], .message = m}});
}

static void on_stored(struct world *w, int result)
{
    if (w->token_count == 0)
        return;
    uint64_t token = w->tokens[0];
    memmove(w->tokens, w->tokens + 1, --w->token_count * sizeof(*w->tokens));
    step(w, (struct master_event){.type = MASTER_EVENT_STORE_DONE, .store_done = {.token = token, .result = result}});
}

static void on_time(struct world *w, const char *text, size_t len)
{
    int64_t ms = 0;
    for (size_t i = 0; i < len && text[i] >= '0' && text[i] <= '9' && ms < 1000000000; i++)
        ms = ms * 10 + text[i] - '0';
    int64_t end = w->now_ms + ms;
    for (int i = 0; i < TIME_STEP_MAX && master_next_deadline(w->m) <= end; i++) {
        int64_t next = master_next_deadline(w->m);
        w->now_ms = next > w->now_ms ? next : w->now_ms;
        step(w, (struct master_event){.type = MASTER_EVENT_TICK});
    }
    w->now_ms = end;
    step(w, (struct master_event){.type = MASTER_EVENT_TICK});
}

static void on_line(struct world *w, const char *line, size_t len)
{
    const char *text = line + 1;
    switch (line[0]) {
    case 's':
    case 'S':
        on_scheduler(w, text, len - 1, line[0] == 'S');
        break;
    case 'o':
        on_operator(w, text, len - 1);
        break;
    case 'a':
    case 'b':
        on_agent(w, line[0] == 'b', text, len - 1);
        break;
    case 'd':
    case 'D':
        on_stored(w, line[0] == 'd' ? 0 : -5);
        break;
    case 'c':
        if (w->stream != 0)
            step(w, (struct master_event){.type = MASTER_EVENT_STREAM_CLOSED, .stream_closed = {.stream = w->stream}});
        w->stream = 0;
        break;
    case 'l':
        if (w->links[0] != 0)
            step(w, (struct master_event){.type = MASTER_EVENT_LINK_DOWN, .link_down = {.link = w->links[0]}});
        link_up(w, 0);
        break;
    case 't':
        on_time(w, text, len - 1);
        break;
    default:
        break;
    }
}

static void begin(struct world *w)
{
    static const char *const lines[] = {
        "a{\"hello\":{\"version\":\"1\",\"link_version\":1}}",
        "a{\"register\":{\"version\":\"1\",\"agent_info\":{\"hostname\":\"h\",\"port\":5051,\"resources\":["
        "{\"name\":\"cpus\",\"type\":\"SCALAR\",\"scalar\":{\"value\":8}},{\"name\":\"mem\",\"type\":\"SCALAR\",\"scalar\":"
        "{\"value\":4096}},{\"name\":\"disk\",\"type\":\"SCALAR\",\"scalar\":{\"value\":4096}},{\"name\":\"ports\","
        "\"type\":"
        "\"RANGES\",\"ranges\":{\"range\":[{\"begin\":1,\"end\":99}]}}]}}}",
        "d",
        "S{\"type\":\"SUBSCRIBE\",\"subscribe\":{\"framework_info\":{\"user\":\"u\",\"name\":\"n\",\"failover_timeout\":60,"
        "\"roles\":[\"r\"],\"capabilities\":[{\"type\":\"MULTI_ROLE\"},{\"type\":\"PARTITION_AWARE\"},{\"type\":"
        "\"RESERVATION_REFINEMENT\"}]}}}",
        "d",
        "t200",
    };
    struct err err;
    struct master_config config;
    master_config_default(&config);
    config.seed = 7;
    config.hostname = "localhost";
    config.ip = "127.0.0.1";
    config.port = 5050;
    master_effects_init(&w->out);
    w->arena = arena_new((size_t)1 << 28);
    w->now_ms = 1000;
    w->framework = w->agent = w->offer = "none";
    w->m = master_new(&config, &err);
    CHECK(w->m != NULL);
    step(w, (struct master_event){.type = MASTER_EVENT_STARTED});
    step(w, (struct master_event){.type = MASTER_EVENT_OBSERVERS, .observers = {.count = 1}});
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        on_line(w, lines[i], strlen(lines[i]));
    CHECK(strcmp(w->offer, "none") != 0); /* else nothing is tried */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    begin(&w);
    const char *at = (const char *)data, *end = at + size;
    for (int i = 0; i < LINES_MAX && at < end && !w.fatal; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        size_t len = (size_t)((newline != NULL ? newline : end) - at);
        if (len > 0)
            on_line(&w, at, len);
        at += len + 1;
    }
    master_free(w.m);
    master_effects_deinit(&w.out);
    arena_free(w.arena);
    return 0;
}
