/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/cluster.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "sim/check_cron.h"
#include "sim/cron_history.h"
#include "sim/sim_net.h"

#define SETTLE_MS (30 * 60 * 1000) /* longest time-out of the cores is 10 min, some follow each other */

static void add_nodes(struct cluster *c, int agents, int frameworks, size_t wanted)
{
    struct world *w = c->world;
    world_add_check(w, &check_resources);
    world_add_check(w, &check_offers);
    world_add_check(w, &check_updates);
    c->master = sim_master_new(w, "master");
    for (int i = 0; i < agents; i++) {
        char name[16], resources[96];
        snprintf(name, sizeof(name), "agent%d", i);
        snprintf(resources, sizeof(resources), "cpus:%d;mem:%d;disk:10000;ports:[31000-31%03d]", 16 + i, 4096 * (i + 1),
                 99 + i);
        struct sim_agent_config config = {name, resources};
        c->agents[c->agent_count++] = sim_agent_new(w, &config, sim_master_node(c->master));
    }
    for (int i = 0; i < frameworks; i++) {
        char name[16];
        snprintf(name, sizeof(name), "fw%d", i);
        struct sim_framework_config config = {
            .name = name,
            .role = i % 2 ? "batch" : "web",
            .wanted = wanted,
            .format = rng_below(&w->rng, 2) ? WIRE_JSON : WIRE_PROTOBUF,
            .failover_timeout = 7 * 24 * 3600,
        };
        c->frameworks[c->framework_count++] = sim_framework_new(w, &config, sim_master_node(c->master));
    }
    world_start_node(sim_master_node(c->master));
    for (int i = 0; i < c->agent_count; i++)
        world_start_node(sim_agent_node(c->agents[i]));
    for (int i = 0; i < c->framework_count; i++)
        world_start_node(sim_framework_node(c->frameworks[i]));
}

struct cluster *cluster_new_with(uint64_t seed, const struct sim_faults *faults, int agents, int frameworks, size_t wanted)
{
    struct cluster *c = xcalloc(1, sizeof(*c));
    c->world = world_new(seed);
    c->world->faults = *faults;
    add_nodes(c, agents, frameworks, wanted);
    return c;
}

struct cluster *cluster_new(uint64_t seed, int agents, int frameworks, size_t wanted)
{
    const struct sim_faults perfect = {.latency_ms_max = 2, .store_ms_max = 2, .start_ms_max = 20};
    return cluster_new_with(seed, &perfect, agents, frameworks, wanted);
}

void cluster_add_marathon(struct cluster *c, int instances)
{
    c->marathon = sim_marathon_new(c->world, "marathon", sim_master_node(c->master));
    for (int i = 0; i < SIM_MARATHON_APPS; i++)
        sim_marathon_set_wanted(c->marathon, i, instances);
    world_start_node(sim_marathon_node(c->marathon));
}

void cluster_add_cron(struct cluster *c, const struct sim_jobs *jobs)
{
    struct sim_jobs usual;
    if (jobs == NULL)
        sim_jobs_usual(&usual);
    jobs = jobs != NULL ? jobs : &usual;
    world_add_check(c->world, &check_cron);
    check_cron_set_jobs(c->world, jobs);
    c->cron = sim_cron_new(c->world, "cron", sim_master_node(c->master), jobs);
    world_start_node(sim_cron_node(c->cron));
}

/* Not every run has every fault: rare combinations need that the others stay away. */
struct cluster *cluster_new_random(uint64_t seed)
{
    struct cluster *c = xcalloc(1, sizeof(*c));
    struct world *w = c->world = world_new(seed);
    static const int64_t latencies[] = {1, 10, 100, 1000, 4000}, stores[] = {0, 5, 50, 500}, gaps[] = {1500, 6000, 20000};
    struct sim_faults *f = &w->faults;
    f->latency_ms_max = latencies[rng_below(&w->rng, 5)];
    f->store_ms_max = stores[rng_below(&w->rng, 4)];
    f->start_ms_max = (uint32_t)world_draw(w, 1, 3000);
    f->repeat_ppm = rng_below(&w->rng, 2) ? 100000 : 0;
    f->launch_fail_ppm = rng_below(&w->rng, 2) ? 100000 : 0;
    f->stubborn_ppm = rng_below(&w->rng, 2) ? 300000 : 0;
    f->exit_ppm = rng_below(&w->rng, 2) ? 500000 : 0;
    f->exit_ms_max = (uint32_t)world_draw(w, 1, 120000);
    f->mean_gap_ms = gaps[rng_below(&w->rng, 3)];
    for (int i = 0; i < CHAOS_KINDS; i++)
        f->kinds |= rng_below(&w->rng, 2) ? 1u << i : 0;
    add_nodes(c, (int)world_draw(w, 1, CLUSTER_AGENTS_MAX), (int)world_draw(w, 1, 3), (size_t)world_draw(w, 1, 8));
    for (int i = 1; rng_below(&w->rng, 8) == 0 && i < c->agent_count; i++) /* behind one address, as containers of a host */
        memcpy(sim_agent_node(c->agents[i])->ip, sim_agent_node(c->agents[0])->ip,
               sizeof(sim_agent_node(c->agents[0])->ip));
    if (rng_below(&w->rng, 2) == 0)
        cluster_add_marathon(c, (int)world_draw(w, 0, 4));
    if (rng_below(&w->rng, 2) == 0)
        cluster_add_cron(c, NULL);
    c->has_operator = seed % 3 == 0;
    rng_seed(&c->operator, seed);
    return c;
}

