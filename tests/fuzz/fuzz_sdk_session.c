/* SPDX-License-Identifier: Apache-2.0
 * fuzz_sdk_session.c - scripts of events for the scheduler's session, one a line:
 *   {json}  event of the master    A<status> <location>  answer to SUBSCRIBE    C  stream closed    D<status>  call done
 *   K<task>  kill    R<task>  tasks to reconcile    W  offers wanted    U  not wanted    S  stop    t<ms>  time passes */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "frameworks/sdk/calls.h"
#include "frameworks/sdk/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct world {
    struct sdk_session *session;
    struct sdk_effects effects;
    struct arena *arena;
    int64_t now_ms;
    uint64_t connection;
};

static void step(struct world *w, struct sdk_event event)
{
    event.now_ms = w->now_ms;
    event.connection = w->connection;
    (void)sdk_session_step(w->session, &event, &w->effects); /* refusals are fine */
    sdk_session_check_invariants(w->session);
    for (size_t i = 0; i < w->effects.count; i++)
        if (w->effects.items[i].type == SDK_EFFECT_CONNECT)
            w->connection = w->effects.items[i].connection;
}

static void run_line(struct world *w, const char *line)
{
    struct sdk_event event = {.type = SDK_EVENT_TICK};
    struct sdk_task task = {.task_id = line[0] ? line + 1 : line};
    unsigned number = 0;
    const char *space = strchr(line, ' ');
    if (line[0] == 'A' || line[0] == 'D' || line[0] == 't')
        (void)sscanf(line + 1, "%9u", &number); /* what is missing stays 0 */
    switch (line[0]) {
    case '{':
        event.type = SDK_EVENT_RECEIVED;
        event.received = (const Mesos__V1__Scheduler__Event *)wire_decode(
            WIRE_JSON, &mesos__v1__scheduler__event__descriptor, line, strlen(line), w->arena, NULL);
        if (!event.received)
            return;
        break;
    case 'A':
        event.type = SDK_EVENT_ANSWER;
        event.answer.status = (int)number;
        event.answer.stream_id = "stream";
        event.answer.location = space ? space + 1 : NULL;
        break;
    case 'C':
        event.type = SDK_EVENT_CLOSED;
        break;
    case 'D':
        event.type = SDK_EVENT_CALL_DONE;
        event.call_done.status = (int)number;
        break;
    case 'K':
        event.type = SDK_EVENT_CALL;
        event.call = sdk_call_kill(w->arena, line + 1, NULL, -1);
        break;
    case 'R':
        event.type = SDK_EVENT_TASKS;
        event.tasks.list = &task;
        event.tasks.count = 1;
        break;
    case 'W':
        event.type = SDK_EVENT_WANT;
        break;
    case 'U':
        event.type = SDK_EVENT_UNWANT;
        break;
    case 'S':
        event.type = SDK_EVENT_STOP;
        break;
    case 't':
        w->now_ms += number;
        break;
    default:
        return;
    }
    step(w, event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const masters[] = {"127.0.0.1:5050", "[::1]:5050"};
    static char user[] = "u";
    Mesos__V1__FrameworkInfo framework = MESOS__V1__FRAMEWORK_INFO__INIT;
    framework.user = framework.name = user;
    struct sdk_session_config config = {.masters = masters,
                                        .master_count = 2,
                                        .framework = &framework,
                                        .format = size % 2 ? WIRE_JSON : WIRE_PROTOBUF,
                                        .calls_max = 4,
                                        .seed = 1};
    struct world w = {.session = sdk_session_new(&config, NULL), .arena = arena_new(0), .now_ms = 1000};
    char *text = xstrndup((const char *)data, size), *rest = text;
    CHECK(w.session);
    sdk_effects_init(&w.effects);
    step(&w, (struct sdk_event){.type = SDK_EVENT_START});
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        run_line(&w, line);
        arena_reset(w.arena);
    }
    free(text);
    arena_free(w.arena);
    sdk_effects_deinit(&w.effects);
    sdk_session_free(w.session);
    return 0;
}
