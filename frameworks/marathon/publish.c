/* SPDX-License-Identifier: Apache-2.0
 * publish.c - events for the event stream (facts: marathon 4.15). They go out after what they tell is durable. */
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

static void begin(struct marathon *m, const char *type, struct buf *b, struct json_writer *w)
{
    buf_init(b, 0);
    json_writer_init(w, b);
    json_begin_object(w);
    json_kv_string(w, "eventType", type);
    marathon_put_time(w, "timestamp", m->wall_ms);
}

static void end(struct marathon *m, const char *type, struct buf *b, struct json_writer *w)
{
    json_end_object(w);
    outbox_publish(m->outbox, type, b);
}

void marathon_publish_update(struct marathon *m, const struct instance *i, const char *task_status, const char *message)
{
    struct buf b;
    struct json_writer w;
    begin(m, "status_update_event", &b, &w);
    json_kv_string(&w, "slaveId", i->agent_id ? i->agent_id : "");
    json_kv_string(&w, "taskId", i->task_id);
    json_kv_string(&w, "taskStatus", task_status);
    json_kv_string(&w, "message", message ? message : "");
    json_kv_string(&w, "appId", i->service->id);
    json_kv_string(&w, "host", i->hostname ? i->hostname : "");
    json_put_key(&w, "ipAddresses");
    json_begin_array(&w);
    if (i->address) {
        json_begin_object(&w);
        json_kv_string(&w, "ipAddress", i->address);
        json_kv_string(&w, "protocol", strchr(i->address, ':') ? "IPv6" : "IPv4");
        json_end_object(&w);
    }
    json_end_array(&w);
    json_put_key(&w, "ports");
    json_begin_array(&w);
    for (size_t k = 0; i->ports && k < i->spec->port_count; k++)
        json_put_uint(&w, i->ports[k]);
    json_end_array(&w);
    marathon_put_time(&w, "version", i->spec->version_ms);
    end(m, "status_update_event", &b, &w);
}

void marathon_publish_instance(struct marathon *m, const struct instance *i, enum condition condition)
{
    struct buf b;
    struct json_writer w;
    begin(m, "instance_changed_event", &b, &w);
    json_kv_string(&w, "instanceId", i->id);
    json_kv_string(&w, "condition", marathon_condition_name(condition));
    json_kv_string(&w, "runSpecId", i->service->id);
    json_kv_string(&w, "agentId", i->agent_id ? i->agent_id : "");
    json_kv_string(&w, "host", i->hostname ? i->hostname : "");
    marathon_put_time(&w, "runSpecVersion", i->spec->version_ms);
    end(m, "instance_changed_event", &b, &w);
}

void marathon_publish_health(struct marathon *m, const struct instance *i, enum health health)
{
    struct buf b;
    struct json_writer w;
    begin(m, "instance_health_changed_event", &b, &w);
    json_kv_string(&w, "instanceId", i->id);
    json_kv_string(&w, "runSpecId", i->service->id);
    if (health != HEALTH_NONE)
        json_kv_bool(&w, "healthy", health == HEALTH_GOOD);
    marathon_put_time(&w, "runSpecVersion", i->spec->version_ms);
    end(m, "instance_health_changed_event", &b, &w);
}

void marathon_publish_check_failed(struct marathon *m, const struct instance *i, const struct app_health_check *check)
{
    struct buf b;
    struct json_writer w;
    begin(m, "failed_health_check_event", &b, &w);
    json_kv_string(&w, "appId", i->service->id);
    json_kv_string(&w, "taskId", i->id);
    json_put_key(&w, "healthCheck");
    app_write_health_check(check, &w);
    end(m, "failed_health_check_event", &b, &w);
}

void marathon_publish_alive(struct marathon *m, const struct instance *i, bool alive)
{
    struct buf b;
    struct json_writer w;
    begin(m, "health_status_changed_event", &b, &w);
    json_kv_string(&w, "appId", i->service->id);
    json_kv_string(&w, "instanceId", i->id);
    marathon_put_time(&w, "version", i->spec->version_ms);
    json_kv_bool(&w, "alive", alive);
    end(m, "health_status_changed_event", &b, &w);
}

void marathon_publish_unhealthy_kill(struct marathon *m, const struct instance *i, const char *reason)
{
    struct buf b;
    struct json_writer w;
    begin(m, "unhealthy_instance_kill_event", &b, &w);
    json_kv_string(&w, "appId", i->service->id);
    json_kv_string(&w, "taskId", i->task_id);
    json_kv_string(&w, "instanceId", i->id);
    marathon_put_time(&w, "version", i->spec->version_ms);
    json_kv_string(&w, "reason", reason);
    json_kv_string(&w, "host", i->hostname);
    json_kv_string(&w, "slaveId", i->agent_id);
    end(m, "unhealthy_instance_kill_event", &b, &w);
}

