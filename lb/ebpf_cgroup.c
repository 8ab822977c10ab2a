/* SPDX-License-Identifier: Apache-2.0
 * ebpf_cgroup.c - see ebpf_cgroup.h. */
#include "lb/ebpf_cgroup.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "common/base/cleanup.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define PROGRAMS_MAX 256 /* the kernel allows 64 at one hook of one group */
#define MAPS_MAX 16
#define PREFIX "muster_"

const char *const ebpf_program_names[EBPF_HOOKS] = {
    [EBPF_PEER4] = "muster_peer4", [EBPF_PEER6] = "muster_peer6",       [EBPF_RECV4] = "muster_recv4",
    [EBPF_RECV6] = "muster_recv6", [EBPF_CONNECT4] = "muster_connect4", [EBPF_CONNECT6] = "muster_connect6",
    [EBPF_SEND4] = "muster_send4", [EBPF_SEND6] = "muster_send6",
};

static const enum bpf_attach_type types[EBPF_HOOKS] = {
    [EBPF_PEER4] = BPF_CGROUP_INET4_GETPEERNAME, [EBPF_PEER6] = BPF_CGROUP_INET6_GETPEERNAME,
    [EBPF_RECV4] = BPF_CGROUP_UDP4_RECVMSG,      [EBPF_RECV6] = BPF_CGROUP_UDP6_RECVMSG,
    [EBPF_CONNECT4] = BPF_CGROUP_INET4_CONNECT,  [EBPF_CONNECT6] = BPF_CGROUP_INET6_CONNECT,
    [EBPF_SEND4] = BPF_CGROUP_UDP4_SENDMSG,      [EBPF_SEND6] = BPF_CGROUP_UDP6_SENDMSG,
};

/* -- who and where ----------------------------------------------------------------------------------------------- */

int ebpf_owner_init(struct ebpf_owner *out, const char *instance, struct err *err)
{
    size_t len = instance != NULL ? strlen(instance) : 0;
    if (len == 0 || len > 32 || strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return err_set(err, -EINVAL, "instance: 1 to 32 of a-z, 0-9 and _");
    *out = (struct ebpf_owner){.magic = EBPF_OWNER_MAGIC, .version = EBPF_VERSION};
    memcpy(out->instance, instance, len);
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(err, -errno, "socket");
    socklen_t size = sizeof(out->netns_cookie);
    if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &out->netns_cookie, &size) == 0)
        return 0;
    return err_set(err, -EOPNOTSUPP, "this kernel does not number network namespaces (Linux 5.14 does)");
}

/* In mountinfo a space is \040, and the like. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' && from[2] <= '7' && from[3] >= '0' &&
            from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 ROOT FOLDER options [optional...] - cgroup2 source options" */
static int find_mount(char out[4096], struct err *err)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t capacity = 0;
    int result = -ENOENT;
    if (file == NULL)
        return err_sys(err, -errno, "/proc/self/mountinfo");
    while (result != 0 && getline(&line, &capacity, file) > 0) {
        const char *end = strstr(line, " - ");
        if (end != NULL && strncmp(end, " - cgroup2 ", 11) == 0 && sscanf(line, "%*s %*s %*s %*s %4095s", out) == 1)
            result = 0;
    }
    free(line);
    (void)fclose(file); /* was only read */
    if (result < 0)
        return err_set(err, result, "no cgroup v2 is mounted");
    unescape(out);
    return 0;
}

int ebpf_cgroup_open(const char *path, struct err *err)
{
    char mount[4096];
    struct statfs fs;
    if (path == NULL) {
        int result = find_mount(mount, err);
        if (result < 0)
            return result;
        path = mount;
    }
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_sys(err, -errno, "control group %s", path);
    if (fstatfs(fd, &fs) < 0)
        return err_sys(err, -errno, "control group %s", path);
    if (fs.f_type != CGROUP2_SUPER_MAGIC)
        return err_set(err, -EINVAL, "%s is not in a cgroup v2", path);
    return steal_fd(&fd);
}

/* -- whose ------------------------------------------------------------------------------------------------------- */

int ebpf_map_of(int program, const char *name)
{
    uint32_t ids[MAPS_MAX];
    struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ids};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
        return -errno;
    for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
        struct bpf_map_info map_info = {0};
        uint32_t map_size = sizeof(map_info);
        cleanup_close int map = bpf_map_get_fd_by_id(ids[i]);
        if (map < 0)
            return -errno;
        if (bpf_obj_get_info_by_fd(map, &map_info, &map_size) < 0)
            return -errno;
        if (strcmp(map_info.name, name) == 0)
            return steal_fd(&map);
    }
    return -ENOENT;
}

/* 1: this owner's, 0: somebody else's. */
static int is_of(int program, const struct ebpf_owner *owner)
{
    struct bpf_prog_info info = {0};
    struct bpf_map_info map_info = {0};
    struct ebpf_owner found;
    uint32_t size = sizeof(info), map_size = sizeof(map_info), zero = 0;
    if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
        return -errno;
    if (strncmp(info.name, PREFIX, strlen(PREFIX)) != 0)
        return 0;
    cleanup_close int map = ebpf_map_of(program, "muster_owner");
    if (map < 0)
        return map == -ENOENT ? 0 : map;
    if (bpf_obj_get_info_by_fd(map, &map_info, &map_size) < 0)
        return -errno;
    if (map_info.value_size != sizeof(found))
        return 0; /* of somebody who has the name by chance */
    if (bpf_map_lookup_elem(map, &zero, &found) < 0)
        return -errno;
    return found.magic == owner->magic && found.netns_cookie == owner->netns_cookie &&
           memcmp(found.instance, owner->instance, sizeof(found.instance)) == 0;
}

