/* SPDX-License-Identifier: Apache-2.0 */
#include "master/quota.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "master/allocator.h"
#include "master/budget.h"
#include "master/offers.h"
#include "master/registry.h"
#include "master/roles.h"
#include "master/send.h"

typedef Mesos__V1__Quota__QuotaConfig Config; /* long names of generated code, short ones here */
typedef Mesos__V1__Quota__QuotaConfig__GuaranteesEntry Guarantee;
typedef Mesos__V1__Quota__QuotaConfig__LimitsEntry Limit;

#define RECOVERY_WAIT_MS (10 * 60 * 1000) /* facts: mesos 7.7 */
#define RECOVERY_AGENT_PERCENT 80

/* -- reading ---------------------------------------------------------------------------------------------------- */

/* 1 exabyte in the unit of mem and disk, 1 trillion of anything else. */
static double most_of(const char *name)
{
    return strcmp(name, "mem") == 0 || strcmp(name, "disk") == 0 ? 1024.0 * 1024 * 1024 * 1024 : 1e12;
}

static int add_amount(struct master_amounts *to, const char *what, const char *name, const Mesos__V1__Value__Scalar *scalar,
                      struct err *err)
{
    if (name == NULL || name[0] == '\0' || strlen(name) >= sizeof(to->item[0].name) || scalar == NULL)
        return err_set(err, 400, "Invalid 'QuotaConfig.%s': a name is missing, too long or without value", what);
    double value = scalar->value;
    if (value > most_of(name))
        return err_set(err, 400,
                       "Invalid 'QuotaConfig.%s': {'%s': %g} is invalid: values greater than %s are not supported", what,
                       name, value, most_of(name) > 1e12 ? "1 exabyte (1099511627776)" : "1 trillion (1000000000000)");
    if (!isfinite(value) || value < 0)
        return err_set(err, 400, "Invalid 'QuotaConfig.%s': {'%s': %g}: the value must be finite and not negative", what,
                       name, value);
    if (to->count == MASTER_QUOTA_AMOUNTS_MAX)
        return err_set(err, 400, "Invalid 'QuotaConfig.%s': more than %d names", what, MASTER_QUOTA_AMOUNTS_MAX);
    for (size_t i = 0; i < to->count; i++)
        if (strcmp(to->item[i].name, name) == 0)
            return err_set(err, 400, "Invalid 'QuotaConfig.%s': '%s' is there twice", what, name);
    strcpy(to->item[to->count].name, name);
    to->item[to->count++].millis = (int64_t)(value * 1000 + 0.5);
    return 0;
}

static int read_amounts(const Config *config, struct master_amounts *guarantees, struct master_amounts *limits,
                        struct err *err)
{
    *guarantees = *limits = (struct master_amounts){0};
    for (size_t i = 0; i < config->n_guarantees; i++)
        if (add_amount(guarantees, "guarantees", config->guarantees[i]->key, config->guarantees[i]->value, err) != 0)
            return 400;
    for (size_t i = 0; i < config->n_limits; i++)
        if (add_amount(limits, "limits", config->limits[i]->key, config->limits[i]->value, err) != 0)
            return 400;
    for (size_t i = 0; i < guarantees->count; i++)
        if (guarantees->item[i].millis > master_amounts_get(limits, guarantees->item[i].name, INT64_MAX))
            return err_set(err, 400, "'QuotaConfig.guarantees' is not contained within the 'QuotaConfig.limits': %s",
                           guarantees->item[i].name);
    return 0;
}

static bool is_default(const Config *config)
{
    for (size_t i = 0; i < config->n_guarantees; i++)
        if (config->guarantees[i]->value->value > 0)
            return false;
    return config->n_limits == 0;
}

/* -- checks ----------------------------------------------------------------------------------------------------- */

static int check_role(const struct master *m, const char *role, struct err *err)
{
    const char *why = master_role_check(m, role);
    if (why != NULL && text_is_valid_role(role))
        return err_set(err, 400, "Invalid QuotaConfig: '%.300s' is not on the roles whitelist", role);
    if (why != NULL)
        return err_set(err, 400, "Invalid QuotaConfig: Invalid 'QuotaConfig.role': '%.300s' %s", role, why);
    if (strchr(role, '/') != NULL)
        return err_set(err, 400, "Updating quota on nested role '%.300s' is not supported yet", role);
    return 0;
}

