/* SPDX-License-Identifier: Apache-2.0
 * fuzz_executor.c - scripts of events for the executor's core, one a line:
 *   {json}  event of the agent    A<status>  answer to SUBSCRIBE    C  stream closed    D<status>  call done    X  SIGTERM
 *   s<id>  started    f<id>  failed    x<id> <status>  exited    k<id> <result> <value>  check done    t<ms>  time passes
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "executor/executor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct executor *core;
    struct executor_effects effects;
    struct arena *arena;
    int64_t now_ms;
    uint64_t connection;
};

static void step(struct world *w, struct executor_event event)
{
    event.now_ms = w->now_ms;
    event.connection = w->connection;
    CHECK(executor_step(w->core, &event, &w->effects) == 0);
    executor_check_invariants(w->core);
    for (size_t i = 0; i < w->effects.count; i++)
        if (w->effects.items[i].type == EXECUTOR_EFFECT_CONNECT)
            w->connection = w->effects.items[i].connection;
}

static void run_line(struct world *w, const char *line)
{
    struct executor_event event = {.type = EXECUTOR_EVENT_TICK};
    unsigned a = 0, b = 0;
    int c = 0;
    if (line[0] != '{' && line[0] != '\0')
        (void)sscanf(line + 1, "%9u %9u %9d", &a, &b, &c); /* what is missing stays 0 */
    switch (line[0]) {
    case '{':
        event.type = EXECUTOR_EVENT_STREAM_RECEIVED;
        event.received = (const Mesos__V1__Executor__Event *)wire_decode(WIRE_JSON, &mesos__v1__executor__event__descriptor,
                                                                         line, strlen(line), w->arena, NULL);
        if (!event.received)
            return;
        break;
    case 'A':
        event.type = EXECUTOR_EVENT_STREAM_ANSWER;
        event.answer.status = (int)a;
        break;
    case 'C':
        event.type = EXECUTOR_EVENT_STREAM_CLOSED;
        break;
    case 'D':
        event.type = EXECUTOR_EVENT_CALL_DONE;
        event.done.status = (int)a;
        break;
    case 'X':
        event.type = EXECUTOR_EVENT_TERMINATE;
        break;
    case 's':
        event.type = EXECUTOR_EVENT_PROCESS_STARTED;
        event.process.id = a;
        event.process.pid = 1000 + (int)a;
        break;
    case 'f':
        event.type = EXECUTOR_EVENT_PROCESS_FAILED;
        event.process.id = a;
        break;
    case 'x':
        event.type = EXECUTOR_EVENT_PROCESS_EXITED;
        event.process.id = a;
        event.process.status = (int)b;
        break;
    case 'k':
        event.type = EXECUTOR_EVENT_CHECK_DONE;
        event.check.id = a;
        event.check.result = (enum executor_check_result)(b % 5);
        event.check.value = c;
        break;
    case 't':
        w->now_ms += a;
        break;
    default:
        return;
    }
    step(w, event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct executor_config config = {.framework_id = "framework",
                                     .executor_id = "executor",
                                     .sandbox = "/sandbox",
                                     .checkpoint = size > 0 && data[0] != '#',
                                     .recovery_timeout_ms = 900000,
                                     .shutdown_grace_ms = 5000,
                                     .seed = 1};
    struct world w = {.core = executor_new(&config), .arena = arena_new(0), .now_ms = 1000};
    char *text = xstrndup((const char *)data, size), *rest = text;
    executor_effects_init(&w.effects);
    step(&w, (struct executor_event){.type = EXECUTOR_EVENT_START});
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        run_line(&w, line);
        arena_reset(w.arena);
    }
    free(text);
    arena_free(w.arena);
    executor_effects_deinit(&w.effects);
    executor_free(w.core);
    return 0;
}
