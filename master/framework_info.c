/* SPDX-License-Identifier: Apache-2.0
 * framework_info.c - is this FrameworkInfo acceptable? Answers with a sentence for the ERROR event. */
#include <math.h>
#include <string.h>

#include "common/base/text.h"
#include "master/frameworks.h"
#include "master/roles.h"
#include "master/send.h"

#define INFO_BYTES_MAX (256u << 10) /* it goes along with every launch */
#define FAILOVER_SECONDS_MAX 9.2e9  /* a signed 64-bit count of nanoseconds */

static const char *check_roles(struct master *m, const Mesos__V1__FrameworkInfo *info)
{
    bool multi = master_framework_info_can(info, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE);
    /* An absent role is decoded as the default value's own address. */
    if (multi && info->role != NULL && info->role != mesos__v1__framework_info__role__default_value)
        return "FrameworkInfo.role must not be set by a framework with the MULTI_ROLE capability";
    if (!multi && info->n_roles > 0)
        return "FrameworkInfo.roles needs the MULTI_ROLE capability";
    if (info->n_roles > MASTER_ROLES_MAX)
        return arena_printf(m->out->arena, "FrameworkInfo.roles has more than %d roles", MASTER_ROLES_MAX);
    char *const *roles, *single;
    size_t count = master_framework_info_roles(info, &roles, &single);
    for (size_t i = 0; i < count; i++) {
        const char *why = master_role_check(m, roles[i]);
        if (why != NULL)
            return arena_printf(m->out->arena, "role '%.300s' %s", roles[i], why);
        for (size_t j = 0; j < i; j++)
            if (strcmp(roles[i], roles[j]) == 0)
                return arena_printf(m->out->arena, "FrameworkInfo.roles names '%s' twice", roles[i]);
    }
    return NULL;
}

static const char *check_minimums(struct master *m, const char *role, const Mesos__V1__OfferFilters *filters)
{
    const Mesos__V1__OfferFilters__MinAllocatableResources *min = filters->min_allocatable_resources;
    size_t total = 0;
    for (size_t i = 0; min != NULL && i < min->n_quantities; i++) {
        const Mesos__V1__OfferFilters__ResourceQuantities *q = min->quantities[i];
        if (q->n_quantities == 0)
            return arena_printf(m->out->arena, "offer filter of role '%.300s' has empty quantities", role);
        for (size_t j = 0; j < q->n_quantities; j++) {
            const char *name = q->quantities[j]->key;
            if (name == NULL || name[0] == '\0' || strlen(name) >= MASTER_MINIMUM_NAME_SIZE ||
                q->quantities[j]->value == NULL || !isfinite(q->quantities[j]->value->value) ||
                q->quantities[j]->value->value < 0 || q->quantities[j]->value->value > 1e12)
                return arena_printf(m->out->arena, "offer filter of role '%.300s' has an invalid quantity", role);
            if (++total > MASTER_MINIMUMS_MAX)
                return arena_printf(m->out->arena, "offer filter of role '%.300s' has more than %d quantities", role,
                                    MASTER_MINIMUMS_MAX);
        }
    }
    return NULL;
}

const char *master_framework_info_check(struct master *m, const Mesos__V1__FrameworkInfo *info)
{
    if (protobuf_c_message_get_packed_size(&info->base) > INFO_BYTES_MAX)
        return arena_printf(m->out->arena, "FrameworkInfo has more than %u bytes", INFO_BYTES_MAX);
    if (info->id != NULL && info->id->value[0] != '\0' && !text_is_valid_id(info->id->value))
        return "FrameworkInfo.id is not a valid id";
    if (info->has_failover_timeout &&
        (!isfinite(info->failover_timeout) || fabs(info->failover_timeout) > FAILOVER_SECONDS_MAX))
        return "FrameworkInfo.failover_timeout is out of range";
    if (!m->config.root_submissions && strcmp(info->user, "root") == 0)
        return "this master takes no frameworks of user root";
    const char *why = check_roles(m, info);
    for (size_t i = 0; why == NULL && i < info->n_offer_filters; i++)
        if (info->offer_filters[i]->key != NULL && info->offer_filters[i]->value != NULL)
            why = check_minimums(m, info->offer_filters[i]->key, info->offer_filters[i]->value);
    return why;
}
