/* SPDX-License-Identifier: Apache-2.0
 * load.c - the state of an earlier run out of the store. Runs keep their tasks, schedules go on from the last moment that
 * was decided: what passed in between is decided like any late moment. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "frameworks/cron/core.h"
#include "frameworks/cron/job_json.h"

#define PREFIX_LEN (sizeof(CRON_STORE_PREFIX) - 1)
#define KEY_MAX 512

/* The parts of a key behind its kind and bucket, cut at the slashes. */
struct key {
    char text[KEY_MAX];
    const char *job_id, *second, *third; /* NULL: not there */
};

/* In the order in which they are read: what a record refers to comes before it. */
enum kind { KIND_FRAMEWORK, KIND_JOB, KIND_PROGRESS, KIND_SPEC, KIND_GRAPH, KIND_RUN, KIND_TASK, KIND_FAILED, KIND_COUNT };
static const char *const kind_words[KIND_COUNT] = {"framework", "job", "progress", "spec",
                                                   "graph",     "run", "task",     "failed"};

/* KIND_COUNT: none of ours. */
static enum kind kind_of(const struct kit_item *item)
{
    const char *at = (const char *)item->key + PREFIX_LEN;
    size_t len = item->key_len - PREFIX_LEN; /* all were read below the prefix */
    if (item->key_len >= KEY_MAX)
        return KIND_COUNT;
    for (int kind = KIND_FRAMEWORK; kind < KIND_COUNT; kind++) {
        size_t n = strlen(kind_words[kind]);
        if (len < n || memcmp(at, kind_words[kind], n) != 0)
            continue;
        if (kind == KIND_FRAMEWORK ? len == n : len >= n + 4 && at[n] == '/' && at[n + 3] == '/')
            return (enum kind)kind;
    }
    return KIND_COUNT;
}

static void split_key(const struct kit_item *item, enum kind kind, struct key *out)
{
    size_t skip = PREFIX_LEN + strlen(kind_words[kind]) + 4; /* "/BB/" */
    memcpy(out->text, (const char *)item->key + skip, item->key_len - skip);
    out->text[item->key_len - skip] = '\0';
    out->job_id = out->text;
    char *slash = strchr(out->text, '/');
    if (slash)
        *slash = '\0';
    out->second = slash ? slash + 1 : NULL;
    slash = slash ? strchr(slash + 1, '/') : NULL;
    if (slash)
        *slash = '\0';
    out->third = slash ? slash + 1 : NULL;
}

static int unreadable(struct cron *c, const struct kit_item *item)
{
    cron_fatal(c, "stored state is not readable: key %.*s", (int)(item->key_len < 300 ? item->key_len : 300),
               (const char *)item->key);
    return -EINVAL;
}

static int64_t int_of(const json_t *json, const char *key)
{
    return (int64_t)json_integer_value(json_object_get(json, key));
}

static char *text_of(const json_t *json, const char *key)
{
    const char *s = json_string_value(json_object_get(json, key));
    return s ? xstrdup(s) : NULL;
}

static bool is_set(const json_t *json, const char *key)
{
    return json_is_true(json_object_get(json, key));
}

/* -- jobs ----------------------------------------------------------------------------------------------------------- */

static struct job *read_definition(struct cron *c, const struct kit_item *item)
{
    const struct job_reading how = {.zones = c->config.zones, .wall_ms = c->wall_ms};
    return job_from_stored(item->value, item->value_len, &how);
}

static int load_framework(struct cron *c, const struct kit_item *item)
{
    json_t *json = json_read(item->value, item->value_len, NULL);
    c->framework_id = text_of(json, "id");
    json_decref(json);
    return c->framework_id ? 0 : unreadable(c, item);
}

static int load_job(struct cron *c, const struct kit_item *item, const struct key *key)
{
    struct job *job = read_definition(c, item);
    if (job == NULL || strcmp(job->id, key->job_id) != 0) {
        (void)job_unref(job);
        return unreadable(c, item);
    }
    (void)cron_entry_restore(c, job);
    return 0;
}