/* Used by tasks and executors or reserved, not merely offered. */
static int64_t used_by(const struct master *m, const char *role, const char *name)
{
    struct quantities reserved = master_budget_reserved_free(m, role);
    int64_t used = quantities_get(&reserved, name);
    const struct master_role *top = master_role_find(m, role);
    if (top == NULL)
        return used;
    used += quantities_get(&top->node.allocated, name);
    for (const struct master_offer *o = m->offers; o != NULL; o = o->hh.next)
        if (o->client->role->top == top)
            used -= quantities_get(&o->amounts, name);
    return used;
}

/* With the new configs in place of the old ones. */
static int64_t guaranteed(const struct master *m, Config *const *configs, size_t n, const char *name)
{
    int64_t sum = 0;
    for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e)) {
        bool is_replaced = false;
        for (size_t i = 0; i < n; i++)
            is_replaced |= strcmp(configs[i]->role, map_key(e)) == 0;
        if (!is_replaced)
            sum += master_amounts_get(&((const struct master_quota *)map_value(e))->guarantees, name, 0);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < configs[i]->n_guarantees; j++)
            if (strcmp(configs[i]->guarantees[j]->key, name) == 0)
                sum += (int64_t)(configs[i]->guarantees[j]->value->value * 1000 + 0.5);
    return sum;
}

static int check_capacity(const struct master *m, Config *const *configs, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < configs[i]->n_guarantees; j++) {
            const char *name = configs[i]->guarantees[j]->key;
            int64_t sum = guaranteed(m, configs, n, name), capacity = quantities_get(&m->total, name);
            if (configs[i]->guarantees[j]->value->value > 0 && sum > capacity)
                return err_set(err, 400, "total quota guarantees '%s:%g' exceed cluster capacity '%s:%g'", name,
                               (double)sum / 1000, name, (double)capacity / 1000);
        }
    }
    return 0;
}

static int check_consumption(const struct master *m, const Config *config, struct err *err)
{
    for (size_t i = 0; i < config->n_limits; i++) {
        const char *name = config->limits[i]->key;
        int64_t used = used_by(m, config->role, name);
        if (used > (int64_t)(config->limits[i]->value->value * 1000 + 0.5))
            return err_set(err, 400,
                           "Invalid QuotaConfig: limit '%s:%g' of role '%s' is below its current consumption '%s:%g' (use "
                           "'force' flag to bypass this check)",
                           name, config->limits[i]->value->value, config->role, name, (double)used / 1000);
    }
    return 0;
}

static int check_configs(const struct master *m, Config *const *configs, size_t n, bool force, struct err *err)
{
    struct master_amounts guarantees, limits;
    size_t added = 0;
    for (size_t i = 0; i < n; i++) {
        int status = check_role(m, configs[i]->role, err);
        if (status != 0)
            return status;
        if (read_amounts(configs[i], &guarantees, &limits, err) != 0)
            return err_wrap(err, 400, "Invalid QuotaConfig");
        for (size_t j = 0; j < i; j++)
            if (strcmp(configs[i]->role, configs[j]->role) == 0)
                return err_set(err, 400, "Invalid QuotaConfig: role '%s' is there twice", configs[i]->role);
        added += map_get(&m->quotas, configs[i]->role) == NULL;
    }
    if (map_count(&m->quotas) + added > MASTER_QUOTAS_MAX)
        return err_set(err, 400, "Invalid QuotaConfig: more than %d roles would have a quota", MASTER_QUOTAS_MAX);
    for (size_t i = 0; !force && i < n; i++) {
        int status = check_consumption(m, configs[i], err);
        if (status != 0)
            return status;
    }
    if (!force && check_capacity(m, configs, n, err) != 0)
        return err_wrap(err, 400, "Invalid QuotaConfig (use 'force' flag to bypass this check)");
    return 0;
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

static void store(struct master *m, request_id request, const Mesos__V1__Master__Call__UpdateQuota *update)
{
    if (update->n_quota_configs == 0) {
        master_reply(m, request, 200, NULL);
        return;
    }
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_QUOTA, "");
    w->request = request;
    master_registry_set_message(w, &update->base);
    for (size_t i = 0; i < update->n_quota_configs; i++)
        master_registry_put_quota(m, w, update->quota_configs[i], !is_default(update->quota_configs[i]));
}

