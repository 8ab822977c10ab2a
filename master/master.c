/* SPDX-License-Identifier: Apache-2.0 */
#include "master/master.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/mesos_version.h"
#include "master/agents.h"
#include "master/allocator.h"
#include "master/authorize.h"
#include "master/calls.h"
#include "master/departed.h"
#include "master/frameworks.h"
#include "master/inverse.h"
#include "master/maintenance.h"
#include "master/offers.h"
#include "master/quota.h"
#include "master/registry.h"
#include "master/roles.h"
#include "master/send.h"
#include "master/state.h"
#include "master/weights.h"

void master_config_default(struct master_config *config)
{
    *config = (struct master_config){
        .version = MESOS_API_VERSION,
        .agent_ping_timeout_ms = 15000,
        .max_agent_ping_timeouts = 5,
        .agent_reregister_timeout_ms = 10 * 60 * 1000,
        .allocation_interval_ms = 100,
        .min_allocatable_resources = "cpus:0.01|mem:32",
        .root_submissions = true,
        .max_completed_frameworks = 50,
        .max_completed_tasks_per_framework = 1000,
        .max_unreachable_tasks_per_framework = 1000,
    };
}

/* -- life ------------------------------------------------------------------------------------------------------- */

static void make_info(struct master *m)
{
    static Mesos__V1__MasterInfo__Capability__Type types[] = {MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_UPDATE,
                                                              MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__AGENT_DRAINING,
                                                              MESOS__V1__MASTER_INFO__CAPABILITY__TYPE__QUOTA_V2};
    Mesos__V1__MasterInfo *info = xcalloc(1, sizeof(*info));
    mesos__v1__master_info__init(info);
    struct in_addr ip = {0};
    (void)inet_pton(AF_INET, m->config.ip, &ip); /* stays 0 for IPv6: the field has no room for it */
    char pid[128];
    (void)snprintf(pid, sizeof(pid), "master@%s:%u", m->config.ip, m->config.port); /* addresses are shorter */
    info->id = xstrdup(m->id);
    info->ip = ip.s_addr;
    info->port = m->config.port;
    info->pid = xstrdup(pid);
    info->hostname = xstrdup(m->config.hostname);
    info->version = xstrdup(m->config.version);
    info->address = xcalloc(1, sizeof(*info->address));
    mesos__v1__address__init(info->address);
    info->address->hostname = xstrdup(m->config.hostname);
    info->address->ip = xstrdup(m->config.ip);
    info->address->port = m->config.port;
    info->n_capabilities = sizeof(types) / sizeof(types[0]);
    info->capabilities = xcalloc(info->n_capabilities, sizeof(*info->capabilities));
    for (size_t i = 0; i < info->n_capabilities; i++) {
        info->capabilities[i] = xcalloc(1, sizeof(*info->capabilities[i]));
        mesos__v1__master_info__capability__init(info->capabilities[i]);
        info->capabilities[i]->has_type = true;
        info->capabilities[i]->type = types[i];
    }
    m->info = info;
}

struct master *master_new(const struct master_config *config, struct err *err)
{
    struct master *m = xcalloc(1, sizeof(*m));
    m->config = *config;
    m->config.hostname = xstrdup(config->hostname != NULL ? config->hostname : "localhost");
    m->config.ip = xstrdup(config->ip != NULL ? config->ip : "127.0.0.1");
    m->config.version = xstrdup(config->version);
    m->config.min_allocatable_resources = m->config.weights = m->config.roles = NULL; /* read below, not needed later */
    if (m->config.max_completed_frameworks == 0)
        m->config.max_completed_frameworks = 1; /* the last one is still named by effects of the step that ends it */
    rng_seed(&m->rng, config->seed);
    rng_uuid(&m->rng, NULL, m->id);
    list_init(&m->unreachable_agents);
    list_init(&m->completed_order);
    list_init(&m->free_agents);
    list_init(&m->dirty_agents);
    list_init(&m->returned_agents);
    list_init(&m->fresh_clients);
    list_init(&m->offered_frameworks);
    list_init(&m->reconciling);
    list_init(&m->writes);
    map_init(&m->removed);
    map_init(&m->gone);
    map_init(&m->disconnected);
    map_init(&m->weights);
    map_init(&m->quotas);
    map_init(&m->machines);
    list_init(&m->inverse_agents);
    heap_init(&m->inverse_timers);
    list_init(&m->blocked_roles);
    m->blocked_due_ms = INT64_MAX;
    map_init(&m->role_white_list);
    heap_init(&m->agent_timers);
    heap_init(&m->failover_timers);
    heap_init(&m->heartbeat_timers);
    heap_init(&m->offer_timers);
    heap_init(&m->filter_timers);
    share_init(&m->share_root, "", 1.0, false);
    make_info(m);
    if (master_minimums_parse(config->min_allocatable_resources, &m->minimums, err) < 0 ||
        master_roles_configure(m, config->weights, config->roles, err) < 0)
        return master_free(m);
    return m;
}

