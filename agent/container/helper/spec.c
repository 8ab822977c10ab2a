/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/spec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "common/base/check.h"

Muster__Container__Spec *helper_spec_read(struct err *err)
{
    for (int fd = HELPER_FD_SPEC; fd < HELPER_FD_END; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* one may be absent */
    struct stat st;
    if (fstat(HELPER_FD_SPEC, &st) < 0 || st.st_size <= 0) {
        (void)err_sys(err, -errno, "spec");
        return NULL;
    }
    void *packed = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, HELPER_FD_SPEC, 0);
    if (packed == MAP_FAILED) {
        (void)err_sys(err, -errno, "spec");
        return NULL;
    }
    Muster__Container__Spec *spec = muster__container__spec__unpack(NULL, (size_t)st.st_size, packed);
    (void)munmap(packed, (size_t)st.st_size); /* just mapped */
    (void)close(HELPER_FD_SPEC);
    if (spec == NULL)
        (void)err_set(err, -EBADMSG, "spec cannot be parsed");
    return spec;
}

void helper_spec_cgroups(const Muster__Container__Spec *spec, struct container_cgroups *out)
{
    out->count = 0;
    for (size_t i = 0; i < spec->n_hierarchies && i < CONTAINER_HIERARCHIES_MAX; i++) {
        const Muster__Container__Hierarchy *from = spec->hierarchies[i];
        struct container_hierarchy *h = &out->at[out->count++];
        (void)snprintf(h->path, sizeof(h->path), "%s", from->path); /* it comes from such a field */
        h->mount_length = from->mount_length;
        h->controllers = from->controllers;
        h->v2 = from->v2;
    }
}

struct launcher_limits helper_spec_limits(const Muster__Container__Spec *spec)
{
    const Muster__Container__Limits *l = spec->limits;
    if (l == NULL)
        return (struct launcher_limits){-1, -1, -1, -1, -1};
    return (struct launcher_limits){.cpu_millis = l->cpu_millis,
                                    .cpu_quota_millis = l->cpu_quota_millis,
                                    .memory_soft_bytes = l->memory_soft_bytes,
                                    .memory_hard_bytes = l->memory_hard_bytes,
                                    .pids_max = l->pids_max};
}

char **helper_spec_argv(const Muster__Container__Spec *spec)
{
    char **argv = xcalloc(spec->n_argv + 1, sizeof(*argv));
    memcpy(argv, spec->argv, spec->n_argv * sizeof(*argv));
    return argv;
}

char *helper_spec_mark(const Muster__Container__Spec *spec)
{
    size_t size = sizeof("MUSTER_SESSION=") + strlen(spec->container_id);
    char *mark = xmalloc(size);
    (void)snprintf(mark, size, "MUSTER_SESSION=%s", spec->container_id); /* fits */
    return mark;
}

char **helper_spec_envp(const Muster__Container__Spec *spec)
{
    char **envp = xcalloc(spec->n_env + 3, sizeof(*envp));
    bool has_path = false;
    size_t n = 0;
    if (spec->parent != NULL)
        envp[n++] = helper_spec_mark(spec);
    for (size_t i = 0; i < spec->n_env; i++) {
        envp[n++] = spec->env[i];
        has_path |= strncmp(spec->env[i], "PATH=", 5) == 0;
    }
    if (!has_path)
        envp[n] = (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    return envp;
}
