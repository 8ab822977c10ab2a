/* SPDX-License-Identifier: Apache-2.0
 * recover.c - finds the containers of an earlier run of the agent again, from their folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/launcher_state.h"
#include "agent/container/shared/record.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

static bool is_alive(const struct container_launcher *l, const Muster__Container__State *state, int *pidfd)
{
    if (strcmp(state->boot_id, l->boot_id) != 0)
        return false;
    int fd = container_process_open(state->supervisor_pid, state->supervisor_start);
    if (fd < 0)
        return false;
    *pidfd = fd;
    return true;
}

static void recover_running(struct container_entry *c, const Muster__Container__State *state, int pidfd)
{
    /* Folders come in any order; the end of one that is found later is told by its program all the same. */
    struct container_entry *outer = state->parent == NULL ? NULL : map_get(&c->launcher->containers, state->parent);
    if (outer != NULL && !outer->is_ended)
        container_entry_put_inside(c, outer);
    container_entry_watch(c, pidfd);
    if (state->has_init_pid)
        container_entry_started(c, state->init_pid);
}

/* The folder of a container whose supervisor came not as far as its first record is taken away under it: it can write
 * none any more then, and ends without having done anything. If it was faster, there is a record now. */
static bool take_away(struct container_launcher *l, const char *id, int directory)
{
    (void)unlinkat(directory, "state.new", 0); /* usually absent */
    return unlinkat(l->containers_fd, id, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

static void recover_folder(struct container_launcher *l, struct container_entry *c, int directory)
{
    Muster__Container__End *end = container_record_read_end(directory);
    if (end != NULL) {
        container_entry_end_from(c, end);
        muster__container__end__free_unpacked(end, NULL);
        return;
    }
    Muster__Container__State *state = container_record_read_state(directory);
    if (state == NULL) {
        if (take_away(l, c->id, directory)) {
            container_entry_end(c, LAUNCHER_END_LAUNCH_FAILED, -1, "The container was never started", 0);
            return;
        }
        state = container_record_read_state(directory);
    }
    int pidfd = -1;
    if (state != NULL && is_alive(l, state, &pidfd)) {
        recover_running(c, state, pidfd);
    } else {
        /* It may have written its end and gone just now; the sweeper looks again before it does anything. */
        container_entry_sweep(c);
    }
    if (state != NULL)
        muster__container__state__free_unpacked(state, NULL);
}

void container_entry_recover(struct container_entry *c)
{
    cleanup_close int directory = container_open_directory(c->launcher, c->id);
    if (directory < 0)
        container_entry_end(c, LAUNCHER_END_LOST, -1, "The record of the container cannot be opened", 0);
    else
        recover_folder(c->launcher, c, directory);
}

/* One folder: an entry for it, in the state that its records tell. */
static void recover_one(struct container_launcher *l, const char *id, bool is_known)
{
    struct container_entry *c = container_entry_new(l, id);
    c->is_unknown = !is_known;
    container_entry_recover(c);
    if (!is_known)
        container_entry_destroy(c);
    c->is_awaited = !is_known || c->is_ended || c->is_sweeping;
    l->recover_pending += c->is_awaited;
}

void container_launcher_recover_one(struct container_launcher *l)
{
    CHECK(l->recover_pending > 0);
    l->recover_pending--;
    container_launcher_plan_news(l); /* which also sees whether this was the last */
}

void container_launcher_recover(struct launcher *base, const char *const *known, size_t count, void (*recovered)(void *ctx),
                                void *ctx)
{
    struct container_launcher *l = (struct container_launcher *)(void *)base;
    CHECK(!l->is_recovering && map_count(&l->containers) == 0);
    l->is_recovering = true;
    l->recovered = recovered;
    l->recovered_ctx = ctx;
    struct map is_known;
    map_init(&is_known);
    for (size_t i = 0; i < count; i++)
        (void)map_put(&is_known, known[i], l); /* any value */
    cleanup_close int copy = openat(l->containers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    if (dir != NULL) {
        (void)steal_fd(&copy);
        for (const struct dirent *e; (e = readdir(dir)) != NULL;)
            if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                recover_one(l, e->d_name, map_get(&is_known, e->d_name) != NULL);
        (void)closedir(dir); /* only read */
    }
    for (size_t i = 0; i < count; i++) {
        if (map_get(&l->containers, known[i]) != NULL)
            continue;
        struct container_entry *c = container_entry_new(l, known[i]);
        container_entry_end(c, LAUNCHER_END_LOST, -1, "There is no record of the container", 0);
        c->is_awaited = true;
        l->recover_pending++;
    }
    map_deinit(&is_known);
    container_launcher_plan_news(l);
}
