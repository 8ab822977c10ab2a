/* SPDX-License-Identifier: Apache-2.0
 * world.h - a launcher on a real loop in folders of its own, and notes of what it told. For the tests of containers. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/container.h"
#include "common/base/check.h"
#include "common/real/loop_ev.h"

enum { WORLD_CONTAINERS_MAX = 64, WORLD_TIMEOUT_MS = 20000 };

struct world_container {
    char id[64];
    int started, ended; /* how often it was told */
    int init_pid;
    enum launcher_end_reason reason;
    int status;
    int64_t memory_limit;
    char message[1024];
};

struct world {
    struct loop *loop;
    struct launcher *launcher;
    struct loop_timer *deadline;
    struct loop_idle *idle;
    char root[64], work[80], runtime[80], visible[96], cgroup_root[64];
    struct world_container containers[WORLD_CONTAINERS_MAX];
    size_t count;
    bool is_recovered, is_late;
    bool (*is_done)(struct world *w, const char *id);
    const char *awaited;
    bool without_cgroups;
};

static inline struct world_container *world_find(struct world *w, const char *id)
{
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->containers[i].id, id) == 0)
            return &w->containers[i];
    assert_true(w->count < WORLD_CONTAINERS_MAX);
    struct world_container *c = &w->containers[w->count++];
    memset(c, 0, sizeof(*c));
    assert_true(strlen(id) < sizeof(c->id));
    memcpy(c->id, id, strlen(id) + 1);
    return c;
}

static inline void world_on_started(void *ctx, const char *id, int pid)
{
    struct world_container *c = world_find(ctx, id);
    assert_int_equal(c->ended, 0);
    c->started++;
    c->init_pid = pid;
}

static inline void world_on_ended(void *ctx, const char *id, const struct launcher_end *end)
{
    struct world_container *c = world_find(ctx, id);
    assert_non_null(end->message);
    c->ended++;
    c->reason = end->reason;
    c->status = end->status;
    c->memory_limit = end->memory_limit_bytes;
    (void)snprintf(c->message, sizeof(c->message), "%s", end->message);
}

static inline void world_on_late(void *ctx)
{
    struct world *w = ctx;
    w->is_late = true;
    loop_stop(w->loop);
}

static inline void world_on_idle(void *ctx)
{
    struct world *w = ctx;
    if (w->is_done != NULL && w->is_done(w, w->awaited))
        loop_stop(w->loop);
}

static inline void world_on_recovered(void *ctx)
{
    ((struct world *)ctx)->is_recovered = true;
}

static inline void world_run(struct world *w, bool (*is_done)(struct world *, const char *), const char *id, int64_t ms)
{
    w->is_done = is_done;
    w->awaited = id;
    w->is_late = false;
    loop_timer_start(w->deadline, ms);
    loop_run(w->loop);
    loop_timer_stop(w->deadline);
}

static inline bool world_has_ended(struct world *w, const char *id)
{
    return world_find(w, id)->ended > 0;
}
static inline bool world_has_started(struct world *w, const char *id)
{
    return world_find(w, id)->started > 0 || world_find(w, id)->ended > 0;
}
static inline bool world_has_recovered(struct world *w, const char *id)
{
    (void)id;
    return w->is_recovered;
}
static inline bool world_never(struct world *w, const char *id)
{
    (void)w;
    (void)id;
    return false;
}

static inline void world_open(struct world *w)
{
    w->loop = loop_ev_new();
    assert_non_null(w->loop);
    w->deadline = loop_timer_add(w->loop, world_on_late, w);
    w->idle = loop_before_sleep_add(w->loop, world_on_idle, w);
    struct container_config config = {.events = {.started = world_on_started, .ended = world_on_ended},
                                      .events_ctx = w,
                                      .work_dir = w->work,
                                      .runtime_dir = w->runtime,
                                      .visible_dir = w->visible,
                                      .cgroup_root = w->cgroup_root,
                                      .fetch_bytes_max = 64 << 20,
                                      .fetch_timeout_ms = 15000,
                                      .without_cgroups = w->without_cgroups};
    struct err err = {.text = ""};
    int rc = container_launcher_open(w->loop, &config, &w->launcher, &err);
    if (rc < 0)
        fail_msg("open: %s", err.text);
}

static inline void world_recover(struct world *w, const char *const *known, size_t count)
{
    w->is_recovered = false;
    w->launcher->ops->recover(w->launcher, known, count, world_on_recovered, w);
    world_run(w, world_has_recovered, "", WORLD_TIMEOUT_MS);
    assert_false(w->is_late);
}

static inline void world_close(struct world *w)
{
    w->launcher->ops->close(w->launcher);
    w->idle = loop_before_sleep_remove(w->idle);
    w->deadline = loop_timer_remove(w->deadline);
    w->loop = loop_ev_free(w->loop);
}