void master_quota_on_update(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__UpdateQuota *update = in->operator_call.call->update_quota;
    struct err err;
    if (check_configs(m, update->quota_configs, update->n_quota_configs, update->has_force && update->force, &err) != 0)
        master_reply(m, in->operator_call.request, 400, "%s", err.text);
    else
        store(m, in->operator_call.request, update);
}

/* What the older call may say, beyond what its config may. 0 or 400. */
static int check_request(const Mesos__V1__Quota__QuotaRequest *request, struct err *err)
{
    if (request->role == NULL)
        return err_set(err, 400, "QuotaInfo must specify a role");
    if (request->n_guarantee == 0)
        return err_set(err, 400, "QuotaInfo with empty 'guarantee'");
    if (resources_validate_wire(request->guarantee, request->n_guarantee, err) < 0)
        return err_wrap(err, 400, "QuotaInfo with invalid resource");
    for (size_t i = 0; i < request->n_guarantee; i++) {
        const Mesos__V1__Resource *r = request->guarantee[i];
        bool is_reserved =
            r->n_reservations > 0 || r->reservation != NULL || (r->role != NULL && strcmp(r->role, "*") != 0);
        if (is_reserved)
            return err_set(err, 400, "QuotaInfo must not contain any ReservationInfo");
        if (r->disk != NULL)
            return err_set(err, 400, "QuotaInfo must not contain DiskInfo");
        if (r->revocable != NULL)
            return err_set(err, 400, "QuotaInfo must not contain RevocableInfo");
        if (r->type != MESOS__V1__VALUE__TYPE__SCALAR)
            return err_set(err, 400, "QuotaInfo must not include non-scalar resources");
        for (size_t j = 0; j < i; j++)
            if (strcmp(request->guarantee[j]->name, r->name) == 0)
                return err_set(err, 400, "QuotaInfo contains duplicate resource name '%.300s'", r->name);
    }
    return 0;
}

/* The limit of a legacy quota is its guarantee. */
static Config *config_of_request(struct master *m, const Mesos__V1__Quota__QuotaRequest *request)
{
    MASTER_WIRE(m, Config, config, mesos__v1__quota__quota_config);
    config->role = request->role;
    config->guarantees = arena_new_array(m->out->arena, Guarantee *, request->n_guarantee);
    config->limits = arena_new_array(m->out->arena, Limit *, request->n_guarantee);
    for (size_t i = 0; i < request->n_guarantee; i++) {
        MASTER_WIRE(m, Guarantee, guarantee, mesos__v1__quota__quota_config__guarantees_entry);
        MASTER_WIRE(m, Limit, limit, mesos__v1__quota__quota_config__limits_entry);
        guarantee->key = limit->key = request->guarantee[i]->name;
        guarantee->value = limit->value = request->guarantee[i]->scalar;
        config->guarantees[config->n_guarantees++] = guarantee;
        config->limits[config->n_limits++] = limit;
    }
    return config;
}

void master_quota_on_set(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Quota__QuotaRequest *set = in->operator_call.call->set_quota->quota_request;
    request_id request = in->operator_call.request;
    bool force = set->has_force && set->force;
    struct err err;
    if (check_request(set, &err) != 0) {
        master_reply(m, request, 400, "Failed to validate set quota request: %s", err.text);
        return;
    }
    const char *why = master_role_check(m, set->role);
    if (why != NULL) {
        master_reply(m, request, 400, "Failed to validate set quota request: Unknown role '%.300s'", set->role);
        return;
    }
    if (strchr(set->role, '/') != NULL) {
        master_reply(m, request, 400, "Setting quota on nested role '%.300s' is not supported yet", set->role);
        return;
    }
    if (map_get(&m->quotas, set->role) != NULL) {
        master_reply(m, request, 400,
                     "Failed to validate set quota request: Cannot set quota for role '%s' which already has quota",
                     set->role);
        return;
    }
    Config *config = config_of_request(m, set);
    if (check_configs(m, &config, 1, true, &err) != 0) {
        master_reply(m, request, 400, "Failed to validate set quota request: %s", err.text);
        return;
    }
    if (!force && check_capacity(m, &config, 1, &err) != 0) {
        master_reply(m, request, 409, "Quota guarantees overcommit the cluster (use 'force' to bypass this check): %s",
                     err.text);
        return;
    }
    Mesos__V1__Master__Call__UpdateQuota update = MESOS__V1__MASTER__CALL__UPDATE_QUOTA__INIT;
    update.n_quota_configs = 1;
    update.quota_configs = &config;
    store(m, request, &update);
}