void marathon_publish_unknown(struct marathon *m, const char *task_id, enum condition condition)
{
    struct buf b;
    struct json_writer w;
    const char *dot = strchr(task_id, '.'), *rest = strstr(task_id, "._app.");
    if (dot == NULL)
        return; /* not one of ours */
    begin(m, "unknown_instance_terminated_event", &b, &w);
    json_put_key(&w, "instanceId");
    json_put_string_n(&w, task_id, rest ? (size_t)(rest - task_id) : strlen(task_id));
    char id[APP_ID_SIZE];
    size_t n = (size_t)(dot - task_id) < sizeof(id) - 2 ? (size_t)(dot - task_id) : sizeof(id) - 2;
    id[0] = '/';
    for (size_t k = 0; k < n; k++)
        id[k + 1] = task_id[k] == '_' ? '/' : task_id[k];
    id[n + 1] = '\0';
    json_kv_string(&w, "runSpecId", id);
    json_kv_string(&w, "condition", marathon_condition_name(condition));
    end(m, "unknown_instance_terminated_event", &b, &w);
}

static void write_plan(const struct deployment *d, struct json_writer *w)
{
    json_put_key(w, "plan");
    json_begin_object(w);
    json_kv_string(w, "id", d->id);
    json_put_key(w, "steps");
    marathon_view_steps(&d->plan, w);
    marathon_put_time(w, "version", d->version_ms);
    json_end_object(w);
}

void marathon_publish_deployment(struct marathon *m, const char *type, const struct deployment *d, const char *reason)
{
    struct buf b;
    struct json_writer w;
    bool is_end = strcmp(type, "deployment_success") == 0 || strcmp(type, "deployment_failed") == 0;
    begin(m, type, &b, &w);
    if (is_end)
        json_kv_string(&w, "id", d->id);
    write_plan(d, &w);
    if (!is_end) {
        json_put_key(&w, "currentStep");
        json_begin_object(&w);
        json_put_key(&w, "actions");
        json_begin_array(&w);
        for (size_t n = 0; n < d->plan.steps[d->step].count; n++)
            marathon_view_action(&d->plan.steps[d->step].actions[n], &w);
        json_end_array(&w);
        json_end_object(&w);
    }
    if (reason)
        json_kv_string(&w, "reason", reason);
    end(m, type, &b, &w);
}

void marathon_publish_group_change(struct marathon *m, int64_t version_ms)
{
    struct buf b;
    struct json_writer w;
    begin(m, "group_change_success", &b, &w);
    json_kv_string(&w, "groupId", "/");
    marathon_put_time(&w, "version", version_ms);
    end(m, "group_change_success", &b, &w);
}

void marathon_publish_app_event(struct marathon *m, const char *type, const char *app_id)
{
    struct buf b;
    struct json_writer w;
    begin(m, type, &b, &w);
    json_kv_string(&w, "appId", app_id);
    end(m, type, &b, &w);
}

static bool have_same_checks(const struct app *a, const struct app *b)
{
    struct buf left, right;
    struct json_writer w;
    const struct app *apps[2] = {a, b};
    struct buf *texts[2] = {&left, &right};
    for (int k = 0; k < 2; k++) {
        buf_init(texts[k], 0);
        json_writer_init(&w, texts[k]);
        json_begin_array(&w);
        for (size_t n = 0; n < apps[k]->health_check_count; n++)
            app_write_health_check(&apps[k]->health_checks[n], &w);
        json_end_array(&w);
    }
    bool same = buf_len(&left) == buf_len(&right) && memcmp(buf_data(&left), buf_data(&right), buf_len(&left)) == 0;
    buf_deinit(&left);
    buf_deinit(&right);
    return same;
}

void marathon_publish_checks(struct marathon *m, const struct app *old, const struct app *app)
{
    if (old && have_same_checks(old, app))
        return;
    if (old && old->health_check_count > 0)
        marathon_publish_app_event(m, "remove_health_check_event", app->id);
    for (size_t k = 0; k < app->health_check_count; k++) {
        struct buf b;
        struct json_writer w;
        begin(m, "add_health_check_event", &b, &w);
        json_kv_string(&w, "appId", app->id);
        marathon_put_time(&w, "version", app->version_ms);
        json_put_key(&w, "healthCheck");
        app_write_health_check(&app->health_checks[k], &w);
        end(m, "add_health_check_event", &b, &w);
    }
}

void marathon_publish_post(struct marathon *m, const struct marathon_request *r, const struct app *app)
{
    struct buf b;
    struct json_writer w;
    begin(m, "api_post_event", &b, &w);
    json_kv_string(&w, "clientIp", r->client_ip ? r->client_ip : "");
    json_kv_string(&w, "uri", r->uri ? r->uri : "");
    json_put_key(&w, "appDefinition");
    app_write(app, true, &w);
    end(m, "api_post_event", &b, &w);
}

void marathon_publish_scheduler(struct marathon *m, const char *type, const char *master)
{
    struct buf b;
    struct json_writer w;
    begin(m, type, &b, &w);
    if (strcmp(type, "scheduler_registered_event") == 0)
        json_kv_string(&w, "frameworkId", m->framework_id);
    if (master)
        json_kv_string(&w, "master", master);
    end(m, type, &b, &w);
}
