/* SPDX-License-Identifier: Apache-2.0
 * ebpf_kernel.c - see ebpf_kernel.h. Programs are attached without a link, so that they outlive this process; which are
 * ours says the configuration map that each of them uses. */
#include "lb/ebpf_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#define ATTACHED_MAX 64 /* programs of one kind at a control group, the kernel's own limit */
#define MAPS_MAX 16     /* of one program of ours */
#define CGROUP_PATH_MAX 4096

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "ebpf_image_begin: .incbin \"" MUSTER_EBPF_IMAGE "\"\n"
        "ebpf_image_end: .byte 0\n"
        ".popsection\n");
extern const char ebpf_image_begin[], ebpf_image_end[];

static const struct {
    const char *name;
    enum bpf_attach_type type;
} programs[EBPF_PROGRAMS] = {
    {"muster_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},   {"muster_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
    {"muster_peer4", BPF_CGROUP_INET4_GETPEERNAME}, {"muster_peer6", BPF_CGROUP_INET6_GETPEERNAME},
    {"muster_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},   {"muster_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
    {"muster_connect4", BPF_CGROUP_INET4_CONNECT},  {"muster_connect6", BPF_CGROUP_INET6_CONNECT},
};

/* -- the host ------------------------------------------------------------------------------------------------------ */

static int print_line(enum libbpf_print_level level, const char *format, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof(text), format, ap);
    while (n > 0 && n < (int)sizeof(text) && text[n - 1] == '\n')
        text[--n] = '\0';
    log_debug("%s%s", level == LIBBPF_WARN ? "" : "libbpf: ", text);
    return n;
}

/* Where the first cgroup v2 is mounted; a hybrid host has one as well. */
static int find_cgroup(char out[CGROUP_PATH_MAX], struct err *err)
{
    cleanup_free char *line = NULL;
    size_t size = 0;
    int result = -ENOENT;
    FILE *f = fopen("/proc/self/mountinfo", "re");
    if (f == NULL)
        return err_sys(err, -errno, "/proc/self/mountinfo");
    while (result < 0 && getline(&line, &size, f) > 0) {
        const char *type = strstr(line, " - cgroup2 ");
        char path[CGROUP_PATH_MAX], root[CGROUP_PATH_MAX];
        if (type != NULL && sscanf(line, "%*d %*d %*s %4095s %4095s", root, path) == 2 && strcmp(root, "/") == 0) {
            memcpy(out, path, sizeof(path));
            result = 0;
        }
    }
    (void)fclose(f); /* read only */
    return result < 0 ? err_set(err, -EOPNOTSUPP, "no cgroup v2 is mounted") : 0;
}

static int open_cgroup(const char *given, struct err *err)
{
    char found[CGROUP_PATH_MAX];
    if (given == NULL || given[0] == '\0') {
        int result = find_cgroup(found, err);
        if (result < 0)
            return result;
        given = found;
    }
    int fd = open(given, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? err_sys(err, -errno, "control group %s", given) : fd;
}

static int read_netns_cookie(uint64_t *out, struct err *err)
{
    cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(*out);
    if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, out, &len) < 0)
        return err_sys(err, errno == ENOPROTOOPT ? -EOPNOTSUPP : -errno, "identity of the network namespace");
    return 0;
}

/* -- programs that are attached ------------------------------------------------------------------------------------- */

/* The map of that name of a program, as a new descriptor; -1: it has none. */
static int open_map_of(int program_fd, const char *name)
{
    uint32_t ids[MAPS_MAX];
    struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uint64_t)(uintptr_t)ids};
    uint32_t len = sizeof(info);
    if (bpf_obj_get_info_by_fd(program_fd, &info, &len) < 0)
        return -1;
    for (uint32_t i = 0; i < info.nr_map_ids && i < MAPS_MAX; i++) {
        struct bpf_map_info map = {0};
        int fd = bpf_map_get_fd_by_id(ids[i]);
        len = sizeof(map);
        if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &map, &len) == 0 && strcmp(map.name, name) == 0)
            return fd;
        if (fd >= 0)
            (void)close(fd);
    }
    return -1;
}

static bool is_of(int program_fd, const struct ebpf_kernel *k, uint32_t *layout)
{
    struct ebpf_config config;
    uint32_t zero = 0;
    cleanup_close int fd = open_map_of(program_fd, "muster_config");
    struct bpf_map_info info = {0};
    uint32_t len = sizeof(info);
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.value_size != sizeof(config) ||
        bpf_map_lookup_elem(fd, &zero, &config) < 0)
        return false;
    *layout = config.layout;
    return config.netns_cookie == k->netns_cookie && strncmp(config.instance, k->instance, sizeof(k->instance)) == 0;
}