void master_quota_on_remove(struct master *m, const struct master_event *in)
{
    const char *role = in->operator_call.call->remove_quota->role;
    request_id request = in->operator_call.request;
    if (master_role_check(m, role) != NULL) {
        master_reply(m, request, 400, "Failed to validate remove quota request: Unknown role '%.300s'", role);
        return;
    }
    if (map_get(&m->quotas, role) == NULL) {
        master_reply(m, request, 400, "Failed to remove quota: Role '%.300s' has no quota set", role);
        return;
    }
    MASTER_WIRE(m, Config, config, mesos__v1__quota__quota_config);
    config->role = (char *)role;
    Mesos__V1__Master__Call__UpdateQuota update = MESOS__V1__MASTER__CALL__UPDATE_QUOTA__INIT;
    update.n_quota_configs = 1;
    update.quota_configs = &config;
    store(m, request, &update);
}

/* -- consequences ----------------------------------------------------------------------------------------------- */

static void remove_quota(struct master *m, struct master_quota *q)
{
    (void)map_remove(&m->quotas, q->role->name); /* q itself */
    q->role->quota = NULL;
    master_role_unhold(m, q->role);
    free(q);
    if (map_count(&m->quotas) == 0)
        master_budget_stop(m);
}

static void apply(struct master *m, const Config *config)
{
    struct master_quota *q = map_get(&m->quotas, config->role);
    struct err err;
    if (is_default(config)) {
        if (q != NULL)
            remove_quota(m, q);
        return;
    }
    if (q == NULL) {
        q = xcalloc(1, sizeof(*q));
        q->role = master_role_hold(m, config->role);
        q->role->quota = q;
        (void)map_put(&m->quotas, config->role, q); /* there was none */
        if (map_count(&m->quotas) == 1)
            master_budget_start(m);
        q->reserved_free = master_budget_reserved_free(m, config->role);
    }
    CHECK(read_amounts(config, &q->guarantees, &q->limits, &err) == 0); /* checked before it was stored */
}

static bool is_over_limit(const struct master_quota *q, const struct master_offer *o)
{
    for (size_t i = 0; i < q->limits.count; i++)
        if (quantities_get(&o->amounts, q->limits.item[i].name) > 0 &&
            master_budget_consumed(q, q->limits.item[i].name) > q->limits.item[i].millis)
            return true;
    return false;
}

/* Does a guarantee of another role need what is in the offer? */
static bool is_needed(const struct master *m, const struct master_offer *o)
{
    for (size_t i = 0; i < o->amounts.count; i++) {
        const char *name = o->amounts.item[i].name;
        int64_t required = 0;
        for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e)) {
            const struct master_quota *q = map_value(e);
            int64_t missing = master_amounts_get(&q->guarantees, name, 0) - master_budget_consumed(q, name);
            required += missing > 0 ? missing : 0;
        }
        int64_t available = quantities_get(&m->total, name) - quantities_get(&m->share_root.allocated, name) -
                            quantities_get(&m->reserved_free, name);
        if (required > available)
            return true;
    }
    return false;
}

/* Of the role's own offers those above its limit, of others' those that a guarantee needs. */
static void rescind(struct master *m)
{
    struct master_offer *o, *next;
    HASH_ITER(hh, m->offers, o, next)
    {
        const struct master_quota *q = o->client->role->top->quota;
        bool has_surplus = !master_budget_is_short(o->client->role->top);
        if ((q != NULL && is_over_limit(q, o)) || (has_surplus && is_needed(m, o)))
            master_offer_return(m, o, true, true);
    }
}

void master_quota_on_stored(struct master *m, const struct master_write *w)
{
    struct err err;
    const Mesos__V1__Master__Call__UpdateQuota *update = (const void *)wire_unpack(
        &mesos__v1__master__call__update_quota__descriptor, w->message, w->message_len, m->out->arena, &err);
    CHECK(update != NULL); /* our own bytes */
    for (size_t i = 0; i < update->n_quota_configs; i++)
        apply(m, update->quota_configs[i]);
    rescind(m);
    for (struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next)
        for (size_t i = 0; i < f->client_count; i++)
            master_allocator_refresh_client(m, f->clients[i], true);
    master_reply(m, w->request, 200, NULL);
}

