/* SPDX-License-Identifier: Apache-2.0 */
#include "master/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/offers.h"
#include "master/registry.h"
#include "master/roles.h"
#include "master/send.h"

void master_weight_set(struct master *m, const char *role, double weight)
{
    double *known = map_get(&m->weights, role);
    if (known == NULL) {
        (void)map_put(&m->weights, role, xmemdup(&weight, sizeof(weight))); /* there was none */
        master_role_hold(m, role)->node.weight = weight;
    } else {
        *known = weight;
        master_role_find(m, role)->node.weight = weight;
    }
    m->total_changed = true; /* shares are computed anew before the next offer */
}

void master_weights_deinit(struct master *m)
{
    for (struct map_entry *e = map_first(&m->weights); e != NULL; e = map_next(e)) {
        master_role_unhold(m, master_role_find(m, map_key(e)));
        free(map_value(e));
    }
    map_deinit(&m->weights);
}

/* 0, or the status to refuse it with. */
static int check(const struct master *m, const Mesos__V1__Master__Call__UpdateWeights *update, struct err *err)
{
    for (size_t i = 0; i < update->n_weight_infos; i++) {
        const Mesos__V1__WeightInfo *info = update->weight_infos[i];
        if (info->role == NULL || info->role[0] == '\0')
            return err_set(err, 400, "the role of a weight is missing");
        const char *why = master_role_check(m, info->role);
        if (why != NULL)
            return err_set(err, 400, "role '%.300s' %s", info->role, why);
        if (!isfinite(info->weight) || info->weight <= 0)
            return err_set(err, 400, "Invalid weight '%g' for role '%.300s': Weights must be positive", info->weight,
                           info->role);
        for (size_t j = 0; j < i; j++)
            if (strcmp(update->weight_infos[j]->role, info->role) == 0)
                return err_set(err, 400, "role '%.300s' is there twice", info->role);
    }
    return 0;
}

void master_weights_on_update(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__UpdateWeights *update = in->operator_call.call->update_weights;
    struct err err;
    if (update->n_weight_infos > MASTER_QUOTAS_MAX) {
        master_reply(m, in->operator_call.request, 400, "More than %d weights in one call", MASTER_QUOTAS_MAX);
        return;
    }
    int status = check(m, update, &err);
    if (status != 0 || update->n_weight_infos == 0) {
        master_reply(m, in->operator_call.request, status != 0 ? status : 200,
                     status != 0 ? "Failed to validate update weights request: %s" : NULL, err.text);
        return;
    }
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_WEIGHTS, "");
    w->request = in->operator_call.request;
    master_registry_set_message(w, &update->base);
    for (size_t i = 0; i < update->n_weight_infos; i++)
        master_registry_put_weight(m, w, update->weight_infos[i]);
}

void master_weights_on_stored(struct master *m, const struct master_write *w)
{
    struct err err;
    const Mesos__V1__Master__Call__UpdateWeights *update = (const void *)wire_unpack(
        &mesos__v1__master__call__update_weights__descriptor, w->message, w->message_len, m->out->arena, &err);
    CHECK(update != NULL); /* our own bytes */
    bool is_used = false;
    for (size_t i = 0; i < update->n_weight_infos; i++) {
        const struct master_role *r = master_role_find(m, update->weight_infos[i]->role);
        is_used |= r != NULL && r->node.active > 0;
        master_weight_set(m, update->weight_infos[i]->role, update->weight_infos[i]->weight);
    }
    /* Offers that are out were shared by the old weights. */
    for (struct master_agent *a = m->agents; is_used && a != NULL; a = a->hh.next)
        master_offers_rescind_of_agent(m, a);
    master_reply(m, w->request, 200, NULL);
}

bool master_weights_recover(struct master *m, const Mesos__V1__WeightInfo *info)
{
    if (info->role == NULL || !isfinite(info->weight) || info->weight <= 0)
        return false;
    if (master_role_check(m, info->role) == NULL) /* else the flags do not allow this role any more */
        master_weight_set(m, info->role, info->weight);
    return true;
}

Mesos__V1__Master__Response__GetWeights *master_weights_wire(const struct master *m, struct arena *arena)
{
    Mesos__V1__Master__Response__GetWeights *out = arena_new_one(arena, Mesos__V1__Master__Response__GetWeights);
    mesos__v1__master__response__get_weights__init(out);
    out->weight_infos = arena_new_array(arena, Mesos__V1__WeightInfo *, map_count(&m->weights));
    for (struct map_entry *e = map_first(&m->weights); e != NULL; e = map_next(e)) {
        Mesos__V1__WeightInfo *info = arena_new_one(arena, Mesos__V1__WeightInfo);
        mesos__v1__weight_info__init(info);
        info->role = (char *)map_key(e);
        info->weight = *(const double *)map_value(e);
        out->weight_infos[out->n_weight_infos++] = info;
    }
    return out;
}