/* Calls fn with a descriptor of each program of the instance that is attached. Its results are added up. */
static int each_attached(struct ebpf_kernel *k,
                         int (*fn)(struct ebpf_kernel *k, size_t kind, int fd, uint32_t layout, void *arg), void *arg,
                         struct err *err)
{
    int sum = 0;
    for (size_t i = 0; i < EBPF_PROGRAMS; i++) {
        uint32_t ids[ATTACHED_MAX], count = ATTACHED_MAX, layout;
        if (bpf_prog_query(k->cgroup_fd, programs[i].type, 0, NULL, ids, &count) < 0)
            return err_sys(err, -errno, "programs of the control group");
        for (uint32_t n = 0; n < count; n++) {
            cleanup_close int fd = bpf_prog_get_fd_by_id(ids[n]);
            if (fd < 0 && errno == EPERM)
                return err_set(err, -EPERM, "programs of the control group cannot be read (needs CAP_SYS_ADMIN)");
            if (fd >= 0 && is_of(fd, k, &layout))
                sum += fn(k, i, fd, layout, arg);
        }
    }
    return sum;
}

static uint32_t program_id(int fd)
{
    struct bpf_prog_info info = {0};
    uint32_t len = sizeof(info);
    return bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ? 0 : info.id;
}

static int note_own(struct ebpf_kernel *k, size_t kind, int fd, uint32_t layout, void *arg)
{
    bool *is_attached = arg;
    (void)layout;
    is_attached[kind] |= program_id(fd) == program_id(k->programs[kind]);
    return 0;
}

static int detach_any(struct ebpf_kernel *k, size_t kind, int fd, uint32_t layout, void *arg)
{
    (void)layout;
    (void)arg;
    return bpf_prog_detach2(fd, k->cgroup_fd, programs[kind].type) == 0;
}

static int detach_others(struct ebpf_kernel *k, size_t kind, int fd, uint32_t layout, void *arg)
{
    return program_id(fd) == program_id(k->programs[kind]) ? 0 : detach_any(k, kind, fd, layout, arg);
}

static int take_peers(struct ebpf_kernel *k, size_t kind, int fd, uint32_t layout, void *arg)
{
    int *peers = arg;
    (void)k;
    (void)kind;
    if (*peers < 0 && layout == EBPF_LAYOUT)
        *peers = open_map_of(fd, "muster_peers");
    return 0;
}

int ebpf_kernel_attach(struct ebpf_kernel *k, struct err *err)
{
    bool is_attached[EBPF_PROGRAMS] = {false};
    int done = 0, result = each_attached(k, note_own, is_attached, err);
    for (size_t i = 0; i < EBPF_PROGRAMS && result >= 0; i++) {
        if (is_attached[i])
            continue;
        if (bpf_prog_attach(k->programs[i], k->cgroup_fd, programs[i].type, BPF_F_ALLOW_MULTI) < 0)
            return err_sys(err, -errno, "attaching %s to the control group", programs[i].name);
        done++;
    }
    result = result < 0 ? result : each_attached(k, detach_others, NULL, err);
    return result < 0 ? result : done + result;
}

int ebpf_kernel_detach(struct ebpf_kernel *k, struct err *err)
{
    int result = each_attached(k, detach_any, NULL, err);
    return result < 0 ? result : 0;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static int load(struct ebpf_kernel *k, struct err *err)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "muster_lb");
    int peers = -1;
    (void)libbpf_set_print(print_line);
    int result = each_attached(k, take_peers, &peers, err);
    cleanup_close int former = peers;
    if (result < 0)
        return result;
    k->object = bpf_object__open_mem(ebpf_image_begin, (size_t)(ebpf_image_end - ebpf_image_begin), &options);
    if (k->object == NULL)
        return err_sys(err, -errno, "reading the programs");
    struct bpf_map *map = bpf_object__find_map_by_name(k->object, "muster_peers");
    if (former >= 0 && bpf_map__reuse_fd(map, former) < 0)
        log_warning("sockets that are balanced already will see their instances' addresses: %s", strerror(errno));
    result = bpf_object__load(k->object);
    if (result < 0)
        return err_set(err, result == -EPERM || result == -EACCES ? -EPERM : -EOPNOTSUPP,
                       "the kernel does not take the programs: %s%s", strerror(-result),
                       result == -EPERM ? " (needs CAP_BPF and CAP_NET_ADMIN)" : "");
    for (size_t i = 0; i < EBPF_PROGRAMS; i++)
        k->programs[i] = bpf_program__fd(bpf_object__find_program_by_name(k->object, programs[i].name));
    k->vips = bpf_object__find_map_fd_by_name(k->object, "muster_vips");
    k->counts = bpf_object__find_map_fd_by_name(k->object, "muster_counts");
    map = bpf_object__find_map_by_name(k->object, "muster_slots");
    k->slots = bpf_map__fd(map);
    k->slot_count = bpf_map__max_entries(map);
    k->vips_max = bpf_map__max_entries(bpf_object__find_map_by_name(k->object, "muster_vips"));
    void *at = mmap(NULL, k->slot_count * sizeof(struct ebpf_slot), PROT_READ | PROT_WRITE, MAP_SHARED, k->slots, 0);
    if (at == MAP_FAILED)
        return err_sys(err, -errno, "mapping the slots");
    k->slot = at;
    struct ebpf_config config = {.netns_cookie = k->netns_cookie, .layout = EBPF_LAYOUT};
    memcpy(config.instance, k->instance, sizeof(k->instance));
    uint32_t zero = 0;
    if (bpf_map_update_elem(bpf_object__find_map_fd_by_name(k->object, "muster_config"), &zero, &config, BPF_ANY) < 0)
        return err_sys(err, -errno, "configuring the programs");
    return 0;
}