struct cluster *cluster_free(struct cluster *c)
{
    if (c == NULL)
        return NULL;
    c->world = world_free(c->world); /* and the nodes in it */
    free(c);
    return NULL;
}

/* -- chaos ---------------------------------------------------------------------------------------------------- */

static struct sim_agent *any_agent(struct cluster *c)
{
    return c->agents[world_draw(c->world, 0, c->agent_count - 1)];
}

static struct sim_framework *any_framework(struct cluster *c)
{
    return c->frameworks[world_draw(c->world, 0, c->framework_count - 1)];
}

/* Mostly short, now and then longer than what the master waits for an agent. */
static int64_t draw_cut(struct world *w)
{
    return w->now_ms + (rng_below(&w->rng, 5) == 0 ? world_draw(w, 60000, 200000) : world_draw(w, 100, 30000));
}

static struct sim_store *any_store(struct cluster *c)
{
    if (c->cron && rng_below(&c->world->rng, 4) == 0)
        return sim_cron_store(c->cron);
    switch (rng_below(&c->world->rng, c->marathon ? 4 : 3)) {
    case 0:
        return sim_master_store(c->master);
    case 1:
        return sim_agent_store(any_agent(c));
    case 2:
        return sim_framework_store(any_framework(c));
    default:
        return sim_marathon_store(c->marathon);
    }
}

void cluster_fault(struct cluster *c, enum chaos_kind kind)
{
    struct world *w = c->world;
    struct sim_node *master = sim_master_node(c->master);
    struct sim_framework *f = any_framework(c);
    struct sim_agent *a = any_agent(c);
    int64_t pause_ms = world_draw(w, 50, rng_below(&w->rng, 4) == 0 ? 60000 : 5000);
    switch (kind) {
    case CHAOS_CRASH_MASTER:
        world_restart_node(master, pause_ms);
        break;
    case CHAOS_CRASH_AGENT:
        world_restart_node(sim_agent_node(a), pause_ms);
        break;
    case CHAOS_CRASH_FRAMEWORK:
        world_restart_node(sim_framework_node(f), pause_ms);
        break;
    case CHAOS_REBOOT:
        sim_host_reboot(sim_agent_host(a), pause_ms);
        break;
    case CHAOS_BREAK:
        (void)sim_net_break_one(w, rng_below(&w->rng, 2) ? 100 : 20000); /* there may be none */
        break;
    case CHAOS_CUT_AGENT:
        world_cut(w, sim_agent_node(a), master, draw_cut(w));
        break;
    case CHAOS_CUT_FRAMEWORK:
        world_cut(w, sim_framework_node(f), master, draw_cut(w));
        break;
    case CHAOS_KILL_TASK:
        (void)sim_framework_kill_one(f); /* there may be none */
        break;
    case CHAOS_MEMORY:
    case CHAOS_END_EXECUTOR:
        (void)sim_host_end_one(sim_agent_host(a), kind == CHAOS_MEMORY); /* there may be none */
        break;
    case CHAOS_STORE_FAILS:
        sim_store_fail_next(any_store(c));
        break;
    case CHAOS_STORE_STALLS:
        sim_store_stall(any_store(c), w->now_ms + world_draw(w, 100, 10000));
        break;
    case CHAOS_SCALE:
        sim_framework_set_wanted(f, (size_t)world_draw(w, 0, 8));
        break;
    case CHAOS_CRASH_MARATHON:
        if (c->marathon != NULL)
            world_restart_node(sim_marathon_node(c->marathon), pause_ms);
        break;
    case CHAOS_CUT_MARATHON:
        if (c->marathon != NULL)
            world_cut(w, sim_marathon_node(c->marathon), master, draw_cut(w));
        break;
    case CHAOS_SCALE_APP:
        if (c->marathon != NULL)
            sim_marathon_set_wanted(c->marathon, (int)rng_below(&w->rng, SIM_MARATHON_APPS), (int)world_draw(w, 0, 6));
        break;
    case CHAOS_CRASH_CRON:
        if (c->cron != NULL)
            world_restart_node(sim_cron_node(c->cron), pause_ms);
        break;
    case CHAOS_CUT_CRON:
        if (c->cron != NULL)
            world_cut(w, sim_cron_node(c->cron), master, draw_cut(w));
        break;
    case CHAOS_UNREGISTER:
        if (rng_below(&w->rng, 4) == 0)
            sim_agent_unregister(a);
        break;
    case CHAOS_KINDS:
        break;
    }
}

