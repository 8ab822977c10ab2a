/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/check_cron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "sim/sim_kit.h"

struct seen_task {
    struct list link; /* of the books' alive ones */
    char *id;
    struct cron_seen_run *run;
    int index;
    bool is_over; /* cron was told */
    bool is_kill_asked;
    int64_t unreachable_ms, running_ms; /* on the calendar; 0: not */
};

struct books {
    struct world *world;
    const struct sim_kit *kit; /* NULL: has launched nothing yet */
    struct sim_jobs jobs;
    struct map tasks, runs; /* by id */
    struct map moments;     /* "job/due" -> run */
    struct list alive;      /* tasks whose command runs */
    struct cron_seen_run **list;
    size_t count, capacity;
};

static void *new (struct world *w)
{
    struct books *b = xcalloc(1, sizeof(*b));
    b->world = w;
    map_init(&b->tasks);
    map_init(&b->runs);
    map_init(&b->moments);
    list_init(&b->alive);
    return b;
}

static void free_state(void *state)
{
    struct books *b = state;
    for (struct map_entry *e = map_first(&b->tasks); e != NULL; e = map_next(e)) {
        struct seen_task *t = map_value(e);
        free(t->id);
        free(t);
    }
    for (size_t i = 0; i < b->count; i++) {
        struct cron_seen_run *r = b->list[i];
        free(r->id);
        free(r->graph);
        free(r->starts);
        free(r->has_ended_well);
        free(r);
    }
    free(b->list);
    map_deinit(&b->tasks);
    map_deinit(&b->runs);
    map_deinit(&b->moments);
    free(b);
}

static struct books *books_of(struct world *w)
{
    for (int i = 0; i < w->check_count; i++)
        if (w->checks[i] == &check_cron)
            return w->check_states[i];
    CHECK(!"the world checks cron");
}

void check_cron_set_jobs(struct world *w, const struct sim_jobs *jobs)
{
    books_of(w)->jobs = *jobs;
}

const struct cron_seen_run *check_cron_run(struct world *w, const char *run_id)
{
    return map_get(&books_of(w)->runs, run_id);
}

const struct cron_seen_run *check_cron_run_at(struct world *w, size_t number)
{
    const struct books *b = books_of(w);
    return number < b->count ? b->list[number] : NULL;
}

bool check_cron_any_run(struct world *w, int *job, char *run_id, size_t size)
{
    const struct books *b = books_of(w);
    if (list_is_empty(&b->alive))
        return false;
    const struct seen_task *t = container_of(b->alive.next, struct seen_task, link);
    *job = t->run->job;
    (void)snprintf(run_id, size, "%s", t->run->id); /* fits */
    return true;
}

static int64_t wall_ms(const struct books *b)
{
    return sim_kit_wall_ms(b->kit);
}

static const struct sim_job *job_of(const struct books *b, const struct cron_seen_run *r)
{
    return &b->jobs.items[r->job];
}

/* -- launches ---------------------------------------------------------------------------------------------------- */

static const char *variable(const Mesos__V1__TaskInfo *t, const char *name)
{
    const Mesos__V1__Environment *e = t->command != NULL ? t->command->environment : NULL;
    for (size_t i = 0; e != NULL && i < e->n_variables; i++)
        if (strcmp(e->variables[i]->name, name) == 0)
            return e->variables[i]->value;
    return NULL;
}