bool master_quota_recover(struct master *m, const Config *config)
{
    struct master_amounts guarantees, limits;
    struct err err;
    if (strchr(config->role, '/') != NULL || !text_is_valid_role(config->role) ||
        read_amounts(config, &guarantees, &limits, &err) != 0)
        return false;
    apply(m, config);
    return true;
}

void master_quota_recovered(struct master *m)
{
    if (map_count(&m->quotas) == 0 || m->recovered_count == 0)
        return;
    m->hold_agents = (m->recovered_count * RECOVERY_AGENT_PERCENT + 99) / 100;
    m->hold_until_ms = m->now_ms + RECOVERY_WAIT_MS;
    master_trace(m, "quota: no offers before %zu agents are back", m->hold_agents);
}

void master_quota_deinit(struct master *m)
{
    while (map_first(&m->quotas) != NULL)
        remove_quota(m, map_value(map_first(&m->quotas)));
    map_deinit(&m->quotas);
}

/* -- wire ------------------------------------------------------------------------------------------------------- */

static Mesos__V1__Value__Scalar *scalar_of(int64_t millis, struct arena *arena)
{
    Mesos__V1__Value__Scalar *scalar = arena_new_one(arena, Mesos__V1__Value__Scalar);
    mesos__v1__value__scalar__init(scalar);
    scalar->value = (double)millis / 1000;
    return scalar;
}

static Config *config_to_wire(const struct master_quota *q, struct arena *arena)
{
    Config *config = arena_new_one(arena, Config);
    mesos__v1__quota__quota_config__init(config);
    config->role = q->role->name;
    config->guarantees = arena_new_array(arena, Guarantee *, q->guarantees.count);
    config->limits = arena_new_array(arena, Limit *, q->limits.count);
    for (size_t i = 0; i < q->guarantees.count; i++) {
        Guarantee *g = arena_new_one(arena, Guarantee);
        mesos__v1__quota__quota_config__guarantees_entry__init(g);
        g->key = (char *)q->guarantees.item[i].name;
        g->value = scalar_of(q->guarantees.item[i].millis, arena);
        config->guarantees[config->n_guarantees++] = g;
    }
    for (size_t i = 0; i < q->limits.count; i++) {
        Limit *l = arena_new_one(arena, Limit);
        mesos__v1__quota__quota_config__limits_entry__init(l);
        l->key = (char *)q->limits.item[i].name;
        l->value = scalar_of(q->limits.item[i].millis, arena);
        config->limits[config->n_limits++] = l;
    }
    return config;
}

static Mesos__V1__Quota__QuotaInfo *info_to_wire(const struct master_quota *q, struct arena *arena)
{
    Mesos__V1__Quota__QuotaInfo *info = arena_new_one(arena, Mesos__V1__Quota__QuotaInfo);
    mesos__v1__quota__quota_info__init(info);
    info->role = q->role->name;
    info->guarantee = arena_new_array(arena, Mesos__V1__Resource *, q->guarantees.count);
    for (size_t i = 0; i < q->guarantees.count; i++) {
        Mesos__V1__Resource *r = arena_new_one(arena, Mesos__V1__Resource);
        mesos__v1__resource__init(r);
        r->name = (char *)q->guarantees.item[i].name;
        r->type = MESOS__V1__VALUE__TYPE__SCALAR;
        r->scalar = scalar_of(q->guarantees.item[i].millis, arena);
        info->guarantee[info->n_guarantee++] = r;
    }
    return info;
}

Mesos__V1__Quota__QuotaStatus *master_quota_wire(const struct master *m, struct arena *arena)
{
    Mesos__V1__Quota__QuotaStatus *status = arena_new_one(arena, Mesos__V1__Quota__QuotaStatus);
    mesos__v1__quota__quota_status__init(status);
    status->infos = arena_new_array(arena, Mesos__V1__Quota__QuotaInfo *, map_count(&m->quotas));
    status->configs = arena_new_array(arena, Config *, map_count(&m->quotas));
    for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e)) {
        status->infos[status->n_infos++] = info_to_wire(map_value(e), arena);
        status->configs[status->n_configs++] = config_to_wire(map_value(e), arena);
    }
    return status;
}
