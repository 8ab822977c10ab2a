/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/task_parts.h"

#include <string.h>

#define NANOSECONDS 1e9

Mesos__V1__Labels *task_labels(const struct pairs *pairs, struct arena *a)
{
    if (pairs->count == 0)
        return NULL;
    Mesos__V1__Labels *out = arena_new_one(a, Mesos__V1__Labels);
    mesos__v1__labels__init(out);
    out->labels = arena_new_array(a, Mesos__V1__Label *, pairs->count);
    for (size_t i = 0; i < pairs->count; i++) {
        Mesos__V1__Label *l = arena_new_one(a, Mesos__V1__Label);
        mesos__v1__label__init(l);
        l->key = (char *)pairs->items[i].key; /* protobuf-c has no const; nobody writes to it */
        l->value = (char *)pairs->items[i].value;
        out->labels[out->n_labels++] = l;
    }
    return out;
}

Mesos__V1__KillPolicy *task_kill_policy(double grace_s, struct arena *a)
{
    if (grace_s < 0)
        return NULL;
    Mesos__V1__KillPolicy *k = arena_new_one(a, Mesos__V1__KillPolicy);
    mesos__v1__kill_policy__init(k);
    k->grace_period = arena_new_one(a, Mesos__V1__DurationInfo);
    mesos__v1__duration_info__init(k->grace_period);
    k->grace_period->nanoseconds = grace_s < 1e9 ? (int64_t)(grace_s * NANOSECONDS) : INT64_MAX;
    return k;
}

Mesos__V1__TaskID *task_id_of(const char *id, struct arena *a)
{
    Mesos__V1__TaskID *out = arena_new_one(a, Mesos__V1__TaskID);
    mesos__v1__task_id__init(out);
    out->value = arena_strdup(a, id);
    return out;
}

Mesos__V1__AgentID *task_agent_id_of(const char *id, struct arena *a)
{
    Mesos__V1__AgentID *out = arena_new_one(a, Mesos__V1__AgentID);
    mesos__v1__agent_id__init(out);
    out->value = arena_strdup(a, id);
    return out;
}

Mesos__V1__CommandInfo__URI *task_uri(const char *uri, const char *output_file, bool extract, bool executable, bool cache,
                                      struct arena *a)
{
    Mesos__V1__CommandInfo__URI *u = arena_new_one(a, Mesos__V1__CommandInfo__URI);
    mesos__v1__command_info__uri__init(u);
    u->value = (char *)uri;
    u->has_extract = u->has_executable = u->has_cache = 1;
    u->extract = extract;
    u->executable = executable;
    u->cache = cache;
    u->output_file = (char *)output_file;
    return u;
}

Mesos__V1__Volume *task_host_volume(const char *container_path, const char *host_path, bool is_read_only, struct arena *a)
{
    Mesos__V1__Volume *v = arena_new_one(a, Mesos__V1__Volume);
    mesos__v1__volume__init(v);
    v->container_path = (char *)container_path;
    v->host_path = (char *)host_path;
    v->mode = is_read_only ? MESOS__V1__VOLUME__MODE__RO : MESOS__V1__VOLUME__MODE__RW;
    return v;
}

Mesos__V1__ContainerInfo *task_container(Mesos__V1__Volume **volumes, size_t count, struct arena *a)
{
    if (count == 0)
        return NULL;
    Mesos__V1__ContainerInfo *c = arena_new_one(a, Mesos__V1__ContainerInfo);
    mesos__v1__container_info__init(c);
    c->type = MESOS__V1__CONTAINER_INFO__TYPE__MESOS;
    c->volumes = volumes;
    c->n_volumes = count;
    return c;
}
