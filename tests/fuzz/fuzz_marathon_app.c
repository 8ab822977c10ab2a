/* SPDX-License-Identifier: Apache-2.0
 * Definitions of apps: whatever is accepted is written, read back and laid over itself without a difference. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/app.h"
#include "frameworks/marathon/constraints.h"
#include "frameworks/marathon/selector.h"
#include "frameworks/marathon/task_info.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct app_context context = {.role = "*"};

static void use(struct app *app)
{
    struct arena *arena = arena_new(0);
    uint32_t *ports = xcalloc(app->port_count + 1, sizeof(ports[0]));
    struct task_request r = {.app = app, .task_id = "t", .agent_id = "a", .hostname = "h", .ports = ports};
    Mesos__V1__TaskInfo *info = marathon_task_info(&r, arena);
    CHECK(mesos__v1__task_info__get_packed_size(info) > 0);
    (void)spread_free(spread_new(app));
    (void)selector_matches(app->id, &app->labels); /* must only end */
    free(ports);
    (void)arena_free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_read(data, size, NULL);
    struct problems p;
    struct app *app = NULL, *again = NULL;
    if (json == NULL)
        return 0;
    problems_init(&p);
    if (app_from_json(json, NULL, NULL, &context, &app, &p)) {
        struct buf b;
        struct json_writer w;
        app->version_ms = app->last_scaling_ms = app->last_config_change_ms = 1700000000000;
        buf_init(&b, 64u << 20);
        json_writer_init(&w, &b);
        app_write(app, true, &w);
        CHECK(!b.overflowed);
        again = app_from_stored(buf_data(&b), buf_len(&b), &context);
        CHECK(again != NULL && !app_needs_restart(app, again));
        (void)app_unref(again);
        again = NULL;
        json_t *same = json_read(buf_data(&b), buf_len(&b), NULL);
        CHECK(app_from_json(same, app, NULL, &context, &again, &p) && !app_needs_restart(app, again));
        json_decref(same);
        buf_deinit(&b);
        use(app);
    } else {
        struct buf b;
        struct json_writer w;
        CHECK(problems_any(&p));
        buf_init(&b, 0);
        json_writer_init(&w, &b);
        problems_write(&p, &w);
        CHECK(!b.overflowed);
        buf_deinit(&b);
    }
    (void)app_unref(again);
    (void)app_unref(app);
    problems_deinit(&p);
    json_decref(json);
    return 0;
}