/* -- an operator ---------------------------------------------------------------------------------------------- */

static void ask_about(struct cluster *c, const char *type, const char *body, const char *id, const char *more)
{
    char call[512];
    (void)snprintf(call, sizeof(call), "{\"type\":\"%s\",\"%s\":{\"agent_id\":{\"value\":\"%s\"}%s}}", type, body, id,
                   more);
    sim_master_operator(c->master, call);
}

static void plan_maintenance(struct cluster *c, bool any)
{
    struct sim_node *n = sim_agent_node(c->agents[rng_below(&c->operator,(uint64_t) c->agent_count)]);
    char call[512], window[256] = "";
    if (any)
        (void)snprintf(
            window, sizeof(window),
            "{\"machine_ids\":[{\"hostname\":\"%s\",\"ip\":\"%s\"}],\"unavailability\":{\"start\":{\"nanoseconds\":1}}}",
            n->name, n->ip);
    (void)snprintf(
        call, sizeof(call),
        "{\"type\":\"UPDATE_MAINTENANCE_SCHEDULE\",\"update_maintenance_schedule\":{\"schedule\":{\"windows\":[%s]}}}",
        window);
    sim_master_operator(c->master, call);
}

static void set_quota(struct cluster *c, const char *role, const char *amounts)
{
    char call[512];
    (void)snprintf(call, sizeof(call),
                   "{\"type\":\"UPDATE_QUOTA\",\"update_quota\":{\"force\":true,\"quota_configs\":[{\"role\":\"%s\"%s}]}}",
                   role, amounts);
    sim_master_operator(c->master, call);
}

static void one_change(struct cluster *c)
{
    static const char *const quotas[] = {"", ",\"limits\":{\"cpus\":{\"value\":1.5}}",
                                         ",\"guarantees\":{\"cpus\":{\"value\":2}}",
                                         ",\"guarantees\":{\"mem\":{\"value\":100}},\"limits\":{\"mem\":{\"value\":300}}"};
    struct rng *r = &c->operator;
    const struct agent *core = sim_agent_core(c->agents[rng_below(r, (uint64_t)c->agent_count)]);
    const char *id = core != NULL ? agent_id(core) : NULL;
    uint64_t what = rng_below(r, 16);
    if (what < 4)
        set_quota(c, rng_below(r, 2) ? "batch" : "web", quotas[rng_below(r, 4)]);
    else if (what < 6)
        sim_master_operator(c->master, rng_below(r, 2)
                                           ? "{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":"
                                             "[{\"role\":\"web\",\"weight\":3}]}}"
                                           : "{\"type\":\"UPDATE_WEIGHTS\",\"update_weights\":{\"weight_infos\":"
                                             "[{\"role\":\"batch\",\"weight\":0.5}]}}");
    else if (what < 8)
        plan_maintenance(c, rng_below(r, 3) != 0);
    else if (id != NULL && what < 11)
        ask_about(c, "DRAIN_AGENT", "drain_agent", id,
                  rng_below(r, 8) == 0   ? ",\"mark_gone\":true"
                  : rng_below(r, 2) == 0 ? ",\"max_grace_period\":{\"seconds\":1}"
                                         : "");
    else if (id != NULL && what < 13)
        ask_about(c, "DEACTIVATE_AGENT", "deactivate_agent", id, "");
    else if (id != NULL && what < 15)
        ask_about(c, "REACTIVATE_AGENT", "reactivate_agent", id, "");
    else if (id != NULL && rng_below(r, 3) == 0)
        ask_about(c, "MARK_AGENT_GONE", "mark_agent_gone", id, "");
}

