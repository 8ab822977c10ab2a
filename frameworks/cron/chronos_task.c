/* SPDX-License-Identifier: Apache-2.0
 * chronos_task.c - see chronos_task.h. */
#include "frameworks/cron/chronos_task.h"

#include <stdio.h>
#include <string.h>

static int64_t due_of(const struct run *r)
{
    return r->due_ms != 0 ? r->due_ms : r->created_ms;
}

void chronos_task_id(const struct run *r, unsigned attempt, const char *uuid, char out[CHRONOS_TASK_ID_SIZE])
{
    size_t len =
        (size_t)snprintf(out, CHRONOS_TASK_ID_SIZE, "ct:%lld:%u:%s:", (long long)due_of(r), attempt, r->entry->job->id);
    size_t room = CHRONOS_TASK_ID_SIZE - 1 - (1 + strlen(uuid)); /* ids of jobs leave some */
    for (size_t i = 0; i < r->arg_count; i++) {
        for (const char *p = r->args[i]; *p != '\0' && len < room; p++) {
            if ((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f && strchr(";/\\", *p) == NULL)
                out[len++] = *p;
        }
    }
    (void)snprintf(out + len, CHRONOS_TASK_ID_SIZE - len, ".%s", uuid);
}

bool chronos_task_id_job(const char *id, char out[JOB_ID_MAX + 1])
{
    if (strncmp(id, "ct:", 3) != 0)
        return false;
    const char *at = strchr(id + 3, ':');
    at = at != NULL ? strchr(at + 1, ':') : NULL;
    size_t len = at != NULL ? strcspn(at + 1, ":") : 0;
    if (len == 0 || len > JOB_ID_MAX || at[1 + len] != ':')
        return false;
    memcpy(out, at + 1, len);
    out[len] = '\0';
    return true;
}

const char *chronos_task_name(const struct run *r, struct arena *a)
{
    return arena_printf(a, "ChronosTask:%s", r->entry->job->id);
}

/* The command of a fetched program is its name in the sandbox. */
static const char *fetched_name(const char *uri, struct arena *a)
{
    const char *name = strrchr(uri, '/') + 1;
    return arena_printf(a, "\"./%.*s\"", (int)strcspn(name, "?#"), name);
}

struct chronos_command chronos_task_command(const struct run *r, struct arena *a)
{
    const struct job *j = r->spec;
    struct chronos_command out = {.value = j->cmd, .is_shell = true};
    if (j->chronos->is_fetched_command) {
        out.fetch = j->cmd;
        out.value = fetched_name(j->cmd, a);
    } else if (!j->chronos->is_shell) {
        const char **argv = arena_new_array(a, const char *, j->arg_count + r->arg_count + 1);
        for (size_t i = 0; i < j->arg_count; i++)
            argv[out.argument_count++] = j->args[i];
        for (size_t i = 0; i < r->arg_count; i++)
            argv[out.argument_count++] = r->args[i];
        out.is_shell = false;
        out.arguments = argv;
        return out;
    }
    for (size_t i = 0; i < r->arg_count; i++)
        out.value = arena_printf(a, "%s %s", out.value, r->args[i]);
    return out;
}

static const char *number(double v, struct arena *a)
{
    struct json_writer w;
    struct buf b;
    buf_init(&b, 0);
    json_writer_init(&w, &b);
    json_put_double(&w, v); /* 128.0 */
    const char *text = arena_printf(a, "%.*s", (int)buf_len(&b), (const char *)buf_data(&b));
    buf_deinit(&b);
    return text;
}

size_t chronos_task_environment(const struct run *r, const char *task_id, unsigned attempt, const char *hostname,
                                struct arena *a, const struct pair **out)
{
    const struct job *j = r->spec;
    const struct pair all[] = {
        {"MESOS_TASK_ID", task_id},
        {"mesos_task_id", task_id},
        {"CHRONOS_JOB_OWNER", j->chronos->owner != NULL ? j->chronos->owner : ""},
        {"CHRONOS_JOB_NAME", j->id},
        {"HOST", hostname},
        {"CHRONOS_RESOURCE_MEM", number(j->mem, a)},
        {"CHRONOS_RESOURCE_CPU", number(j->cpus, a)},
        {"CHRONOS_RESOURCE_DISK", number(j->disk, a)},
        {"CHRONOS_JOB_RUN_TIME", arena_printf(a, "%lld", (long long)due_of(r))},
        {"CHRONOS_JOB_RUN_ATTEMPT", arena_printf(a, "%u", attempt)},
    };
    *out = arena_memdup(a, all, sizeof(all));
    return sizeof(all) / sizeof(all[0]);
}
