/* SPDX-License-Identifier: Apache-2.0 */
#include "master/authorize.h"

#include <string.h>

#include "common/wire/codec.h"
#include "master/frameworks.h"
#include "master/quota.h"
#include "master/roles.h"
#include "master/weights.h"

/* -- objects of resources ---------------------------------------------------------------------------------------- */

static const Mesos__V1__Resource__ReservationInfo *last_reservation(const Mesos__V1__Resource *r)
{
    return r->n_reservations > 0 ? r->reservations[r->n_reservations - 1] : r->reservation;
}

/* The role that the resource is for, in either form (facts: mesos 6.4). */
static const char *role_of(const Mesos__V1__Resource *r)
{
    const Mesos__V1__Resource__ReservationInfo *last = last_reservation(r);
    if (last != NULL && last->role != NULL)
        return last->role;
    return r->role != NULL ? r->role : "*";
}

static const char *reserver_of(const Mesos__V1__Resource *r)
{
    const Mesos__V1__Resource__ReservationInfo *last = last_reservation(r);
    return last != NULL ? last->principal : NULL;
}

static const char *creator_of(const Mesos__V1__Resource *r)
{
    return r->disk != NULL && r->disk->persistence != NULL ? r->disk->persistence->principal : NULL;
}

static bool allows_each(const struct auth_acls *acls, const char *principal, enum auth_action action,
                        Mesos__V1__Resource *const *list, size_t n, const char *(*object)(const Mesos__V1__Resource *r))
{
    struct auth_approver approver = auth_approver(acls, principal, action);
    for (size_t i = 0; i < n; i++)
        if (!auth_approves(&approver, object(list[i])))
            return false;
    return true;
}

static bool may_reserve(const struct auth_acls *acls, const char *principal, Mesos__V1__Resource *const *source,
                        size_t source_count, Mesos__V1__Resource *const *list, size_t n)
{
    /* What was reserved already is taken from its reserver. */
    return allows_each(acls, principal, AUTH_RESERVE_RESOURCES, list, n, role_of) &&
           allows_each(acls, principal, AUTH_UNRESERVE_RESOURCES, source, source_count, reserver_of);
}

static bool may_resize(const struct auth_acls *acls, const char *principal, const Mesos__V1__Resource *volume)
{
    return auth_allows(acls, principal, AUTH_RESIZE_VOLUME, role_of(volume));
}

/* -- operators --------------------------------------------------------------------------------------------------- */

/* Calls whose object can only be anything. */
static const struct {
    Mesos__V1__Master__Call__Type call;
    enum auth_action action;
} whole[] = {
    {MESOS__V1__MASTER__CALL__TYPE__GET_FLAGS, AUTH_VIEW_FLAGS},
    {MESOS__V1__MASTER__CALL__TYPE__SET_LOGGING_LEVEL, AUTH_SET_LOG_LEVEL},
    {MESOS__V1__MASTER__CALL__TYPE__READ_FILE, AUTH_ACCESS_LOG},
    {MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_STATUS, AUTH_GET_MAINTENANCE_STATUS},
    {MESOS__V1__MASTER__CALL__TYPE__GET_MAINTENANCE_SCHEDULE, AUTH_GET_MAINTENANCE_SCHEDULE},
    {MESOS__V1__MASTER__CALL__TYPE__UPDATE_MAINTENANCE_SCHEDULE, AUTH_UPDATE_MAINTENANCE_SCHEDULE},
    {MESOS__V1__MASTER__CALL__TYPE__START_MAINTENANCE, AUTH_START_MAINTENANCE},
    {MESOS__V1__MASTER__CALL__TYPE__STOP_MAINTENANCE, AUTH_STOP_MAINTENANCE},
    {MESOS__V1__MASTER__CALL__TYPE__DRAIN_AGENT, AUTH_DRAIN_AGENT},
    {MESOS__V1__MASTER__CALL__TYPE__DEACTIVATE_AGENT, AUTH_DEACTIVATE_AGENT},
    {MESOS__V1__MASTER__CALL__TYPE__REACTIVATE_AGENT, AUTH_REACTIVATE_AGENT},
    {MESOS__V1__MASTER__CALL__TYPE__MARK_AGENT_GONE, AUTH_MARK_AGENT_GONE},
};

