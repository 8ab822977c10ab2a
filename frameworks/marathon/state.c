/* SPDX-License-Identifier: Apache-2.0
 * state.c - what is written to the store. One JSON value per key (the prefix of all is in marathon.h):
 *
 *   framework              {"id"}
 *   app<id>                definition of the root
 *   version<id>@<ms>       each definition an app had, kept until its last instance has gone
 *   failure<id>            last task failure
 *   instance/<id>          instance and its task
 *   deployment/<uuid>      plan under way */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

static void write_buf(struct marathon *m, const char *key, struct buf *b)
{
    CHECK(!b->overflowed);
    outbox_write(m->outbox, key, buf_data(b), buf_len(b));
    buf_deinit(b);
}

static void begin(struct buf *b, struct json_writer *w)
{
    buf_init(b, 64u << 20);
    json_writer_init(w, b);
}

static const char *key_of(struct marathon *m, const char *kind, const char *id)
{
    return arena_printf(outbox_now_arena(m->outbox), "%s%s", kind, id);
}

void marathon_store_framework(struct marathon *m)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "id", m->framework_id);
    json_end_object(&w);
    write_buf(m, "framework", &b);
}

void marathon_store_app(struct marathon *m, const struct service *s)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    app_write(s->app, true, &w);
    write_buf(m, key_of(m, "app", s->id), &b);
}

void marathon_forget_app(struct marathon *m, const struct service *s)
{
    outbox_write(m->outbox, key_of(m, "app", s->id), NULL, 0);
}

static const char *version_key(struct marathon *m, const struct service *s, int64_t version_ms)
{
    return arena_printf(outbox_now_arena(m->outbox), "version%s@%013lld", s->id, (long long)version_ms);
}

void marathon_store_version(struct marathon *m, const struct service *s, const struct version *v)
{
    outbox_write(m->outbox, version_key(m, s, v->version_ms), v->text, strlen(v->text));
}

void marathon_forget_version(struct marathon *m, const struct service *s, int64_t version_ms)
{
    outbox_write(m->outbox, version_key(m, s, version_ms), NULL, 0);
}

void marathon_store_failure(struct marathon *m, const struct service *s)
{
    outbox_write(m->outbox, key_of(m, "failure", s->id), s->failure, s->failure ? strlen(s->failure) : 0);
}

static void write_text(struct json_writer *w, const char *key, const char *text)
{
    if (text)
        json_kv_string(w, key, text);
}

static void write_task(const struct instance *i, struct json_writer *w)
{
    json_kv_string(w, "task", i->task_id);
    write_text(w, "agent", i->agent_id);
    write_text(w, "host", i->hostname);
    write_text(w, "region", i->region);
    write_text(w, "zone", i->zone);
    write_text(w, "address", i->address);
    write_text(w, "killReason", i->kill_reason);
    json_put_key(w, "ports");
    json_begin_array(w);
    for (size_t k = 0; k < i->spec->port_count; k++)
        json_put_uint(w, i->ports[k]);
    json_end_array(w);
    if (i->values) {
        json_put_key(w, "values");
        json_begin_array(w);
        for (size_t k = 0; k < i->spec->constraint_count; k++) {
            if (i->values[k])
                json_put_string(w, i->values[k]);
            else
                json_put_null(w);
        }
        json_end_array(w);
    }
    json_kv_int(w, "stagedAt", i->staged_ms);
    json_kv_int(w, "startedAt", i->started_ms);
    json_kv_int(w, "unreachableAt", i->unreachable_ms);
    json_kv_int(w, "mesosHealth", i->mesos_health);
    if (i->has_check_result)
        json_kv_int(w, "checkResult", i->check_result);
    json_kv_bool(w, "hasStatus", i->has_status);
    json_kv_bool(w, "isKilled", i->is_killed);
}

void marathon_store_instance(struct marathon *m, struct instance *i)
{
    /* An instance that was never launched is made again by whoever wants it. */
    if (i->condition == CONDITION_SCHEDULED && !i->is_stored)
        return;
    i->is_stored = true;
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_kv_string(&w, "app", i->service->id);
    json_kv_int(&w, "version", i->spec->version_ms);
    json_kv_uint(&w, "incarnation", i->incarnation);
    json_kv_string(&w, "condition", marathon_condition_name(i->condition));
    json_kv_bool(&w, "isDecommissioned", i->is_decommissioned);
    json_kv_bool(&w, "isAwaited", i->is_awaited);
    if (i->task_id)
        write_task(i, &w);
    json_end_object(&w);
    write_buf(m, key_of(m, "instance/", i->id), &b);
}

void marathon_forget_instance(struct marathon *m, struct instance *i)
{
    if (i->is_stored)
        outbox_write(m->outbox, key_of(m, "instance/", i->id), NULL, 0);
    i->is_stored = false;
}

static void write_definition(struct json_writer *w, const char *key, const struct app *app)
{
    if (app == NULL)
        return;
    json_put_key(w, key);
    app_write(app, true, w);
}

static void write_change(const struct plan_change *c, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "app", c->app_id);
    write_definition(w, "original", c->original);
    write_definition(w, "target", c->target);
    json_kv_bool(w, "isRestart", c->is_restart);
    json_put_key(w, "kill");
    json_begin_array(w);
    for (size_t k = 0; k < c->kill_count; k++)
        json_put_string(w, c->kill[k]);
    json_end_array(w);
    json_end_object(w);
}

void marathon_store_deployment(struct marathon *m, const struct deployment *d)
{
    struct buf b;
    struct json_writer w;
    begin(&b, &w);
    json_begin_object(&w);
    json_kv_int(&w, "version", d->version_ms);
    json_put_key(&w, "changes");
    json_begin_array(&w);
    for (size_t k = 0; k < d->plan.change_count; k++)
        write_change(&d->plan.changes[k], &w);
    json_end_array(&w);
    json_put_key(&w, "steps");
    json_begin_array(&w);
    for (size_t k = 0; k < d->plan.step_count; k++) {
        json_begin_array(&w);
        for (size_t n = 0; n < d->plan.steps[k].count; n++) {
            json_begin_object(&w);
            json_kv_int(&w, "action", d->plan.steps[k].actions[n].action);
            json_kv_string(&w, "app", d->plan.steps[k].actions[n].app_id);
            json_end_object(&w);
        }
        json_end_array(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    write_buf(m, key_of(m, "deployment/", d->id), &b);
}

void marathon_forget_deployment(struct marathon *m, const struct deployment *d)
{
    outbox_write(m->outbox, key_of(m, "deployment/", d->id), NULL, 0);
}
