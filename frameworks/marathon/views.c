/* SPDX-License-Identifier: Apache-2.0
 * views.c - apps, tasks, groups as the API shows them (facts: marathon 1.4 to 1.7). See views_queue.c for deployments and
 * queue. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/core.h"

void marathon_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[TEXT_TIME_SIZE];
    text_format_time_ms(wall_ms, text);
    json_kv_string(w, key, text);
}

bool marathon_view_has_task(const struct instance *i)
{
    return i->task_id != NULL;
}

void marathon_view_check_result(const struct instance *i, const struct check *c, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_bool(w, "alive", marathon_check_is_alive(c));
    json_kv_int(w, "consecutiveFailures", c->failures);
    if (c->first_success_ms)
        marathon_put_time(w, "firstSuccess", c->first_success_ms);
    if (c->last_success_ms)
        marathon_put_time(w, "lastSuccess", c->last_success_ms);
    if (c->last_failure_ms)
        marathon_put_time(w, "lastFailure", c->last_failure_ms);
    if (c->cause)
        json_kv_string(w, "lastFailureCause", c->cause);
    json_kv_string(w, "instanceId", i->id);
    json_end_object(w);
}

/* Of Mesos-level checks only the verdict is known. */
static void write_mesos_result(const struct instance *i, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_bool(w, "alive", i->mesos_health == HEALTH_GOOD);
    json_kv_int(w, "consecutiveFailures", i->mesos_health == HEALTH_BAD ? 1 : 0);
    if (i->mesos_health == HEALTH_GOOD)
        marathon_put_time(w, "firstSuccess", i->started_ms);
    json_kv_string(w, "instanceId", i->id);
    json_end_object(w);
}

static void write_check_results(const struct instance *i, struct json_writer *w)
{
    if (i->spec->health_check_count == 0 || i->checks == NULL)
        return;
    json_put_key(w, "healthCheckResults");
    json_begin_array(w);
    for (size_t k = 0; k < i->spec->health_check_count; k++) {
        const struct check *c = &i->checks[k];
        if (app_check_is_mesos(i->spec->health_checks[k].protocol)) {
            if (i->mesos_health != HEALTH_NONE)
                write_mesos_result(i, w);
        } else if (c->last_success_ms || c->last_failure_ms) {
            marathon_view_check_result(i, c, w);
        }
    }
    json_end_array(w);
}

/* The key says the kind, whether there is a result yet or not. */
static void write_check_result(const struct instance *i, struct json_writer *w)
{
    if (i->spec->check == NULL)
        return;
    enum app_check_protocol kind = i->spec->check->protocol;
    json_put_key(w, "checkResult");
    json_begin_object(w);
    json_put_key(w, kind == APP_COMMAND ? "command" : kind == APP_MESOS_TCP ? "tcp" : "http");
    json_begin_object(w);
    if (i->has_check_result && kind == APP_COMMAND)
        json_kv_int(w, "exitCode", i->check_result);
    else if (i->has_check_result && kind == APP_MESOS_TCP)
        json_kv_bool(w, "succeeded", i->check_result != 0);
    else if (i->has_check_result)
        json_kv_int(w, "statusCode", i->check_result);
    json_end_object(w);
    json_end_object(w);
}

static void write_ports(const struct instance *i, struct json_writer *w)
{
    json_put_key(w, "ports");
    json_begin_array(w);
    for (size_t k = 0; k < i->spec->port_count; k++)
        json_put_uint(w, i->ports[k]);
    json_end_array(w);
}