struct attached {
    uint32_t ids[PROGRAMS_MAX];
    uint32_t count;
};

static int query(int cgroup, enum ebpf_hook hook, struct attached *out, struct err *err)
{
    out->count = PROGRAMS_MAX;
    if (bpf_prog_query(cgroup, types[hook], 0, NULL, out->ids, &out->count) == 0)
        return 0;
    if (errno == EPERM)
        return err_set(err, -EPERM, "programs of a control group need CAP_BPF and CAP_NET_ADMIN");
    if (errno == EINVAL)
        return err_set(err, -EOPNOTSUPP, "this kernel has no programs at the place of %s", ebpf_program_names[hook]);
    return err_sys(err, -errno, "programs of the control group");
}

/* The descriptor when it is this owner's, -ENOENT when not or no more. */
static int open_ours(uint32_t id, const struct ebpf_owner *owner, struct err *err)
{
    cleanup_close int fd = bpf_prog_get_fd_by_id(id);
    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 && errno == EPERM)
        return err_set(err, -EPERM, "looking at programs that are there already needs CAP_SYS_ADMIN");
    if (fd < 0)
        return err_sys(err, -errno, "attached program");
    int result = is_of(fd, owner);
    if (result < 0)
        return err_sys(err, result == -ENOENT ? -EIO : result, "attached program");
    return result == 1 ? steal_fd(&fd) : -ENOENT;
}

int ebpf_cgroup_find(int cgroup, const struct ebpf_owner *owner, struct err *err)
{
    struct attached there;
    for (int hook = EBPF_HOOKS - 1; hook >= 0; hook--) {
        int result = query(cgroup, (enum ebpf_hook)hook, &there, err);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < there.count; i++) {
            result = open_ours(there.ids[i], owner, err);
            if (result != -ENOENT)
                return result;
        }
    }
    return -ENOENT;
}

/* -- putting and taking ------------------------------------------------------------------------------------------ */

static int id_of(int program, uint32_t *out)
{
    struct bpf_prog_info info = {0};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program, &info, &size) < 0)
        return -errno;
    *out = info.id;
    return 0;
}

static int put(int cgroup, enum ebpf_hook hook, int program, int former, struct err *err)
{
    LIBBPF_OPTS(bpf_prog_attach_opts, opts, .flags = BPF_F_ALLOW_MULTI | (former >= 0 ? BPF_F_REPLACE : 0),
                .replace_prog_fd = former >= 0 ? former : 0);
    if (bpf_prog_attach_opts(program, cgroup, types[hook], &opts) == 0)
        return 1;
    if (errno == EPERM)
        return err_set(err, -EPERM,
                       "%s cannot be attached: needs CAP_NET_ADMIN, and a control group whose other programs allow it",
                       ebpf_program_names[hook]);
    return err_sys(err, -errno, "%s cannot be attached", ebpf_program_names[hook]);
}

static int attach_one(int cgroup, enum ebpf_hook hook, const struct ebpf_owner *owner, int program, struct err *err)
{
    struct attached there;
    uint32_t own = 0;
    int changes = 0, result = id_of(program, &own);
    if (result < 0)
        return err_sys(err, result, "program");
    result = query(cgroup, hook, &there, err);
    if (result < 0)
        return result;
    bool is_there = false;
    for (uint32_t i = 0; i < there.count; i++)
        is_there |= there.ids[i] == own;
    for (uint32_t i = 0; i < there.count; i++) {
        if (there.ids[i] == own)
            continue;
        cleanup_close int former = open_ours(there.ids[i], owner, err);
        if (former == -ENOENT)
            continue;
        if (former < 0)
            return former;
        if (!is_there)
            result = put(cgroup, hook, program, former, err);
        else if (bpf_prog_detach2(former, cgroup, types[hook]) < 0 && errno != ENOENT)
            result = err_sys(err, -errno, "a former %s cannot be detached", ebpf_program_names[hook]);
        if (result < 0)
            return result;
        is_there = true;
        changes++;
    }
    return is_there ? changes : put(cgroup, hook, program, -1, err);
}

int ebpf_cgroup_attach(int cgroup, const struct ebpf_owner *owner, const int programs[EBPF_HOOKS], struct err *err)
{
    int changes = 0;
    for (int hook = 0; hook < EBPF_HOOKS; hook++) {
        int result = attach_one(cgroup, (enum ebpf_hook)hook, owner, programs[hook], err);
        if (result < 0)
            return result;
        changes += result;
    }
    return changes;
}

int ebpf_cgroup_detach(int cgroup, const struct ebpf_owner *owner, struct err *err)
{
    struct attached there;
    int changes = 0;
    for (int hook = EBPF_HOOKS - 1; hook >= 0; hook--) {
        int result = query(cgroup, (enum ebpf_hook)hook, &there, err);
        if (result < 0)
            return result;
        for (uint32_t i = 0; i < there.count; i++) {
            cleanup_close int program = open_ours(there.ids[i], owner, err);
            if (program == -ENOENT)
                continue;
            if (program < 0)
                return program;
            if (bpf_prog_detach2(program, cgroup, types[hook]) < 0 && errno != ENOENT)
                return err_sys(err, -errno, "%s cannot be detached", ebpf_program_names[hook]);
            changes++;
        }
    }
    return changes;
}
