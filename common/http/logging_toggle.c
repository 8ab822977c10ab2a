/* SPDX-License-Identifier: Apache-2.0 */
#include "common/http/logging_toggle.h"

#include <errno.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/text.h"

#define NS_PER_MS 1000000

struct logging_toggle {
    struct loop_timer *timer;
    enum log_level original;
    uint32_t level;
};

static void revert(void *ctx)
{
    struct logging_toggle *t = ctx;
    t->level = 0;
    log_set_level(t->original);
}

struct logging_toggle *logging_toggle_new(struct loop *loop)
{
    struct logging_toggle *t = xcalloc(1, sizeof(*t));
    t->original = log_get_level();
    t->timer = loop_timer_add(loop, revert, t);
    return t;
}

void logging_toggle_free(struct logging_toggle *t)
{
    if (t == NULL)
        return;
    if (t->level != 0)
        revert(t);
    (void)loop_timer_remove(t->timer);
    free(t);
}

uint32_t logging_toggle_level(const struct logging_toggle *t)
{
    return t->level;
}

int logging_toggle_set(struct logging_toggle *t, int64_t level, int64_t duration_ns, struct err *err)
{
    if (level < 0 || level > LOGGING_LEVEL_MAX)
        return err_set(err, -EINVAL, "The level is to be from 0 to %d", LOGGING_LEVEL_MAX);
    if (duration_ns < 0)
        return err_set(err, -EINVAL, "The duration is not to be negative");
    loop_timer_stop(t->timer);
    revert(t);
    if (level == 0)
        return 0;
    t->level = (uint32_t)level;
    log_set_level(LOG_LEVEL_DEBUG);
    loop_timer_start(t->timer, duration_ns / NS_PER_MS);
    return 0;
}

void logging_toggle_answer(struct logging_toggle *t, struct http_exchange *x, const struct http_message *request)
{
    struct arena *arena = http_exchange_arena(x);
    const char *level = http_query(request, arena, "level", 0), *duration = http_query(request, arena, "duration", 0);
    if (level == NULL && duration == NULL) {
        char text[2] = {(char)('0' + t->level), '\0'};
        http_reply(x, 200, "text/plain; charset=utf-8", text, 1);
        return;
    }
    uint64_t wanted;
    int64_t duration_ns;
    struct err err;
    if (level == NULL || duration == NULL)
        http_reply_text(x, 400, "Expecting '%s=value' in query.", level == NULL ? "level" : "duration");
    else if (text_to_uint64(level, &wanted) < 0 || wanted > LOGGING_LEVEL_MAX)
        http_reply_text(x, 400, "The level is to be a number from 0 to %d.", LOGGING_LEVEL_MAX);
    else if (text_to_duration_ns(duration, &duration_ns) < 0)
        http_reply_text(x, 400, "The duration is not a number and a unit, like 10mins.");
    else if (logging_toggle_set(t, (int64_t)wanted, duration_ns, &err) < 0)
        http_reply_text(x, 400, "%s.", err.text);
    else
        http_reply(x, 200, NULL, NULL, 0);
}
