/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/view.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

static int open_beneath(int at, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 8; tries++) { /* EAGAIN: something was renamed under the look-up */
        int fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));
        if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
            return fd >= 0 ? fd : -errno;
    }
    return -EAGAIN;
}

int files_open(struct agent_shell *s, const char *path, struct arena *arena, bool directory, int *outcome)
{
    const char *sandbox, *rest;
    *outcome = FILES_E_NOT_FOUND;
    if (!agent_view_sandbox(s->core, path, arena, &sandbox, &rest))
        return -ENOENT;
    cleanup_close int top = agent_dirs_open(s->dirs, sandbox);
    if (top < 0)
        return top;
    int fd = open_beneath(top, *rest ? rest : ".", directory ? O_DIRECTORY : 0);
    if (fd < 0) {
        if (fd == -ENOTDIR && directory)
            *outcome = FILES_E_NOT_DIRECTORY;
        return fd;
    }
    struct stat st;
    int rc = fstat(fd, &st) == 0 ? 0 : -errno;
    if (rc == 0 && (directory ? S_ISDIR(st.st_mode) : S_ISREG(st.st_mode))) {
        *outcome = 0;
        return fd;
    }
    (void)close(fd);
    *outcome = directory ? FILES_E_NOT_DIRECTORY : FILES_E_NOT_FILE;
    return rc != 0 ? rc : -EINVAL;
}

/* Names from the local files alone: the name service may block on a network. */
static const char *user_name(struct arena *arena, uid_t uid)
{
    FILE *f = fopen("/etc/passwd", "re");
    const char *name = NULL;
    for (struct passwd *p; f != NULL && name == NULL && (p = fgetpwent(f)) != NULL;)
        name = p->pw_uid == uid ? arena_strdup(arena, p->pw_name) : NULL;
    if (f != NULL)
        (void)fclose(f); /* only read from */
    return name ? name : arena_printf(arena, "%u", (unsigned)uid);
}

static const char *group_name(struct arena *arena, gid_t gid)
{
    FILE *f = fopen("/etc/group", "re");
    const char *name = NULL;
    for (struct group *g; f != NULL && name == NULL && (g = fgetgrent(f)) != NULL;)
        name = g->gr_gid == gid ? arena_strdup(arena, g->gr_name) : NULL;
    if (f != NULL)
        (void)fclose(f);
    return name ? name : arena_printf(arena, "%u", (unsigned)gid);
}

struct owners { /* a directory's files are mostly of one owner */
    bool known;
    uid_t uid;
    gid_t gid;
    const char *user, *group;
};

static Mesos__V1__FileInfo *file_info(struct arena *arena, const char *directory, const char *name, const struct stat *st,
                                      struct owners *o)
{
    if (!o->known || o->uid != st->st_uid || o->gid != st->st_gid)
        *o = (struct owners){true, st->st_uid, st->st_gid, user_name(arena, st->st_uid), group_name(arena, st->st_gid)};
    Mesos__V1__FileInfo *info = arena_new_one(arena, Mesos__V1__FileInfo);
    *info = (Mesos__V1__FileInfo)MESOS__V1__FILE_INFO__INIT;
    size_t len = strlen(directory);
    info->path = arena_printf(arena, "%s%s%s", directory, len > 0 && directory[len - 1] == '/' ? "" : "/", name);
    info->has_nlink = info->has_size = info->has_mode = true;
    info->nlink = (int32_t)st->st_nlink;
    info->size = (uint64_t)st->st_size;
    info->mode = st->st_mode;
    info->mtime = arena_new_one(arena, Mesos__V1__TimeInfo);
    *info->mtime = (Mesos__V1__TimeInfo)MESOS__V1__TIME_INFO__INIT;
    info->mtime->nanoseconds = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
    info->uid = (char *)(uintptr_t)o->user;
    info->gid = (char *)(uintptr_t)o->group;
    return info;
}

static int by_path(const void *a, const void *b)
{
    return strcmp((*(Mesos__V1__FileInfo *const *)a)->path, (*(Mesos__V1__FileInfo *const *)b)->path);
}

int files_list(struct agent_shell *s, const char *path, struct arena *arena, Mesos__V1__FileInfo ***out, size_t *n)
{
    int outcome;
    int fd = files_open(s, path, arena, true, &outcome);
    if (fd < 0)
        return outcome;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    size_t count = 0, capacity = 64;
    struct owners owners = {0};
    Mesos__V1__FileInfo **list = xcalloc(capacity, sizeof(*list));
    for (const struct dirent *e; count <= FILES_ENTRIES_MAX && (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* gone in between */
        if (count == capacity) {
            capacity *= 2;
            list = xrealloc(list, capacity * sizeof(*list));
        }
        list[count++] = file_info(arena, path, e->d_name, &st, &owners);
    }
    (void)closedir(dir);
    if (count > 0)
        qsort(list, count, sizeof(*list), by_path);
    *out = arena_memdup(arena, list, capacity * sizeof(*list));
    *n = count;
    free(list);
    return count > FILES_ENTRIES_MAX ? FILES_E_TOO_MANY : 0;
}