void marathon_view_task(const struct marathon *m, const struct instance *i, bool with_service_ports, struct json_writer *w)
{
    (void)m;
    json_begin_object(w);
    json_put_key(w, "ipAddresses");
    json_begin_array(w);
    if (i->address) {
        json_begin_object(w);
        json_kv_string(w, "ipAddress", i->address);
        json_kv_string(w, "protocol", strchr(i->address, ':') ? "IPv6" : "IPv4");
        json_end_object(w);
    }
    json_end_array(w);
    if (i->staged_ms)
        marathon_put_time(w, "stagedAt", i->staged_ms);
    json_kv_string(w, "state", marathon_condition_task_state(i->condition));
    write_ports(i, w);
    if (i->started_ms)
        marathon_put_time(w, "startedAt", i->started_ms);
    marathon_put_time(w, "version", i->spec->version_ms);
    json_kv_string(w, "id", i->task_id);
    json_kv_string(w, "appId", i->service->id);
    json_kv_string(w, "slaveId", i->agent_id);
    json_kv_string(w, "host", i->hostname);
    json_kv_string(w, "role", i->spec->role);
    if (i->region)
        json_kv_string(w, "region", i->region);
    if (i->zone)
        json_kv_string(w, "zone", i->zone);
    write_check_results(i, w);
    write_check_result(i, w);
    json_put_key(w, "localVolumes");
    json_begin_array(w);
    json_end_array(w);
    if (with_service_ports) {
        json_put_key(w, "servicePorts");
        json_begin_array(w);
        for (size_t k = 0; k < i->service->app->port_count; k++)
            json_put_int(w, i->service->app->ports[k].number);
        json_end_array(w);
    }
    json_end_object(w);
}

void marathon_view_readiness_results(const struct service *s, struct json_writer *w)
{
    json_begin_array(w);
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        const struct readiness *r = i->readiness;
        if (r == NULL || !r->has_response)
            continue;
        json_begin_object(w);
        json_kv_string(w, "name", i->spec->readiness->name);
        json_kv_string(w, "taskId", i->task_id);
        json_kv_bool(w, "ready", r->is_ready);
        if (i->spec->readiness->preserve_last_response) {
            json_put_key(w, "lastResponse");
            json_begin_object(w);
            json_kv_int(w, "status", r->status);
            json_kv_string(w, "contentType", r->content_type);
            json_kv_string(w, "body", r->body);
            json_end_object(w);
        }
        json_end_object(w);
    }
    json_end_array(w);
}

static int compare_times(const void *left, const void *right)
{
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

enum stats_group { STATS_AFTER_SCALING, STATS_LATEST, STATS_OUTDATED, STATS_ALL };

static bool is_in_group(const struct instance *i, enum stats_group group)
{
    const struct app *app = i->service->app;
    switch (group) {
    case STATS_AFTER_SCALING:
        return i->spec->version_ms >= app->last_scaling_ms;
    case STATS_LATEST:
        return i->spec->version_ms >= app->last_config_change_ms;
    case STATS_OUTDATED:
        return i->spec->version_ms < app->last_config_change_ms;
    case STATS_ALL:
        return true;
    }
    return false;
}

static void write_stats(const struct marathon *m, const struct service *s, const char *key, enum stats_group group,
                        struct json_writer *w)
{
    int64_t counts[4] = {0}, sum = 0;
    int64_t *lives = xcalloc((size_t)s->tally[TALLY_ALL] + 1, sizeof(lives[0]));
    size_t tasks = 0, lived = 0;
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        if (!marathon_view_has_task(i) || !is_in_group(i, group))
            continue;
        tasks++;
        for (int t = 0; t < 4; t++)
            counts[t] += (i->tallies >> (TALLY_STAGED + t)) & 1;
        if (i->started_ms) {
            lives[lived] = m->wall_ms - i->started_ms;
            sum += lives[lived++];
        }
    }
    if (tasks > 0) {
        json_put_key(w, key);
        json_begin_object(w);
        json_put_key(w, "stats");
        json_begin_object(w);
        json_put_key(w, "counts");
        json_begin_object(w);
        json_kv_int(w, "staged", counts[0]);
        json_kv_int(w, "running", counts[1]);
        json_kv_int(w, "healthy", counts[2]);
        json_kv_int(w, "unhealthy", counts[3]);
        json_end_object(w);
        if (lived > 0) {
            qsort(lives, lived, sizeof(lives[0]), compare_times);
            json_put_key(w, "lifeTime");
            json_begin_object(w);
            json_kv_number(w, "averageSeconds", (double)sum / (double)lived / 1000);
            json_kv_number(w, "medianSeconds", (double)lives[lived / 2] / 1000);
            json_end_object(w);
        }
        json_end_object(w);
        json_end_object(w);
    }
    free(lives);
}

