/* SPDX-License-Identifier: Apache-2.0
 * ebpf_object.c - see ebpf_object.h. The compiled programs are a part of this one. */
#include "lb/ebpf_object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/log.h"

#define DUMP_AT_ONCE 4096u

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "lb_ebpf_image_begin: .incbin \"" MUSTER_EBPF_IMAGE "\"\n"
        "lb_ebpf_image_end: .byte 0\n"
        ".popsection\n");
extern const char lb_ebpf_image_begin[], lb_ebpf_image_end[];

static const char *const shared_maps[] = {"muster_owner", "muster_vips",  "muster_backends", "muster_counts",
                                          "muster_peers", "muster_flows", "muster_sources"};
#define SHARED_MAPS (sizeof(shared_maps) / sizeof(shared_maps[0]))

/* -- loading ----------------------------------------------------------------------------------------------------- */

/* What fails is told by the one who called; this is how. */
static int print(enum libbpf_print_level level, const char *format, va_list args)
{
    char text[512];
    if (level == LIBBPF_DEBUG)
        return 0;
    int len = vsnprintf(text, sizeof(text), format, args);
    if (len > 0)
        text[strcspn(text, "\n")] = '\0';
    log_debug("%s", text);
    return 0;
}

/* libbpf's own errors are above all of errno. */
static int error_of(long result)
{
    return result <= -__LIBBPF_ERRNO__START ? -EINVAL : (int)result;
}

static bool is_usable(const struct ebpf_owner *owner, int former)
{
    struct ebpf_owner found;
    uint32_t zero = 0;
    cleanup_close int map = ebpf_map_of(former, "muster_owner");
    return map >= 0 && bpf_map_lookup_elem(map, &zero, &found) == 0 && memcmp(&found, owner, sizeof(found)) == 0;
}

static int reuse_maps(struct bpf_object *object, const int maps[SHARED_MAPS])
{
    for (size_t i = 0; i < SHARED_MAPS; i++) {
        int result = bpf_map__reuse_fd(bpf_object__find_map_by_name(object, shared_maps[i]), maps[i]);
        if (result < 0)
            return error_of(result);
    }
    return 0;
}

static int set_up(struct bpf_object *object, const struct ebpf_owner *owner, const int maps[SHARED_MAPS],
                  bool can_set_retval)
{
    struct ebpf_settings settings = {.netns_cookie = owner->netns_cookie, .can_set_retval = can_set_retval};
    struct bpf_map *map, *constants = NULL;
    bpf_object__for_each_map(map, object) if (bpf_map__is_internal(map) && bpf_map__value_size(map) == sizeof(settings))
        constants = map;
    CHECK(constants != NULL); /* the build made it so */
    int result = bpf_map__set_initial_value(constants, &settings, sizeof(settings));
    if (result < 0)
        return error_of(result);
    if (maps != NULL)
        return reuse_maps(object, maps);
    result = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "muster_vips"), (uint32_t)owner->vips_max);
    if (result == 0)
        result = bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "muster_backends"),
                                          (uint32_t)owner->backends_max);
    return error_of(result);
}

static int load_once(const struct ebpf_owner *owner, const int *maps, bool can_set_retval, struct bpf_object **out)
{
    LIBBPF_OPTS(bpf_object_open_opts, opts, .object_name = "muster");
    size_t size = (size_t)(lb_ebpf_image_end - lb_ebpf_image_begin);
    struct bpf_object *object = bpf_object__open_mem(lb_ebpf_image_begin, size, &opts);
    if (object == NULL)
        return error_of(-errno);
    int result = set_up(object, owner, maps, can_set_retval);
    if (result == 0)
        result = error_of(bpf_object__load(object));
    if (result < 0) {
        bpf_object__close(object);
        return result;
    }
    *out = object;
    return 0;
}

static int load(const struct ebpf_owner *owner, const int *maps, struct bpf_object **out, struct err *err)
{
    int result = load_once(owner, maps, true, out);
    if (result == -EINVAL) { /* an older kernel, perhaps */
        result = load_once(owner, maps, false, out);
        if (result == 0)
            log_info("this kernel cannot refuse with ECONNREFUSED (Linux 5.18 can): clients of a VIP without back ends see "
                     "EPERM");
    }
    if (result == -EPERM || result == -EACCES)
        return err_set(err, -EPERM, "loading programs needs CAP_BPF and CAP_NET_ADMIN (or CAP_SYS_ADMIN before Linux 5.8)");
    if (result == -EINVAL || result == -ENOSYS || result == -EOPNOTSUPP)
        return err_set(err, -EOPNOTSUPP, "this kernel does not take the programs: --logging_level=debug shows why");
    return result < 0 ? err_sys(err, result, "programs cannot be loaded") : 0;
}

