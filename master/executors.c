/* SPDX-License-Identifier: Apache-2.0
 * executors.c - custom and default executors. The one that is made for a single command belongs to its task alone and is
 * not kept here. */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/allocator.h"
#include "master/roles.h"
#include "master/tasks.h"

static size_t make_key(uint8_t *key, const struct master_framework *f, const char *id, size_t id_len)
{
    memcpy(key, &f->serial, sizeof(f->serial));
    memcpy(key + sizeof(f->serial), id, id_len);
    return sizeof(f->serial) + id_len;
}

struct master_executor *master_executor_find(const struct master_agent *a, const struct master_framework *f, const char *id)
{
    uint8_t key[sizeof(uint64_t) + 256];
    size_t id_len = strlen(id);
    if (id_len > 255)
        return NULL; /* no such id was ever taken */
    struct master_executor *found = NULL;
    size_t len = make_key(key, f, id, id_len);
    HASH_FIND(hh, a->executors, key, len, found);
    return found;
}

struct master_executor *master_executor_new(struct master *m, struct master_framework *f, struct master_agent *a,
                                            struct master_client *c, struct resources *resources, bool is_charged,
                                            const Mesos__V1__ExecutorInfo *info)
{
    const char *id = info->executor_id->value;
    size_t id_len = strlen(id), packed_len;
    CHECK(id_len <= 255);
    struct master_executor *e = xcalloc(1, sizeof(*e) + sizeof(f->serial) + id_len + 1);
    e->key_len = (uint32_t)make_key(e->key, f, id, id_len);
    e->id = (const char *)e->key + sizeof(f->serial);
    e->framework = f;
    e->agent = a;
    e->packed = wire_pack(&info->base, &packed_len);
    e->packed_len = (uint32_t)packed_len;
    HASH_ADD_KEYPTR(hh, a->executors, e->key, e->key_len, e);
    list_push_back(&f->executors, &e->framework_node);
    if (resources == NULL || resources_is_empty(resources)) {
        resources_free(resources);
        return e;
    }
    CHECK(c != NULL);
    e->resources = resources;
    e->client = c;
    c->held++;
    if (!is_charged) {
        struct quantities amounts;
        CHECK(resources_quantities(resources, &amounts) == 0); /* names known from the agent's total */
        share_charge(&c->node, &amounts, &m->total);
    }
    return e;
}

void master_executor_remove(struct master *m, struct master_executor *e)
{
    list_for_each(it, &e->agent->tasks)
    {
        struct master_task *t = container_of(it, struct master_task, node);
        if (t->executor == e)
            t->executor = NULL;
    }
    HASH_DEL(e->agent->executors, e);
    list_remove(&e->framework_node);
    if (e->resources != NULL) {
        struct quantities amounts;
        CHECK(resources_quantities(e->resources, &amounts) == 0); /* as when it was charged */
        share_release(&e->client->node, &amounts, &m->total);
        resources_unallocate(e->resources);
        resources_drop_shared(e->resources);
        if (e->agent->total != NULL)
            master_allocator_give_back(m, e->agent, e->resources, false);
        else
            resources_free(e->resources);
        master_client_unhold(m, e->client);
    }
    free(e->packed);
    free(e);
}