struct master *master_free(struct master *m)
{
    if (m == NULL)
        return NULL;
    struct master_effects out;
    master_effects_init(&out);
    m->out = &out; /* what the clean-up would send goes nowhere */
    m->observer_count = 0;
    for (struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        master_offers_return_of_agent(m, a, false);
    master_inverse_deinit(m);
    master_frameworks_deinit(m);
    master_agents_deinit(m);
    master_departed_deinit(m);
    master_registry_deinit(m);
    master_quota_deinit(m);
    master_maintenance_deinit(m);
    master_weights_deinit(m);
    master_roles_deinit(m);
    master_effects_deinit(&out);
    heap_deinit(&m->agent_timers);
    heap_deinit(&m->failover_timers);
    heap_deinit(&m->heartbeat_timers);
    heap_deinit(&m->offer_timers);
    heap_deinit(&m->filter_timers);
    share_deinit(&m->share_root);
    if (m->info != NULL)
        mesos__v1__master_info__free_unpacked(m->info, NULL);
    free((char *)m->config.hostname);
    free((char *)m->config.ip);
    free((char *)m->config.version);
    free(m);
    return NULL;
}

const char *master_id(const struct master *m)
{
    return m->id;
}

/* -- the step --------------------------------------------------------------------------------------------------- */

static void on_started(struct master *m, const struct master_event *in)
{
    m->is_started = true;
    m->started_wall_ms = in->wall_ms;
    for (size_t i = 0; i < in->started.count && !m->is_halted; i++)
        master_registry_recover(m, &in->started.items[i]);
    master_departed_sort(m);
    master_quota_recovered(m);
    master_trace(m, "recovered %u agents and %u frameworks", HASH_COUNT(m->agents), HASH_COUNT(m->frameworks));
}

static void on_tick(struct master *m)
{
    master_agents_on_timers(m);
    master_frameworks_on_timers(m);
    master_offers_on_timers(m);
    master_reconcile_go_on(m);
    master_allocator_pass(m);
    master_inverse_on_timers(m);
    master_inverse_pass(m);
}

static int dispatch(struct master *m, const struct master_event *in)
{
    switch (in->type) {
    case MASTER_EVENT_STARTED:
        on_started(m, in);
        return 0;
    case MASTER_EVENT_STORE_DONE:
        master_registry_on_done(m, in->store_done.token, in->store_done.result);
        return 0;
    case MASTER_EVENT_LINK_UP:
        return master_agents_on_link_up(m, in->link_up.link, in->link_up.peer_ip);
    case MASTER_EVENT_LINK_MESSAGE:
        master_agents_on_link_message(m, in->link_message.link, in->link_message.message);
        return 0;
    case MASTER_EVENT_LINK_DOWN:
        master_agents_on_link_down(m, in->link_down.link);
        return 0;
    case MASTER_EVENT_SUBSCRIBE:
        master_frameworks_on_subscribe(m, in->subscribe.stream, in->subscribe.principal, in->subscribe.call);
        return 0;
    case MASTER_EVENT_CALL:
        master_on_call(m, in);
        return 0;
    case MASTER_EVENT_STREAM_CLOSED:
        master_frameworks_on_stream_closed(m, in->stream_closed.stream);
        return 0;
    case MASTER_EVENT_STREAM_PRESSURE:
        master_frameworks_on_pressure(m, in->stream_pressure.stream, in->stream_pressure.on);
        return 0;
    case MASTER_EVENT_OPERATOR_CALL:
        if (master_may_operate(m, in->operator_call.principal, in->operator_call.call))
            master_on_operator_call(m, in);
        else
            master_reply(m, in->operator_call.request, 403, "403 Forbidden");
        return 0;
    case MASTER_EVENT_OBSERVERS:
        m->observer_count = in->observers.count;
        return 0;
    case MASTER_EVENT_TICK:
        on_tick(m);
        return 0;
    }
    return -EPROTO;
}

int master_step(struct master *m, const struct master_event *in, struct master_effects *out)
{
    master_effects_reset(out);
    if (m->is_halted)
        return 0;
    if ((in->type == MASTER_EVENT_STARTED) == m->is_started)
        return -EPROTO;
    m->now_ms = in->now_ms;
    m->wall_ms = in->wall_ms;
    m->out = out;
    int r = dispatch(m, in);
    m->out = NULL;
    return r;
}

static int64_t earliest(int64_t next, const struct heap *h)
{
    const struct heap_node *node = heap_peek(h);
    return node != NULL && node->key_ms < next ? node->key_ms : next;
}

int64_t master_next_deadline(const struct master *m)
{
    if (!m->is_started || m->is_halted)
        return INT64_MAX;
    if (master_reconcile_is_due(m) || master_inverse_is_due(m))
        return m->now_ms;
    int64_t next = master_allocator_next_deadline(m);
    next = earliest(next, &m->agent_timers);
    next = earliest(next, &m->failover_timers);
    next = earliest(next, &m->heartbeat_timers);
    next = earliest(next, &m->inverse_timers);
    return earliest(next, &m->offer_timers);
}