static inline struct world *world_new(void)
{
    struct world *w = xcalloc(1, sizeof(*w));
    (void)snprintf(w->root, sizeof(w->root), "/tmp/muster-test-XXXXXX");
    assert_non_null(mkdtemp(w->root));
    assert_int_equal(chmod(w->root, 0755), 0);
    (void)snprintf(w->work, sizeof(w->work), "%s/work", w->root);
    (void)snprintf(w->runtime, sizeof(w->runtime), "%s/run", w->root);
    (void)snprintf(w->visible, sizeof(w->visible), "%s/shared", w->runtime);
    (void)snprintf(w->cgroup_root, sizeof(w->cgroup_root), "muster-test-%d", (int)getpid());
    return w;
}

static inline int world_setup(void **state)
{
    struct world *w = world_new();
    world_open(w);
    world_recover(w, NULL, 0);
    *state = w;
    return 0;
}

static inline int world_setup_without_cgroups(void **state)
{
    struct world *w = world_new();
    w->without_cgroups = true;
    world_open(w);
    world_recover(w, NULL, 0);
    *state = w;
    return 0;
}

static inline int world_system(const char *format, const char *argument)
{
    char text[4096];
    (void)snprintf(text, sizeof(text), format, argument);
    return system(text);
}

static inline int world_teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < w->count; i++)
        if (!w->containers[i].ended)
            w->launcher->ops->destroy(w->launcher, w->containers[i].id);
    for (size_t i = 0; i < w->count; i++)
        if (!w->containers[i].ended)
            world_run(w, world_has_ended, w->containers[i].id, WORLD_TIMEOUT_MS);
    /* Nothing may be left in our control groups: rmdir succeeds only on empty ones. */
    assert_int_equal(world_system("for d in /sys/fs/cgroup/%1$s /sys/fs/cgroup/*/%1$s; do "
                                  "[ ! -d $d ] || rmdir $d || exit 1; done",
                                  w->cgroup_root),
                     0);
    world_close(w);
    assert_int_equal(world_system("rm -rf %s", w->root), 0);
    free(w);
    return 0;
}

static inline struct launcher_spec world_spec(struct world *w, const char *id, const char *shell)
{
    char *sandbox = NULL;
    assert_true(asprintf(&sandbox, "%s/box/%s", w->work, id) > 0); /* lives until the test ends */
    (void)mkdir(w->work, 0755);
    return (struct launcher_spec){
        .container_id = id,
        .sandbox = sandbox,
        .shell = shell,
        .limits = {
            .cpu_millis = 100, .cpu_quota_millis = -1, .memory_soft_bytes = 64 << 20, .memory_hard_bytes = 64 << 20}};
}

static inline void world_launch(struct world *w, const struct launcher_spec *spec)
{
    (void)world_find(w, spec->container_id);
    w->launcher->ops->launch(w->launcher, spec);
    free((char *)spec->sandbox); /* the launcher has copied what it needs */
}

static inline struct world_container *world_await_end(struct world *w, const char *id)
{
    world_run(w, world_has_ended, id, WORLD_TIMEOUT_MS);
    struct world_container *c = world_find(w, id);
    if (!c->ended)
        fail_msg("container %s did not end", id);
    assert_int_equal(c->ended, 1);
    return c;
}

static inline struct world_container *world_await_start(struct world *w, const char *id)
{
    world_run(w, world_has_started, id, WORLD_TIMEOUT_MS);
    struct world_container *c = world_find(w, id);
    if (!c->started)
        fail_msg("container %s did not start: %s", id, c->message);
    return c;
}

/* Launches and waits for the end. */
static inline struct world_container *world_do(struct world *w, const struct launcher_spec *spec)
{
    char id[64];
    (void)snprintf(id, sizeof(id), "%s", spec->container_id);
    world_launch(w, spec);
    return world_await_end(w, id);
}

/* The content of a file of the sandbox; static. */
static inline const char *world_read(struct world *w, const char *id, const char *file)
{
    static char text[64 * 1024];
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/box/%s/%s", w->work, id, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return "";
    ssize_t n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

static inline bool world_has(struct world *w, unsigned bits, const char *test)
{
    const char *missing;
    unsigned have = w->launcher->ops->isolation(w->launcher, &missing);
    if ((have & bits) == bits)
        return true;
    print_message("SKIPPED %s: this host or user lacks some isolation:\n%s", test, missing);
    return false;
}
#define WORLD_NEEDS(w, bits)                                                                                               \
    do {                                                                                                                   \
        if (!world_has(w, bits, __func__))                                                                                 \
            skip();                                                                                                        \
    } while (0)