static int begin(struct ebpf_kernel *k, const char *instance, const char *cgroup, struct err *err)
{
    *k = (struct ebpf_kernel){.cgroup_fd = -1};
    if (snprintf(k->instance, sizeof(k->instance), "%s", instance) >= (int)sizeof(k->instance))
        return err_set(err, -EINVAL, "the name %.64s is too long", instance);
    int result = read_netns_cookie(&k->netns_cookie, err);
    if (result == 0)
        result = k->cgroup_fd = open_cgroup(cgroup, err);
    return result < 0 ? result : 0;
}

int ebpf_kernel_open(struct ebpf_kernel *k, const char *instance, const char *cgroup, struct err *err)
{
    int result = begin(k, instance, cgroup, err);
    result = result < 0 ? result : load(k, err);
    if (result < 0)
        ebpf_kernel_close(k);
    return result;
}

int ebpf_kernel_clean(const char *instance, const char *cgroup, struct err *err)
{
    struct ebpf_kernel k;
    int result = begin(&k, instance, cgroup, err);
    result = result < 0 ? result : each_attached(&k, detach_any, NULL, err);
    ebpf_kernel_close(&k);
    return result < 0 ? result : 0;
}

void ebpf_kernel_close(struct ebpf_kernel *k)
{
    if (k->slot != NULL)
        (void)munmap(k->slot, k->slot_count * sizeof(struct ebpf_slot)); /* it was mapped */
    if (k->object != NULL)
        bpf_object__close(k->object);
    if (k->cgroup_fd >= 0)
        (void)close(k->cgroup_fd);
    *k = (struct ebpf_kernel){.cgroup_fd = -1};
}

/* -- maps ---------------------------------------------------------------------------------------------------------- */

int ebpf_kernel_put_vip(struct ebpf_kernel *k, const struct ebpf_address *at, const struct ebpf_vip *vip)
{
    return bpf_map_update_elem(k->vips, at, vip, BPF_ANY) < 0 ? -errno : 0;
}

int ebpf_kernel_get_vip(struct ebpf_kernel *k, const struct ebpf_address *at, struct ebpf_vip *out)
{
    return bpf_map_lookup_elem(k->vips, at, out) < 0 ? -errno : 0;
}

int ebpf_kernel_remove_vip(struct ebpf_kernel *k, const struct ebpf_address *at)
{
    return bpf_map_delete_elem(k->vips, at) < 0 && errno != ENOENT ? -errno : 0;
}

void ebpf_kernel_each_vip(struct ebpf_kernel *k, void (*fn)(void *ctx, const struct ebpf_address *at), void *ctx)
{
    struct ebpf_address at, next;
    bool has_next = bpf_map_get_next_key(k->vips, NULL, &next) == 0;
    for (size_t i = 0; has_next && i <= k->vips_max; i++) {
        at = next;
        has_next = bpf_map_get_next_key(k->vips, &at, &next) == 0;
        fn(ctx, &at);
    }
}

struct ebpf_counter ebpf_kernel_count(struct ebpf_kernel *k, uint32_t counter)
{
    struct ebpf_counter sum = {0};
    int processors = libbpf_num_possible_cpus();
    cleanup_free struct ebpf_counter *v = xcalloc(processors > 0 ? (size_t)processors : 1, sizeof(*v));
    if (processors > 0 && bpf_map_lookup_elem(k->counts, &counter, v) == 0)
        for (int i = 0; i < processors; i++) {
            sum.connections += v[i].connections;
            sum.failures += v[i].failures;
        }
    return sum;
}

void ebpf_kernel_reset_count(struct ebpf_kernel *k, uint32_t counter)
{
    int processors = libbpf_num_possible_cpus();
    cleanup_free struct ebpf_counter *v = xcalloc(processors > 0 ? (size_t)processors : 1, sizeof(*v));
    if (processors > 0)
        (void)bpf_map_update_elem(k->counts, &counter, v, BPF_ANY); /* an entry of an array is always there */
}
