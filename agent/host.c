/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/host.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "common/base/arena.h"
#include "common/base/json.h"
#include "common/resource/resource.h"

#define MIB ((uint64_t)1 << 20)
#define MEMORY_KEPT_MB 1024 /* for the system, when there are at least twice as many */
#define DISK_KEPT_MB 5120
#define PORTS_BEGIN 31000
#define PORTS_END 32000

/* Is the resource named in the flag, even with nothing? Then it is not detected. */
static bool is_named(const char *flag, const char *name)
{
    if (flag == NULL)
        return false;
    json_t *list = json_read(flag, strlen(flag), NULL);
    if (json_is_array(list)) {
        bool found = false;
        size_t i;
        const json_t *one;
        json_array_foreach(list, i, one)
        {
            const char *text = json_string_value(json_object_get(one, "name"));
            found |= text != NULL && strcmp(text, name) == 0;
        }
        json_decref(list);
        return found;
    }
    json_decref(list);
    size_t len = strlen(name);
    for (const char *at = flag; at != NULL; at = strchr(at, ';')) {
        at += strspn(at, "; \t\n");
        const char *end = at + len;
        if (strncmp(at, name, len) == 0 && strchr("(: ", *end) != NULL && *end != '\0')
            return true;
    }
    return false;
}

static int64_t whole_mb(uint64_t bytes, uint64_t kept_mb)
{
    uint64_t mb = bytes / MIB;
    return (int64_t)(mb >= 2 * kept_mb ? mb - kept_mb : mb / 2);
}

static int64_t disk_mb(const char *work_dir)
{
    struct statvfs fs;
    if (statvfs(work_dir, &fs) != 0)
        return 2 * DISK_KEPT_MB;
    return whole_mb((uint64_t)fs.f_blocks * fs.f_frsize, DISK_KEPT_MB);
}

static void detect(const struct agent_options *o, struct resources *r)
{
    if (!is_named(o->resources, "cpus")) {
        long n = sysconf(_SC_NPROCESSORS_ONLN);
        resources_add_scalar(r, "cpus", (n > 0 ? n : 1) * 1000);
    }
    if (!is_named(o->resources, "mem")) {
        struct sysinfo info;
        int64_t mb =
            sysinfo(&info) == 0 ? whole_mb((uint64_t)info.totalram * info.mem_unit, MEMORY_KEPT_MB) : MEMORY_KEPT_MB;
        resources_add_scalar(r, "mem", mb * 1000);
    }
    if (!is_named(o->resources, "disk"))
        resources_add_scalar(r, "disk", disk_mb(o->work_dir) * 1000);
    if (!is_named(o->resources, "ports"))
        resources_add_range(r, "ports", PORTS_BEGIN, PORTS_END);
}

int agent_host_describe(const struct agent_options *o, const char *hostname, uint16_t port, struct arena *arena,
                        Mesos__V1__AgentInfo **out, struct err *err)
{
    struct resources *r = resources_new();
    int rc = o->resources ? resources_parse_flag(o->resources, o->default_role, r, err) : 0;
    if (rc != 0) {
        (void)resources_free(r);
        return err_wrap(err, rc, "--resources");
    }
    detect(o, r);
    Mesos__V1__AgentInfo *info = arena_new_one(arena, Mesos__V1__AgentInfo);
    *info = (Mesos__V1__AgentInfo)MESOS__V1__AGENT_INFO__INIT;
    info->hostname = arena_strdup(arena, hostname);
    info->has_port = true;
    info->port = port;
    info->n_resources = resources_to_wire(r, RESOURCE_POST_REFINEMENT, arena, &info->resources);
    (void)resources_free(r);
    if (o->attributes != NULL) {
        rc = attributes_parse_flag(o->attributes, arena, &info->attributes, &info->n_attributes, err);
        if (rc != 0)
            return err_wrap(err, rc, "--attributes");
    }
    *out = info;
    return 0;
}

int agent_host_boot_id(struct arena *arena, char **out, struct err *err)
{
    static const char path[] = "/proc/sys/kernel/random/boot_id";
    char text[64];
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return err_sys(err, -errno, "%s", path);
    bool ok = fgets(text, sizeof(text), f) != NULL;
    (void)fclose(f); /* only read from */
    if (!ok)
        return err_set(err, -EIO, "%s is empty", path);
    text[strcspn(text, "\n")] = '\0';
    *out = arena_strdup(arena, text);
    return 0;
}

int agent_host_name(const struct agent_options *o, struct arena *arena, char **out, struct err *err)
{
    char name[256];
    if (o->hostname != NULL) {
        *out = arena_strdup(arena, o->hostname);
        return 0;
    }
    if (strncmp(o->ip, "127.", 4) == 0 || strcmp(o->ip, "::1") == 0) {
        *out = arena_strdup(arena, "localhost");
        return 0;
    }
    if (gethostname(name, sizeof(name)) != 0)
        return err_sys(err, -errno, "name of this host");
    name[sizeof(name) - 1] = '\0';
    *out = arena_strdup(arena, name);
    return 0;
}