static struct cron_seen_run *new_run(struct books *b, const char *id, int job, const Mesos__V1__TaskInfo *t)
{
    struct cron_seen_run *r = xcalloc(1, sizeof(*r));
    const char *due = variable(t, "MUSTER_JOB_DUE"), *graph = variable(t, "MUSTER_JOB_GRAPH_ID");
    int indices = b->jobs.items[job].array_count > 0 ? b->jobs.items[job].array_count : 1;
    r->id = xstrdup(id);
    r->job = job;
    r->graph = graph != NULL ? xstrdup(graph) : NULL;
    r->launched_ms = wall_ms(b);
    r->starts = xcalloc((size_t)indices, sizeof(r->starts[0]));
    r->has_ended_well = xcalloc((size_t)indices, sizeof(r->has_ended_well[0]));
    CHECK(due == NULL || text_to_time_ms(due, &r->due_ms) == 0);
    (void)map_put(&b->runs, r->id, r); /* was looked for */
    if (b->count == b->capacity) {
        b->capacity = b->capacity ? 2 * b->capacity : 64;
        b->list = xrealloc(b->list, b->capacity * sizeof(b->list[0]));
    }
    b->list[b->count++] = r;
    return r;
}

static void check_moment(struct books *b, struct cron_seen_run *r, const char *job_id, const char *due)
{
    char key[96];
    (void)snprintf(key, sizeof(key), "%s/%s", job_id, due); /* fits */
    const struct cron_seen_run *other = map_get(&b->moments, key);
    if (other == NULL)
        (void)map_put(&b->moments, key, r); /* is new */
    else if (other != r)
        world_violate(b->world, "cron", "the moment %s of %s is run by %s and by %s", due, job_id, other->id, r->id);
}

static void on_launch(struct books *b, const struct sim_node *node, const Mesos__V1__TaskInfo *info)
{
    const char *job_id = variable(info, "MUSTER_JOB_ID"), *run_id = variable(info, "MUSTER_JOB_RUN_ID");
    int job = job_id != NULL ? sim_jobs_find(&b->jobs, job_id, strlen(job_id)) : -1;
    if (job < 0 || run_id == NULL)
        return; /* of another framework */
    b->kit = (const struct sim_kit *)node;
    const char *index = variable(info, "MUSTER_JOB_ARRAY_INDEX"), *due = variable(info, "MUSTER_JOB_DUE");
    struct cron_seen_run *r = map_get(&b->runs, run_id);
    if (r == NULL)
        r = new_run(b, run_id, job, info);
    if (due != NULL && !b->jobs.items[job].comes_and_goes)
        check_moment(b, r, job_id, due);
    if (map_get(&b->tasks, info->task_id->value) != NULL) {
        world_violate(b->world, "cron", "%s is launched twice", info->task_id->value);
        return;
    }
    struct seen_task *t = xcalloc(1, sizeof(*t));
    list_init(&t->link);
    t->id = xstrdup(info->task_id->value);
    t->run = r;
    t->index = index != NULL ? atoi(index) : 0;
    CHECK(t->index >= 0 && t->index < (job_of(b, r)->array_count > 0 ? job_of(b, r)->array_count : 1));
    (void)map_put(&b->tasks, t->id, t); /* was looked for */
}

static void on_call(struct books *b, const struct sim_node *node, const Mesos__V1__Scheduler__Call *call)
{
    if (call->kill != NULL) {
        struct seen_task *t = map_get(&b->tasks, call->kill->task_id->value);
        if (t != NULL)
            t->is_kill_asked = true;
    }
    for (size_t i = 0; call->accept != NULL && i < call->accept->n_operations; i++) {
        const Mesos__V1__Offer__Operation *o = call->accept->operations[i];
        for (size_t k = 0; o->launch != NULL && k < o->launch->n_task_infos; k++)
            on_launch(b, node, o->launch->task_infos[k]);
    }
}

/* -- what runs --------------------------------------------------------------------------------------------------- */

/* Need cron wait for it? */
static bool goes_on(const struct books *b, const struct seen_task *t)
{
    const struct sim_job *j = job_of(b, t->run);
    int64_t now = wall_ms(b);
    if (t->is_over)
        return false;
    if (t->unreachable_ms == 0)
        return true;
    bool is_killed = t->is_kill_asked || j->concurrency == SIM_REPLACE || j->array_stops ||
                     (t->running_ms > 0 && now >= t->running_ms + j->max_run_s * 1000);
    return !is_killed && now < t->unreachable_ms + CHECK_CRON_EXPUNGE_MS;
}