static int open_maps(int former, int maps[SHARED_MAPS])
{
    for (size_t i = 0; i < SHARED_MAPS; i++) {
        maps[i] = ebpf_map_of(former, shared_maps[i]);
        if (maps[i] < 0)
            return maps[i];
    }
    return 0;
}

static int number_of(struct bpf_object *object, const char *map)
{
    return bpf_map__fd(bpf_object__find_map_by_name(object, map));
}

/* A program holds the maps that its code uses. With all of them any one tells whose it is, and is enough to take over. */
static int bind_maps(struct bpf_object *object)
{
    struct bpf_program *program;
    bpf_object__for_each_program(program, object) for (size_t i = 0; i < SHARED_MAPS;
                                                       i++) if (bpf_prog_bind_map(bpf_program__fd(program),
                                                                                  number_of(object, shared_maps[i]),
                                                                                  NULL) < 0) return -errno;
    return 0;
}

int ebpf_object_load(const struct ebpf_owner *owner, int former, struct ebpf_object *out, struct err *err)
{
    int maps[SHARED_MAPS];
    uint32_t zero = 0;
    for (size_t i = 0; i < SHARED_MAPS; i++)
        maps[i] = -1;
    (void)libbpf_set_print(print); /* gives the former one */
    bool is_taken = former >= 0 && is_usable(owner, former) && open_maps(former, maps) == 0;
    int result = load(owner, is_taken ? maps : NULL, &out->object, err);
    for (size_t i = 0; i < SHARED_MAPS; i++)
        if (maps[i] >= 0)
            (void)close(maps[i]); /* libbpf has its own */
    if (result < 0)
        return result;
    for (int i = 0; i < EBPF_HOOKS; i++)
        out->programs[i] = bpf_program__fd(bpf_object__find_program_by_name(out->object, ebpf_program_names[i]));
    out->vips = number_of(out->object, "muster_vips");
    out->backends = number_of(out->object, "muster_backends");
    out->counts = number_of(out->object, "muster_counts");
    if (!is_taken && bpf_map_update_elem(number_of(out->object, "muster_owner"), &zero, owner, BPF_ANY) < 0)
        result = -errno;
    result = result < 0 ? result : bind_maps(out->object);
    if (result < 0) {
        ebpf_object_free(out);
        return err_sys(err, result, "maps of the programs");
    }
    return 0;
}

void ebpf_object_free(struct ebpf_object *o)
{
    bpf_object__close(o->object);
    *o = (struct ebpf_object){0};
}

/* -- many elements ----------------------------------------------------------------------------------------------- */

size_t ebpf_map_put(int map, const void *keys, const void *values, size_t count)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = BPF_ANY);
    uint32_t n = (uint32_t)count;
    if (count == 0 || bpf_map_update_batch(map, keys, values, &n, &opts) == 0)
        return count;
    return n < count ? n : 0;
}

size_t ebpf_map_delete(int map, const void *keys, size_t key_size, size_t count)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    size_t done = 0;
    while (done < count) {
        uint32_t n = (uint32_t)(count - done);
        if (bpf_map_delete_batch(map, (const char *)keys + done * key_size, &n, &opts) == 0)
            return count;
        if (errno != ENOENT)
            return done + (n < count - done ? n : 0);
        done += n + 1; /* it stops at what is not there */
    }
    return count;
}

long ebpf_map_dump(int map, size_t key_size, size_t value_size, void **keys, void **values)
{
    LIBBPF_OPTS(bpf_map_batch_opts, opts);
    size_t count = 0, capacity = DUMP_AT_ONCE;
    uint32_t at, next;
    bool is_first = true;
    *keys = xmalloc(capacity * key_size);
    *values = xmalloc(capacity * value_size);
    for (;;) {
        uint32_t n = (uint32_t)(capacity - count);
        int result = bpf_map_lookup_batch(map, is_first ? NULL : &at, &next, (char *)*keys + count * key_size,
                                          (char *)*values + count * value_size, &n, &opts);
        int error = result < 0 ? errno : 0;
        if (error == 0 || error == ENOENT)
            count += n;
        if (error == ENOENT)
            return (long)count; /* that was all */
        if (error != 0 && error != ENOSPC) {
            free(*keys);
            free(*values);
            *keys = *values = NULL;
            return -error;
        }
        if (error == 0) {
            at = next;
            is_first = false;
        }
        if (error == ENOSPC || capacity - count < DUMP_AT_ONCE) {
            capacity *= 2;
            *keys = xrealloc(*keys, capacity * key_size);
            *values = xrealloc(*values, capacity * value_size);
        }
    }
}