#define PUT_BACK_MS 5000

/* Everything in service, no quota, no plans; again and again, because an agent that drains must come to its end first. */
static void put_back(struct cluster *c)
{
    if (!c->has_operator || c->world->now_ms < c->put_back_ms + PUT_BACK_MS)
        return;
    c->put_back_ms = c->world->now_ms;
    set_quota(c, "batch", "");
    set_quota(c, "web", "");
    plan_maintenance(c, false);
    for (int i = 0; i < c->agent_count; i++) {
        const struct agent *core = sim_agent_core(c->agents[i]);
        if (core != NULL && agent_id(core) != NULL)
            ask_about(c, "REACTIVATE_AGENT", "reactivate_agent", agent_id(core), "");
    }
}

void cluster_chaos_until(struct cluster *c, int64_t until_ms)
{
    struct world *w = c->world;
    while (!w->is_broken && w->now_ms < until_ms) {
        world_run_until(w, w->now_ms + world_draw(w, 1, 2 * w->faults.mean_gap_ms));
        enum chaos_kind kind = (enum chaos_kind)rng_below(&w->rng, CHAOS_KINDS);
        if (!w->is_broken && (w->faults.kinds & (1u << kind)) != 0)
            cluster_fault(c, kind);
        if (c->has_operator && !w->is_broken && rng_below(&c->operator, 4) == 0)
            one_change(c);
    }
}

/* -- settling ------------------------------------------------------------------------------------------------- */