static int load_progress(struct cron *c, const struct kit_item *item, const struct key *key)
{
    struct entry *e = cron_entry_get(c, key->job_id);
    json_t *json = json_read(item->value, item->value_len, NULL);
    if (e == NULL || !json_is_object(json)) {
        json_decref(json);
        return unreadable(c, item);
    }
    e->created = int_of(json, "created");
    c->last_created = e->created > c->last_created ? e->created : c->last_created;
    e->decided_ms = int_of(json, "decided");
    e->last_due_ms = int_of(json, "lastDue");
    e->remaining = int_of(json, "remaining");
    e->next_ordinal = int_of(json, "ordinal");
    e->history_next = int_of(json, "historyNext");
    e->history_count = int_of(json, "history");
    e->successes = int_of(json, "successes");
    e->failures = int_of(json, "failures");
    e->failures_in_row = int_of(json, "failuresInRow");
    e->last_success_ms = int_of(json, "lastSuccess");
    e->last_failure_ms = int_of(json, "lastFailure");
    e->last_started_ms = int_of(json, "lastStarted");
    const char *parent;
    json_t *value;
    json_object_foreach(json_object_get(json, "consumed"), parent, value)
    {
        int64_t *at = xcalloc(1, sizeof(*at));
        *at = (int64_t)json_integer_value(value);
        free(map_put(&e->consumed, parent, at));
    }
    json_decref(json);
    return 0;
}

/* A definition that only runs have. Without a present one the job was removed while they went on. */
static int load_spec(struct cron *c, const struct kit_item *item)
{
    struct job *job = read_definition(c, item);
    if (job == NULL)
        return unreadable(c, item);
    struct entry *e = cron_entry_get(c, job->id);
    if (e == NULL) {
        e = cron_entry_restore(c, job_ref(job));
        e->is_deleted = true;
    }
    struct spec_version *v = xcalloc(1, sizeof(*v));
    v->job = job;
    list_push_back(&e->old_specs, &v->link);
    return 0;
}

static int load_graph(struct cron *c, const struct kit_item *item, const struct key *key)
{
    char id[KEY_MAX];
    json_t *json = json_read(item->value, item->value_len, NULL);
    if (!json_is_object(json) || key->second == NULL) {
        json_decref(json);
        return unreadable(c, item);
    }
    (void)snprintf(id, sizeof(id), "%s/%s", key->job_id, key->second); /* as long as the key */
    struct graph *g = cron_graph_new(c, id);
    g->is_stored = true;
    const char *job_id;
    json_t *state;
    json_object_foreach(json, job_id, state)
    {
        if (json_integer_value(state) > 0)
            (void)map_put(&g->nodes, job_id, (void *)(uintptr_t)json_integer_value(state));
    }
    json_decref(json);
    return 0;
}

/* -- runs ----------------------------------------------------------------------------------------------------------- */

static bool load_task(struct cron *c, struct run *r, int64_t index, const json_t *json)
{
    const char *id = json_string_value(json_object_get(json, "id"));
    int64_t state = int_of(json, "state");
    bool is_whole = id && state >= TASK_CREATED && state < TASK_STATE_COUNT &&
                    json_is_string(json_object_get(json, "agent")) && json_is_string(json_object_get(json, "host"));
    if (!is_whole || map_get(&c->tasks, id))
        return false;
    struct task *t = cron_task_new(c, r, index, id);
    t->attempt = (unsigned)int_of(json, "attempt");
    t->state = (enum task_state)state;
    t->agent_id = text_of(json, "agent");
    t->hostname = text_of(json, "host");
    t->container_id = text_of(json, "container");
    t->agent_address = text_of(json, "address");
    t->launched_ms = int_of(json, "launched");
    t->started_ms = int_of(json, "started");
    t->unreachable_ms = int_of(json, "unreachable");
    t->elements_processed = int_of(json, "elements");
    t->since_ms = c->now_ms;
    t->is_heard = is_set(json, "heard");
    t->is_killed = is_set(json, "killed");
    t->is_timed_out = is_set(json, "timedOut");
    t->kill_reason = !t->is_killed ? NULL : t->is_timed_out ? "took longer than it may" : "was stopped";
    t->kill_next_ms = c->now_ms + c->config.kill_retry_timeout_ms; /* all are told again when the connection is there */
    cron_task_set_timer(c, t);
    return true;
}

static void load_ended(struct run *r, const json_t *list)
{
    size_t i;
    json_t *json;
    json_array_foreach(list, i, json)
    {
        if (r->ended_count == ENDED_TASKS_MAX)
            return;
        int64_t how = int_of(json, "how");
        char *id = text_of(json, "id");
        r->ended[r->ended_count++] =
            (struct ended_task){.id = id ? id : xstrdup(""),
                                .agent_id = text_of(json, "agent"),
                                .hostname = text_of(json, "host"),
                                .container_id = text_of(json, "container"),
                                .agent_address = text_of(json, "address"),
                                .message = text_of(json, "message"),
                                .index = int_of(json, "index"),
                                .started_ms = int_of(json, "started"),
                                .elements_processed = int_of(json, "elements"),
                                .ended_ms = int_of(json, "at"),
                                .how = how >= 0 && how <= TASK_NEVER ? (enum task_end)how : TASK_LOST};
    }
}

