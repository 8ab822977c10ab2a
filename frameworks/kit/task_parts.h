/* SPDX-License-Identifier: Apache-2.0
 * task_parts.h - parts of TaskInfos as both of our frameworks build them (facts: marathon 3.1, 3.4). Pure; messages are
 * made in an arena and borrow the strings they are given. */
#pragma once

#include "common/base/arena.h"
#include "common/base/map.h"
#include "frameworks/kit/pairs.h"
#include "mesos/v1/mesos.pb-c.h"

/* -- environment: names in the order of their first appearance, later values win --------------------------------------- */

struct task_env {
    struct arena *arena;
    struct map by_name; /* name -> variable */
};
/* What a task is told about itself. */
struct task_context {
    const char *task_id, *app_id, *host;
    int64_t version_ms;
    double cpus, mem, disk;
    const struct pairs *labels;
    const char *host_prefix; /* put before HOST, NULL: none */
};
void task_env_begin(struct task_env *e, struct arena *a);
void task_env_put(struct task_env *e, const char *name, const char *value); /* copies the name, borrows the value */
void task_env_put_pairs(struct task_env *e, const struct pairs *pairs);
void task_env_put_context(struct task_env *e, const struct task_context *c);
Mesos__V1__Environment *task_env_end(struct task_env *e);
const char *task_decimal(struct arena *a, double d); /* as Java writes a double: 0.1, 128.0 */

/* -- the rest ---------------------------------------------------------------------------------------------------------- */

Mesos__V1__Labels *task_labels(const struct pairs *pairs, struct arena *a); /* NULL without any */
Mesos__V1__KillPolicy *task_kill_policy(double grace_s, struct arena *a);   /* NULL when negative */
Mesos__V1__TaskID *task_id_of(const char *id, struct arena *a);
Mesos__V1__AgentID *task_agent_id_of(const char *id, struct arena *a);
Mesos__V1__CommandInfo__URI *task_uri(const char *uri, const char *output_file, bool extract, bool executable, bool cache,
                                      struct arena *a);
Mesos__V1__Volume *task_host_volume(const char *container_path, const char *host_path, bool is_read_only, struct arena *a);
/* A container of Mesos's own kind without image, for its volumes. NULL without any. */
Mesos__V1__ContainerInfo *task_container(Mesos__V1__Volume **volumes, size_t count, struct arena *a);