/* Both names: the UI reads the one, the interface description says the other (facts 1.4). */
static void write_task_stats(const struct marathon *m, const struct service *s, struct json_writer *w)
{
    static const char *const keys[] = {"taskStats", "tasksStats"};
    for (int k = 0; k < 2; k++) {
        json_put_key(w, keys[k]);
        json_begin_object(w);
        write_stats(m, s, "startedAfterLastScaling", STATS_AFTER_SCALING, w);
        write_stats(m, s, "withLatestConfig", STATS_LATEST, w);
        write_stats(m, s, "withOutdatedConfig", STATS_OUTDATED, w);
        write_stats(m, s, "totalSummary", STATS_ALL, w);
        json_end_object(w);
    }
}

static void write_tasks(const struct marathon *m, const struct service *s, struct json_writer *w)
{
    json_put_key(w, "tasks");
    json_begin_array(w);
    list_for_each(node, &s->instances)
    {
        const struct instance *i = container_of(node, struct instance, link);
        if (marathon_view_has_task(i))
            marathon_view_task(m, i, true, w);
    }
    json_end_array(w);
}

void marathon_view_app(struct marathon *m, const struct service *s, unsigned embed, struct json_writer *w)
{
    json_begin_object(w);
    app_write_members(s->app, true, w);
    if (embed & MARATHON_EMBED_COUNTS) {
        json_kv_int(w, "tasksStaged", s->tally[TALLY_STAGED]);
        json_kv_int(w, "tasksRunning", s->tally[TALLY_RUNNING]);
        json_kv_int(w, "tasksHealthy", s->tally[TALLY_HEALTHY]);
        json_kv_int(w, "tasksUnhealthy", s->tally[TALLY_UNHEALTHY]);
    }
    if (embed & MARATHON_EMBED_DEPLOYMENTS) {
        json_put_key(w, "deployments");
        json_begin_array(w);
        if (s->deployment) {
            json_begin_object(w);
            json_kv_string(w, "id", s->deployment->id);
            json_end_object(w);
        }
        json_end_array(w);
    }
    if (embed & MARATHON_EMBED_READINESS) {
        json_put_key(w, "readinessCheckResults");
        marathon_view_readiness_results(s, w);
    }
    if (embed & MARATHON_EMBED_TASKS)
        write_tasks(m, s, w);
    if ((embed & MARATHON_EMBED_LAST_TASK_FAILURE) && s->failure) {
        json_put_key(w, "lastTaskFailure");
        json_put_raw(w, s->failure, strlen(s->failure));
    }
    if (embed & MARATHON_EMBED_TASK_STATS)
        write_task_stats(m, s, w);
    json_end_object(w);
}

/* Direct children of a group: apps and the groups that lead to deeper ones. Groups exist because apps are in them. */
static bool is_direct_child(const char *id, const char *group)
{
    size_t n = strcmp(group, "/") == 0 ? 0 : strlen(group);
    return app_id_is_below(id, group) && strchr(id + n + 1, '/') == NULL;
}

static void view_group_at(struct marathon *m, const char *id, unsigned embed, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "id", id);
    json_put_key(w, "dependencies");
    json_begin_array(w);
    json_end_array(w);
    marathon_put_time(w, "version", m->last_version_ms);
    json_kv_bool(w, "enforceRole", false);
    if (embed & MARATHON_EMBED_GROUP_APPS) {
        json_put_key(w, "apps");
        json_begin_array(w);
        for (struct map_entry *e = map_first(&m->services); e; e = map_next(e)) {
            struct service *s = map_value(e);
            if (!s->is_deleted && is_direct_child(s->id, id))
                marathon_view_app(m, s, embed, w);
        }
        json_end_array(w);
    }
    json_put_key(w, "pods");
    json_begin_array(w);
    json_end_array(w);
    if (embed & MARATHON_EMBED_GROUP_GROUPS) {
        json_put_key(w, "groups");
        json_begin_array(w);
        for (struct map_entry *e = map_first(&m->groups); e && w->depth < JSON_DEPTH_MAX - 8; e = map_next(e)) {
            if (is_direct_child(map_key(e), id))
                view_group_at(m, map_key(e), embed, w);
        }
        json_end_array(w);
    }
    json_end_object(w);
}

void marathon_view_group(struct marathon *m, const char *id, unsigned embed, struct json_writer *w)
{
    view_group_at(m, id, embed, w);
}
