/* SPDX-License-Identifier: Apache-2.0
 * fuzz_agent_messages.c - a registered agent that gets any messages from its master and any calls from executors, in any
 * order with news of the store and the launcher. Input: records of one byte kind, two bytes length (big-endian), bytes. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/agent.h"
#include "common/wire/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct agent *a;
    struct agent_effects out;
    struct arena *arena;
    uint64_t token;
    link_id link;
    char container[64];
    uint64_t next;
    int64_t now_ms;
};

static void step(struct world *w, struct agent_event *in)
{
    in->now_ms = w->now_ms;
    in->wall_ms = 1700000000000 + w->now_ms;
    if (agent_step(w->a, in, &w->out) != 0)
        return; /* it has ended */
    agent_check_invariants(w->a);
    for (size_t i = 0; i < w->out.count; i++) {
        const struct agent_effect *e = &w->out.list[i];
        if (e->type == AGENT_OUT_STORE)
            w->token = e->store.token;
        if (e->type == AGENT_OUT_LINK_OPEN)
            w->link = e->link.link;
        if (e->type == AGENT_OUT_LAUNCH)
            snprintf(w->container, sizeof(w->container), "%s", e->launch->container_id);
    }
}

static void from_master(struct world *w, const uint8_t *data, size_t len)
{
    struct agent_event in = {.type = AGENT_IN_LINK_MESSAGE, .link = {.link = w->link}};
    in.link.message = (const void *)wire_unpack(&muster__link__master_to_agent__descriptor, data, len, w->arena, NULL);
    if (in.link.message != NULL)
        step(w, &in);
}

static void from_executor(struct world *w, const uint8_t *data, size_t len)
{
    struct agent_event in = {.type = AGENT_IN_EXECUTOR_CALL, .executor = {.request = ++w->next, .stream = w->next}};
    in.executor.call = (const void *)wire_unpack(&mesos__v1__executor__call__descriptor, data, len, w->arena, NULL);
    if (in.executor.call != NULL)
        step(w, &in);
}

static void news(struct world *w, uint8_t kind)
{
    struct launcher_end end = {.reason = (enum launcher_end_reason)(kind % (LAUNCHER_END_LOST + 1)), .message = "m"};
    struct agent_event in = {.type = AGENT_IN_TICK};
    switch (kind % 8) {
    case 2:
        in = (struct agent_event){.type = AGENT_IN_STORE_DONE, .store_done = {.token = w->token}};
        break;
    case 3:
        in = (struct agent_event){.type = AGENT_IN_CONTAINER_STARTED, .container = {.id = w->container, .pid = 7}};
        break;
    case 4:
        in = (struct agent_event){.type = AGENT_IN_CONTAINER_ENDED, .container = {.id = w->container, .end = &end}};
        break;
    case 5:
        in = (struct agent_event){.type = AGENT_IN_LINK_UP, .link = {.link = w->link}};
        break;
    case 6:
        in = (struct agent_event){.type = AGENT_IN_STREAM_CLOSED, .stream_closed = w->next};
        break;
    default:
        w->now_ms += (int64_t)kind * 1000;
        break;
    }
    step(w, &in);
}

static void begin(struct world *w)
{
    Mesos__V1__AgentInfo info = MESOS__V1__AGENT_INFO__INIT;
    info.hostname = (char *)(uintptr_t) "h1";
    struct agent_config config = {.info = &info, .ip = "10.0.0.7", .work_dir = "/w", .version = "1", .seed = 1};
    w->a = agent_new(&config);
    w->arena = arena_new(0);
    w->now_ms = 1000;
    agent_effects_init(&w->out);
    struct agent_event events[] = {{.type = AGENT_IN_STARTED, .started = {.boot_id = "b"}},
                                   {.type = AGENT_IN_CONTAINERS_RECOVERED}};
    step(w, &events[0]);
    step(w, &events[1]);
    struct agent_event up = {.type = AGENT_IN_LINK_UP, .link = {.link = w->link}};
    step(w, &up);
    Mesos__V1__AgentID id = MESOS__V1__AGENT_ID__INIT;
    id.value = (char *)(uintptr_t) "m-S0";
    Muster__Link__Registered registered = MUSTER__LINK__REGISTERED__INIT;
    registered.agent_id = &id;
    registered.ping_timeout_total_ms = 75000;
    Muster__Link__MasterToAgent m = MUSTER__LINK__MASTER_TO_AGENT__INIT;
    m.registered = &registered;
    struct agent_event in = {.type = AGENT_IN_LINK_MESSAGE, .link = {.link = w->link, .message = &m}};
    step(w, &in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {0};
    begin(&w);
    for (size_t at = 0; size - at >= 3;) {
        uint8_t kind = data[at];
        size_t len = (size_t)data[at + 1] << 8 | data[at + 2];
        at += 3;
        if (len > size - at)
            len = size - at;
        if (kind == 0)
            from_master(&w, data + at, len);
        else if (kind == 1)
            from_executor(&w, data + at, len);
        else
            news(&w, kind);
        at += len;
    }
    agent_effects_deinit(&w.out);
    (void)agent_free(w.a);
    (void)arena_free(w.arena);
    return 0;
}