static struct job *spec_of(const struct entry *e, int64_t version_ms)
{
    if (!e->is_deleted && e->job->version_ms == version_ms)
        return e->job;
    list_for_each(node, &e->old_specs)
    {
        struct spec_version *v = container_of(node, struct spec_version, link);
        if (v->job->version_ms == version_ms) {
            v->runs++;
            return v->job;
        }
    }
    return NULL;
}

static void load_parameters(struct run *r, const json_t *json)
{
    const json_t *args = json_object_get(json, "args");
    r->arg_count = json_array_size(args);
    if (r->arg_count > 0)
        r->args = chunks_alloc(&r->chunks, sizeof(r->args[0]) * r->arg_count);
    for (size_t i = 0; i < r->arg_count; i++) {
        const char *s = json_string_value(json_array_get(args, i));
        r->args[i] = chunks_strdup(&r->chunks, s ? s : "");
    }
    r->env = pairs_read(&r->chunks, json_object_get(json, "env"));
}

static void load_times(struct cron *c, struct run *r, const json_t *json)
{
    r->ordinal = int_of(json, "ordinal");
    r->trigger = (enum run_trigger)int_of(json, "trigger");
    r->due_ms = int_of(json, "due");
    r->interval_start_ms = int_of(json, "from");
    r->interval_end_ms = int_of(json, "to");
    r->created_ms = int_of(json, "created");
    r->started_ms = int_of(json, "started");
    r->attempts = (unsigned)int_of(json, "attempts");
    r->relaunches = (unsigned)int_of(json, "relaunches");
    r->waits_for_older = is_set(json, "waits");
    r->stop_reason = text_of(json, "stop");
    r->is_stopping = r->stop_reason != NULL;
    int64_t not_before_ms = int_of(json, "notBefore");
    if (not_before_ms > c->wall_ms)
        r->not_before_ms = c->now_ms + (not_before_ms - c->wall_ms);
}

static void load_progress_of_array(struct run *r, const json_t *json)
{
    if (r->spec->array_count == 0)
        return;
    r->array = array_new(r->spec->array_count, r->spec->array_parallel);
    int64_t next = int_of(json, "next");
    r->array->next = next >= 0 && next <= r->array->count ? next : r->array->count;
    r->array->succeeded = int_of(json, "succeeded");
    r->array->failed = int_of(json, "failed");
}

static int load_run(struct cron *c, const struct kit_item *item, const struct key *key)
{
    json_t *json = json_read(item->value, item->value_len, NULL);
    struct entry *e = cron_entry_get(c, key->job_id);
    int64_t trigger = int_of(json, "trigger");
    struct job *spec = e ? spec_of(e, int_of(json, "version")) : NULL;
    bool is_whole = spec && key->second && strlen(key->second) < RUN_ID_SIZE && trigger >= 0 &&
                    trigger <= TRIGGER_PARENTS && map_get(&c->runs, key->second) == NULL;
    if (!is_whole) {
        json_decref(json);
        return unreadable(c, item);
    }
    struct run *r = cron_run_new(c, e, spec, key->second);
    r->is_stored = true;
    load_times(c, r, json);
    load_parameters(r, json);
    load_ended(r, json_object_get(json, "ended"));
    load_progress_of_array(r, json);
    const char *graph_id = json_string_value(json_object_get(json, "graph"));
    struct graph *g = graph_id ? cron_graph_get(c, graph_id) : NULL;
    if (g) {
        r->graph = g;
        g->live_runs++;
    }
    const json_t *task = json_object_get(json, "task");
    bool ok = (graph_id == NULL || g) && (task == NULL || load_task(c, r, 0, task));
    json_decref(json);
    return ok ? 0 : unreadable(c, item);
}

static struct run *run_of(struct cron *c, const struct key *key)
{
    struct entry *e = cron_entry_get(c, key->job_id);
    return e && key->second && key->third ? cron_run_find(c, e, key->second) : NULL;
}

static int load_index(struct cron *c, const struct kit_item *item, const struct key *key)
{
    struct run *r = run_of(c, key);
    json_t *json = json_read(item->value, item->value_len, NULL);
    int64_t index = -1;
    bool ok = r && r->array && text_to_int64(key->third, &index) == 0 && index >= 0 && index < r->array->count;
    if (ok && is_set(json, "retry"))
        array_retry(r->array, index, (unsigned)int_of(json, "attempt"), c->now_ms);
    else
        ok = ok && load_task(c, r, index, json);
    json_decref(json);
    return ok ? 0 : unreadable(c, item);
}