static bool may_tear_down(const struct master *m, const char *principal, const Mesos__V1__Master__Call__Teardown *body)
{
    const struct master_framework *f = master_framework_find(m, body->framework_id->value);
    return f == NULL || /* then there is nothing to be done */
           auth_allows(m->config.acls, principal, AUTH_TEARDOWN_FRAMEWORK, f->info->principal);
}

static bool may_update_weights(const struct auth_acls *acls, const char *principal,
                               const Mesos__V1__Master__Call__UpdateWeights *body)
{
    for (size_t i = 0; i < body->n_weight_infos; i++)
        if (!auth_allows(acls, principal, AUTH_UPDATE_WEIGHT, body->weight_infos[i]->role))
            return false;
    return true;
}

static bool may_update_quota(const struct auth_acls *acls, const char *principal, const Mesos__V1__Master__Call *call)
{
    if (call->update_quota != NULL)
        for (size_t i = 0; i < call->update_quota->n_quota_configs; i++)
            if (!auth_allows(acls, principal, AUTH_UPDATE_QUOTA, call->update_quota->quota_configs[i]->role))
                return false;
    if (call->set_quota != NULL && !auth_allows(acls, principal, AUTH_UPDATE_QUOTA, call->set_quota->quota_request->role))
        return false;
    return call->remove_quota == NULL || auth_allows(acls, principal, AUTH_UPDATE_QUOTA, call->remove_quota->role);
}

/* Bodies that do not belong to the call's type are looked at too: they do no harm there. */
static bool may_change_resources(const struct auth_acls *acls, const char *principal, const Mesos__V1__Master__Call *c)
{
    if (c->reserve_resources != NULL &&
        !may_reserve(acls, principal, c->reserve_resources->source, c->reserve_resources->n_source,
                     c->reserve_resources->resources, c->reserve_resources->n_resources))
        return false;
    if (c->unreserve_resources != NULL &&
        !allows_each(acls, principal, AUTH_UNRESERVE_RESOURCES, c->unreserve_resources->resources,
                     c->unreserve_resources->n_resources, reserver_of))
        return false;
    if (c->create_volumes != NULL && !allows_each(acls, principal, AUTH_CREATE_VOLUME, c->create_volumes->volumes,
                                                  c->create_volumes->n_volumes, role_of))
        return false;
    if (c->destroy_volumes != NULL && !allows_each(acls, principal, AUTH_DESTROY_VOLUME, c->destroy_volumes->volumes,
                                                   c->destroy_volumes->n_volumes, creator_of))
        return false;
    if (c->grow_volume != NULL && !may_resize(acls, principal, c->grow_volume->volume))
        return false;
    return c->shrink_volume == NULL || may_resize(acls, principal, c->shrink_volume->volume);
}

bool master_may_operate(const struct master *m, const char *principal, const Mesos__V1__Master__Call *call)
{
    const struct auth_acls *acls = m->config.acls;
    if (acls == NULL)
        return true;
    for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
        if (whole[i].call == call->type)
            return auth_allows(acls, principal, whole[i].action, NULL);
    if (call->teardown != NULL && !may_tear_down(m, principal, call->teardown))
        return false;
    if (call->update_weights != NULL && !may_update_weights(acls, principal, call->update_weights))
        return false;
    return may_update_quota(acls, principal, call) && may_change_resources(acls, principal, call);
}

/* -- frameworks -------------------------------------------------------------------------------------------------- */

const char *master_forbidden_role(const struct master *m, const Mesos__V1__FrameworkInfo *info, const char *principal)
{
    char *const *roles, *single;
    size_t count = master_framework_info_roles(info, &roles, &single);
    struct auth_approver approver = auth_approver(m->config.acls, principal, AUTH_REGISTER_FRAMEWORK);
    for (size_t i = 0; i < count; i++)
        if (!auth_approves(&approver, roles[i]))
            return roles[i];
    return NULL;
}

static const char *user_of(const Mesos__V1__CommandInfo *command, const char *otherwise)
{
    return command != NULL && command->user != NULL ? command->user : otherwise;
}