static bool not_yet(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool not_yet(struct cluster *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(c->why, sizeof(c->why), fmt, ap); /* a long text is cut */
    va_end(ap);
    return false;
}

static bool agent_has_settled(struct cluster *c, struct sim_agent *a)
{
    const char *name = sim_agent_node(a)->name;
    const struct agent *core = sim_agent_core(a);
    if (!sim_agent_node(a)->is_up || agent_phase(core) != AGENT_PHASE_RUNNING || !agent_is_registered(core))
        return not_yet(c, "%s is not registered", name);
    struct agent_counts n;
    agent_count(core, &n);
    if (n.updates_pending > 0)
        return not_yet(c, "%s has %zu updates that are not acknowledged", name, n.updates_pending);
    if (n.tasks_staging + n.tasks_starting + n.tasks_killing + n.tasks_terminal > 0)
        return not_yet(c, "%s has %zu staging, %zu starting, %zu killing, %zu ended tasks", name, n.tasks_staging,
                       n.tasks_starting, n.tasks_killing, n.tasks_terminal);
    if (n.executors_registering + n.executors_terminating + n.executors_terminated > 0)
        return not_yet(c, "%s has %zu registering, %zu terminating, %zu terminated executors", name,
                       n.executors_registering, n.executors_terminating, n.executors_terminated);
    size_t containers = sim_host_running(sim_agent_host(a));
    if (containers != n.executors_running || containers != n.tasks_running)
        return not_yet(c, "%s has %zu containers for %zu executors and %zu tasks", name, containers, n.executors_running,
                       n.tasks_running);
    return true;
}

struct look {
    struct cluster *c;
    struct sim_agent *agent;
    bool is_good;
};

static void look_at_container(void *ctx, const char *container_id, const char *framework_id, const char *executor_id)
{
    struct look *l = ctx;
    const char *known = agent_container_of(sim_agent_core(l->agent), framework_id, executor_id);
    if (known == NULL || strcmp(known, container_id) != 0)
        l->is_good = not_yet(l->c, "container of %s has no record at %s", executor_id, sim_agent_node(l->agent)->name);
    for (int i = 0; i < l->c->framework_count; i++) {
        struct sim_framework *f = l->c->frameworks[i];
        if (sim_framework_id(f) != NULL && strcmp(sim_framework_id(f), framework_id) == 0 &&
            sim_framework_task_state(f, executor_id) == MESOS__V1__TASK_STATE__TASK_RUNNING)
            return;
    }
    const struct sim_cron *cron = l->c->cron;
    if (cron != NULL && sim_cron_framework_id(cron) != NULL && strcmp(sim_cron_framework_id(cron), framework_id) == 0 &&
        sim_cron_knows(cron, executor_id))
        return;
    const struct sim_marathon *m = l->c->marathon;
    if (m != NULL && sim_marathon_framework_id(m) != NULL && strcmp(sim_marathon_framework_id(m), framework_id) == 0 &&
        sim_marathon_knows(m, executor_id))
        return;
    l->is_good = not_yet(l->c, "container of %s on %s is of no task that a framework believes to run", executor_id,
                         sim_agent_node(l->agent)->name);
}

bool cluster_is_settled(struct cluster *c)
{
    size_t wanted = 0, running = 0;
    if (!sim_master_node(c->master)->is_up)
        return not_yet(c, "the master is down");
    for (int i = 0; i < c->framework_count; i++) {
        struct sim_framework_counts n;
        sim_framework_count(c->frameworks[i], &n);
        if (!n.is_settled || n.believed != n.wanted || n.running != n.wanted)
            return not_yet(c, "%s wants %zu, believes in %zu, sees %zu running%s",
                           sim_framework_node(c->frameworks[i])->name, n.wanted, n.believed, n.running,
                           n.is_settled ? "" : ", is not subscribed and reconciled");
        wanted += n.wanted;
    }
    if (c->marathon != NULL) {
        if (!sim_marathon_is_settled(c->marathon, c->why))
            return false;
        wanted += sim_marathon_wanted(c->marathon);
    }
    if (c->cron != NULL && !sim_cron_is_settled(c->cron, c->why))
        return false;
    for (int i = 0; i < c->agent_count; i++) {
        if (!agent_has_settled(c, c->agents[i]))
            return false;
        struct look l = {c, c->agents[i], true};
        sim_host_each(sim_agent_host(c->agents[i]), look_at_container, &l);
        if (!l.is_good)
            return false;
        running += sim_host_running(sim_agent_host(c->agents[i]));
    }
    if (running != wanted)
        return not_yet(c, "%zu containers run for %zu wanted tasks", running, wanted);
    return true;
}

static bool is_done(void *ctx)
{
    if (cluster_is_settled(ctx))
        return true;
    put_back(ctx);
    return false;
}

void cluster_settle(struct cluster *c, int64_t limit_ms)
{
    struct world *w = c->world;
    struct sim_faults calm = {.latency_ms_max = w->faults.latency_ms_max,
                              .store_ms_max = w->faults.store_ms_max,
                              .start_ms_max = w->faults.start_ms_max};
    if (calm.latency_ms_max > 100)
        calm.latency_ms_max = 100; /* calls go one by one: seconds each, and old updates are repeated before all is said */
    w->faults = calm;
    memset(w->cut_until_ms, 0, sizeof(w->cut_until_ms));
    world_log(w, "world", "faults are over");
    if (c->cron != NULL)
        sim_cron_end_schedules(c->cron);
    int64_t limit = w->now_ms + limit_ms;
    /* Settled, and still so a minute later: nothing was under way to undo it. */
    for (int again = 0; again < 2 && !w->is_broken; again++) {
        if (!world_run_until_done(w, is_done, c, limit))
            world_violate(w, "9", "not settled after %lld s: %s", (long long)limit_ms / 1000, c->why);
        if (again == 0 && !w->is_broken)
            world_run_until(w, w->now_ms + 60000);
    }
    if (!w->is_broken)
        world_settled(w);
    if (!w->is_broken && c->cron != NULL)
        cron_history_check(c->cron);
}

static bool is_agent_here(void *ctx, const char *id)
{
    const struct cluster *c = ctx;
    for (int i = 0; i < c->agent_count; i++) {
        const struct agent *core = sim_agent_core(c->agents[i]);
        if (core != NULL && agent_id(core) != NULL && strcmp(agent_id(core), id) == 0)
            return true;
    }
    return false;
}

void cluster_run(struct cluster *c)
{
    struct world *w = c->world;
    for (int i = 0; i < c->framework_count; i++)
        sim_framework_set_operating(c->frameworks[i], true);
    cluster_chaos_until(c, w->now_ms + world_draw(w, 30000, 8 * 60000));
    for (int i = 0; i < c->framework_count; i++)
        sim_framework_set_operating(c->frameworks[i], false);
    cluster_settle(c, SETTLE_MS);
    for (int i = 0; i < c->framework_count && !w->is_broken; i++)
        sim_framework_set_wanted(c->frameworks[i], 0);
    for (int i = 0; i < SIM_MARATHON_APPS && c->marathon != NULL && !w->is_broken; i++)
        sim_marathon_set_wanted(c->marathon, i, 0);
    cluster_settle(c, SETTLE_MS);
    if (w->is_broken)
        return;
    world_log(w, "world", "everything was given back, one task is wanted");
    sim_framework_set_wanted(c->frameworks[0], 1);
    cluster_settle(c, SETTLE_MS);
    if (!w->is_broken)
        check_resources_all_offered(w, is_agent_here, c);
}