static int load_failed(struct cron *c, const struct kit_item *item, const struct key *key)
{
    struct run *r = run_of(c, key);
    int64_t chunk = -1;
    bool ok = r && r->array && text_to_int64(key->third, &chunk) == 0 && chunk >= 0 &&
              chunk * ARRAY_CHUNK < r->array->count && item->value_len == ARRAY_CHUNK / 8;
    if (!ok)
        return unreadable(c, item);
    array_load_chunk(r->array, chunk, item->value);
    return 0;
}

/* -- all together --------------------------------------------------------------------------------------------------- */

static int load_item(struct cron *c, enum kind kind, const struct kit_item *item)
{
    struct key key;
    if (kind == KIND_FRAMEWORK)
        return load_framework(c, item);
    split_key(item, kind, &key);
    switch (kind) {
    case KIND_JOB:
        return load_job(c, item, &key);
    case KIND_PROGRESS:
        return load_progress(c, item, &key);
    case KIND_SPEC:
        return load_spec(c, item);
    case KIND_GRAPH:
        return load_graph(c, item, &key);
    case KIND_RUN:
        return load_run(c, item, &key);
    case KIND_TASK:
        return load_index(c, item, &key);
    case KIND_FAILED:
        return load_failed(c, item, &key);
    case KIND_FRAMEWORK:
    case KIND_COUNT:
        break;
    }
    CHECK(!"kind");
}

/* The items stay where they are: one list of places, ordered by kind. */
static int load_items(struct cron *c, const struct kit_item *items, size_t count)
{
    size_t next[KIND_COUNT + 1] = {0}, *order = xcalloc(count + 1, sizeof(order[0]));
    uint8_t *kinds = xcalloc(count + 1, 1);
    int result = 0;
    for (size_t k = 0; k < count; k++) {
        kinds[k] = (uint8_t)kind_of(&items[k]);
        if (kinds[k] < KIND_COUNT)
            next[kinds[k] + 1]++;
    }
    for (int kind = 1; kind <= KIND_COUNT; kind++)
        next[kind] += next[kind - 1];
    size_t known = next[KIND_COUNT];
    for (size_t k = 0; k < count; k++) {
        if (kinds[k] < KIND_COUNT)
            order[next[kinds[k]]++] = k;
    }
    for (size_t k = 0; result == 0 && k < known; k++)
        result = load_item(c, (enum kind)kinds[order[k]], &items[order[k]]);
    free(kinds);
    free(order);
    return result;
}

/* Keys of one job come in the order of their texts, runs by the second they were made in: the ordinals tell the order. */
static int compare_runs(const void *left, const void *right)
{
    const struct run *a = *(struct run *const *)left, *b = *(struct run *const *)right;
    return (a->ordinal > b->ordinal) - (a->ordinal < b->ordinal);
}

static void sort_runs(struct entry *e)
{
    struct run **list = xcalloc(e->run_count, sizeof(list[0]));
    size_t n = 0;
    for (struct list *node; (node = list_pop_front(&e->runs)) != NULL;)
        list[n++] = container_of(node, struct run, link);
    qsort(list, n, sizeof(list[0]), compare_runs);
    for (size_t i = 0; i < n; i++)
        list_push_back(&e->runs, &list[i]->link);
    free(list);
}

static void start_runs(struct cron *c, struct entry *e)
{
    if (e->run_count > 1)
        sort_runs(e);
    list_for_each(node, &e->runs)
    {
        struct run *r = container_of(node, struct run, link);
        if (r->ordinal >= e->next_ordinal) /* of a removed job, which has no progress any more */
            e->next_ordinal = r->ordinal + 1;
        list_for_each(task_node, &r->tasks)
        {
            struct task *t = container_of(task_node, struct task, link);
            if (r->is_stopping && t->is_killed)
                t->kill_reason = r->stop_reason;
        }
        if (r->array)
            array_wake(r->array, c->now_ms);
        cron_run_settle(c, r);
    }
}

/* Lists and pages go by the order of creation, in this process and in the next. Those without a number come first, in the
 * order of their keys. */
static int compare_entries(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    return (a->created > b->created) - (a->created < b->created);
}

int cron_load(struct cron *c, const struct kit_item *items, size_t count)
{
    int result = load_items(c, items, count);
    if (result != 0)
        return result;
    map_sort(&c->entries, compare_entries);
    for (struct map_entry *m = map_first(&c->entries), *next; m; m = next) {
        next = map_next(m);
        struct entry *e = map_value(m);
        if (e->is_deleted && e->run_count == 0) { /* it only had leftovers */
            list_for_each(node, &e->old_specs)
            {
                cron_forget_old_spec(c, container_of(node, struct spec_version, link)->job);
            }
            cron_entry_free(c, e);
            continue;
        }
        if (!e->is_deleted) {
            cron_entry_link(c, e);
            cron_entry_set_due(c, e);
        }
        start_runs(c, e);
    }
    return 0;
}