const char *master_forbidden_user(const struct master *m, const Mesos__V1__FrameworkInfo *framework,
                                  const Mesos__V1__TaskInfo *task, const Mesos__V1__ExecutorInfo *executor)
{
    struct auth_approver approver = auth_approver(m->config.acls, framework->principal, AUTH_RUN_TASK);
    if (approver.allows_all)
        return NULL;
    const Mesos__V1__ExecutorInfo *own = executor != NULL ? executor : task->executor;
    const char *executor_user = own != NULL ? user_of(own->command, framework->user) : framework->user;
    const char *task_user = task->command != NULL ? user_of(task->command, framework->user) : executor_user;
    if (!auth_approves(&approver, task_user))
        return task_user;
    return own == NULL || auth_approves(&approver, executor_user) ? NULL : executor_user;
}

/* -- views ------------------------------------------------------------------------------------------------------- */

struct master_view master_view(const struct master *m, const char *principal)
{
    const struct auth_acls *acls = m->config.acls;
    return (struct master_view){.m = m,
                                .frameworks = auth_approver(acls, principal, AUTH_VIEW_FRAMEWORK),
                                .tasks = auth_approver(acls, principal, AUTH_VIEW_TASK),
                                .executors = auth_approver(acls, principal, AUTH_VIEW_EXECUTOR),
                                .roles = auth_approver(acls, principal, AUTH_VIEW_ROLE),
                                .quotas = auth_approver(acls, principal, AUTH_GET_QUOTA)};
}

bool master_sees_framework(const struct master_view *v, const Mesos__V1__FrameworkInfo *info)
{
    return auth_approves(&v->frameworks, info->user);
}

const char *master_task_user(const struct master_task *t, struct arena *arena)
{
    struct err err;
    const Mesos__V1__Task *task =
        (const void *)wire_unpack(&mesos__v1__task__descriptor, t->packed, t->packed_len, arena, &err);
    return task != NULL && task->user != NULL ? task->user : t->framework->info->user;
}

bool master_sees_task(const struct master_view *v, const struct master_task *t, struct arena *arena)
{
    return v->tasks.allows_all || auth_approves(&v->tasks, master_task_user(t, arena));
}

bool master_sees_executor(const struct master_view *v, const struct master_executor *e, struct arena *arena)
{
    struct err err;
    if (v->executors.allows_all)
        return true;
    const Mesos__V1__ExecutorInfo *info =
        (const void *)wire_unpack(&mesos__v1__executor_info__descriptor, e->packed, e->packed_len, arena, &err);
    const char *user = e->framework->info->user;
    return auth_approves(&v->executors, info != NULL ? user_of(info->command, user) : user);
}

bool master_sees_role(const struct master_view *v, const char *role)
{
    return auth_approves(&v->roles, role);
}

bool master_sees_resource(const struct master_view *v, const Mesos__V1__Resource *r)
{
    const char *role = role_of(r);
    return strcmp(role, "*") == 0 || master_sees_role(v, role);
}

size_t master_view_resources(const struct master_view *v, Mesos__V1__Resource **list, size_t n)
{
    if (v->roles.allows_all)
        return n;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (master_sees_resource(v, list[i]))
            list[kept++] = list[i];
    return kept;
}

Mesos__V1__Master__Response__GetWeights *master_view_weights(const struct master_view *v, struct arena *arena)
{
    Mesos__V1__Master__Response__GetWeights *all = master_weights_wire(v->m, arena);
    size_t n = 0;
    for (size_t i = 0; i < all->n_weight_infos; i++)
        if (master_sees_role(v, all->weight_infos[i]->role))
            all->weight_infos[n++] = all->weight_infos[i];
    all->n_weight_infos = n;
    return all;
}

Mesos__V1__Quota__QuotaStatus *master_view_quota(const struct master_view *v, struct arena *arena)
{
    Mesos__V1__Quota__QuotaStatus *all = master_quota_wire(v->m, arena);
    size_t n = 0;
    for (size_t i = 0; i < all->n_infos; i++)
        if (auth_approves(&v->quotas, all->infos[i]->role))
            all->infos[n++] = all->infos[i];
    all->n_infos = n;
    n = 0;
    for (size_t i = 0; i < all->n_configs; i++)
        if (auth_approves(&v->quotas, all->configs[i]->role))
            all->configs[n++] = all->configs[i];
    all->n_configs = n;
    return all;
}

bool master_sees_event(const struct master_view *v, const struct master_effect *event)
{
    return (event->framework_user == NULL || auth_approves(&v->frameworks, event->framework_user)) &&
           (event->task_user == NULL || auth_approves(&v->tasks, event->task_user));
}