static bool is_parent_in_graph(const struct books *b, const struct cron_seen_run *child, const struct cron_seen_run *r)
{
    const struct sim_job *j = job_of(b, child);
    bool is_parent = false;
    char root[96];
    for (int i = 0; i < j->parent_count; i++)
        is_parent = is_parent || j->parents[i] == r->job;
    if (!is_parent || child->graph == NULL)
        return false;
    (void)snprintf(root, sizeof(root), "%s/%s", job_of(b, r)->id, r->id); /* fits */
    return strcmp(root, child->graph) == 0 || (r->graph != NULL && strcmp(r->graph, child->graph) == 0);
}

static void check_others(struct books *b, const struct seen_task *t)
{
    const struct sim_job *j = job_of(b, t->run);
    int same_run = 0;
    list_for_each(it, &b->alive)
    {
        const struct seen_task *other = container_of(it, struct seen_task, link);
        if (other == t || !goes_on(b, other))
            continue;
        if (other->run == t->run)
            same_run++;
        else if (other->run->job == t->run->job && j->concurrency != SIM_ALLOW && t->run->due_ms != 0)
            world_violate(b->world, "cron", "%s starts while %s goes on", t->id, other->id);
        else if (is_parent_in_graph(b, t->run, other->run))
            world_violate(b->world, "cron", "%s starts while its parent %s goes on", t->id, other->id);
    }
    if (same_run >= j->array_parallel)
        world_violate(b->world, "cron", "%s starts while %d others of its run go on", t->id, same_run);
}

static void on_started(struct books *b, struct seen_task *t)
{
    const struct sim_job *j = job_of(b, t->run);
    if (++t->run->starts[t->index] > 1 + j->retries)
        world_violate(b->world, "cron", "%s starts, the %d. time that this is started", t->id, t->run->starts[t->index]);
    check_others(b, t);
    list_push_back(&b->alive, &t->link);
}

static void on_update(const struct books *b, struct seen_task *t, const Mesos__V1__TaskStatus *s)
{
    if (sim_state_is_terminal(s->state) || s->state == MESOS__V1__TASK_STATE__TASK_UNKNOWN) {
        t->is_over = true;
    } else if (s->state == MESOS__V1__TASK_STATE__TASK_UNREACHABLE) {
        t->unreachable_ms = s->unreachable_time ? s->unreachable_time->nanoseconds / 1000000 : wall_ms(b);
    } else {
        t->is_over = t->is_over || !goes_on(b, t); /* it comes back too late */
        t->unreachable_ms = 0;
        if (t->running_ms == 0 && s->state == MESOS__V1__TASK_STATE__TASK_RUNNING)
            t->running_ms = wall_ms(b);
    }
}

static void seen(void *state, const struct sim_seen *s)
{
    struct books *b = state;
    if (s->type == SIM_SEEN_FRAMEWORK_CALLS) {
        on_call(b, s->node, s->call);
        return;
    }
    struct seen_task *t = s->task_id != NULL ? map_get(&b->tasks, s->task_id) : NULL;
    if (t == NULL)
        return;
    if (s->type == SIM_SEEN_PROCESS_STARTED)
        on_started(b, t);
    else if (s->type == SIM_SEEN_FRAMEWORK_UPDATE)
        on_update(b, t, s->status);
    else if (s->type == SIM_SEEN_PROCESS_ENDED && s->exit_status == 0)
        t->run->has_ended_well[t->index] = true;
    if (s->type == SIM_SEEN_PROCESS_ENDED || s->type == SIM_SEEN_CONTAINER_ENDED)
        list_remove(&t->link);
}

const struct sim_check check_cron = {.name = "cron", .new = new, .free = free_state, .seen = seen};
