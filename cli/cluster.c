/* SPDX-License-Identifier: Apache-2.0
 * cluster.c - the record of a cluster that `muster up` keeps in its directory, and ending its processes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "common/base/check.h"
#include "common/base/cleanup.h"

int lb_main(int argc, char **argv);

#define FILE_BYTES_MAX (4u << 20)
#define TREE_DEPTH_MAX 256

int cluster_dir(const char *given, char *out, size_t size, struct err *err)
{
    const char *from = given ? given : getenv("MUSTER_DIR");
    int n;
    if (from == NULL || from[0] == '\0') {
        n = snprintf(out, size, "/var/tmp/muster-%u", (unsigned)getuid());
    } else if (from[0] == '/') {
        n = snprintf(out, size, "%s", from);
    } else {
        cleanup_free char *here = getcwd(NULL, 0);
        if (here == NULL)
            return err_sys(err, -errno, "current directory");
        n = snprintf(out, size, "%s/%s", here, from);
    }
    if (n < 0 || (size_t)n >= size || n > 2000)
        return err_set(err, -ENAMETOOLONG, "the name of the cluster's directory is too long");
    while (n > 1 && out[n - 1] == '/')
        out[--n] = '\0';
    return 0;
}

static int read_whole(const char *path, struct buf *out)
{
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    for (;;) {
        uint8_t *to = buf_reserve(out, 4096);
        if (to == NULL)
            return -EFBIG;
        ssize_t n = read(fd, to, 4096);
        if (n < 0)
            return -errno;
        if (n == 0)
            return 0;
        buf_commit(out, (size_t)n);
    }
}

static void copy_text(char *to, size_t size, const json_t *value)
{
    const char *s = json_string_value(value);
    (void)snprintf(to, size, "%s", s ? s : "");
}

static int from_json(const json_t *root, struct cluster *out, struct err *err)
{
    const json_t *roles = json_object_get(root, "roles");
    if (!json_is_object(root) || !json_is_array(roles) || json_array_size(roles) > CLUSTER_ROLES_MAX)
        return err_set(err, -EINVAL, "not a cluster record");
    out->up_pid = json_integer_value(json_object_get(root, "up_pid"));
    out->up_start_time = (uint64_t)json_integer_value(json_object_get(root, "up_start_time"));
    out->temporary = json_is_true(json_object_get(root, "temporary"));
    out->role_count = json_array_size(roles);
    out->roles = xcalloc(out->role_count, sizeof(*out->roles));
    for (size_t i = 0; i < out->role_count; i++) {
        const json_t *r = json_array_get(roles, i);
        copy_text(out->roles[i].name, sizeof(out->roles[i].name), json_object_get(r, "name"));
        copy_text(out->roles[i].address, sizeof(out->roles[i].address), json_object_get(r, "address"));
        out->roles[i].pid = json_integer_value(json_object_get(r, "pid"));
        out->roles[i].start_time = (uint64_t)json_integer_value(json_object_get(r, "start_time"));
    }
    return 0;
}

int cluster_load(const char *dir, struct cluster *out, struct err *err)
{
    char path[4096];
    memset(out, 0, sizeof(*out));
    CHECK(snprintf(out->dir, sizeof(out->dir), "%s", dir) < (int)sizeof(out->dir));
    CHECK(snprintf(path, sizeof(path), "%s/cluster.json", dir) < (int)sizeof(path));
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    int rc = read_whole(path, &text);
    if (rc < 0) {
        buf_deinit(&text);
        return err_sys(err, rc, "%s", path);
    }
    struct err inner = {{0}};
    json_t *root = json_read(buf_data(&text), buf_len(&text), &inner);
    buf_deinit(&text);
    rc = root ? from_json(root, out, &inner) : -EINVAL;
    json_decref(root);
    return rc < 0 ? err_set(err, rc, "%s: %s", path, inner.text) : 0;
}

int cluster_save(const struct cluster *c, struct err *err)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, FILE_BYTES_MAX);
    json_writer_init(&w, &text);
    json_begin_object(&w);
    json_kv_int(&w, "up_pid", c->up_pid);
    json_kv_uint(&w, "up_start_time", c->up_start_time);
    json_kv_bool(&w, "temporary", c->temporary);
    json_put_key(&w, "roles");
    json_begin_array(&w);
    for (size_t i = 0; i < c->role_count; i++) {
        json_begin_object(&w);
        json_kv_string(&w, "name", c->roles[i].name);
        json_kv_string(&w, "address", c->roles[i].address);
        json_kv_int(&w, "pid", c->roles[i].pid);
        json_kv_uint(&w, "start_time", c->roles[i].start_time);
        json_end_object(&w);
    }
    json_end_array(&w);
    json_end_object(&w);
    char path[4096], fresh[4096];
    CHECK(snprintf(path, sizeof(path), "%s/cluster.json", c->dir) < (int)sizeof(path));
    CHECK(snprintf(fresh, sizeof(fresh), "%s/cluster.json.new", c->dir) < (int)sizeof(fresh));
    int rc = 0;
    cleanup_close int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        rc = -errno;
    else if (write(fd, buf_data(&text), buf_len(&text)) != (ssize_t)buf_len(&text))
        rc = errno ? -errno : -ENOSPC;
    else if (rename(fresh, path) < 0)
        rc = -errno;
    buf_deinit(&text);
    return rc < 0 ? err_sys(err, rc, "%s", path) : 0;
}

void cluster_free(struct cluster *c)
{
    free(c->roles);
    c->roles = NULL;
    c->role_count = 0;
}

const struct cluster_role *cluster_find(const struct cluster *c, const char *name)
{
    for (size_t i = 0; i < c->role_count; i++)
        if (strcmp(c->roles[i].name, name) == 0)
            return &c->roles[i];
    return NULL;
}

uint64_t cluster_process_start(int64_t pid)
{
    char path[64], text[1024];
    if (pid <= 0)
        return 0;
    (void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return 0;
    text[n] = '\0';
    char *p = strrchr(text, ')'); /* the name may hold anything, the last bracket ends it */
    if (p == NULL || p[1] == '\0' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    for (int field = 2; field < 22 && p != NULL; field++)
        p = strchr(p + 1, ' ');
    return p ? strtoull(p + 1, NULL, 10) : 0;
}

bool cluster_process_is(int64_t pid, uint64_t start_time)
{
    return start_time != 0 && cluster_process_start(pid) == start_time;
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* A descriptor for a process that is still the recorded one, or -1. */
static int open_process(const struct cluster_role *r)
{
    if (r->pid <= 0)
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)r->pid, 0);
    if (fd >= 0 && !cluster_process_is(r->pid, r->start_time)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static bool has_kind(const struct cluster_role *r, const char *kind)
{
    size_t n = strlen(kind);
    return strncmp(r->name, kind, n) == 0 && (r->name[n] == '\0' || r->name[n] == '-');
}

static void signal_kind(struct cluster *c, const char *kind, int signo, int *fds)
{
    for (size_t i = 0; i < c->role_count; i++) {
        fds[i] = -1;
        if (!has_kind(&c->roles[i], kind))
            continue;
        fds[i] = open_process(&c->roles[i]);
        if (fds[i] >= 0)
            (void)syscall(SYS_pidfd_send_signal, fds[i], signo, NULL, 0); /* ESRCH: it is gone, as wanted */
    }
}

/* Waits for all fds; the number still running at the end of wait_ms is returned. */
static int wait_kind(const struct cluster *c, int *fds, int64_t wait_ms)
{
    int64_t end = now_ms() + wait_ms;
    int running = 0;
    for (size_t i = 0; i < c->role_count; i++) {
        if (fds[i] < 0)
            continue;
        struct pollfd p = {.fd = fds[i], .events = POLLIN};
        int64_t left = end - now_ms();
        if (poll(&p, 1, left > 0 ? (int)left : 0) == 0)
            running++;
        else {
            (void)close(fds[i]);
            fds[i] = -1;
        }
    }
    return running;
}

int cluster_stop_roles(struct cluster *c, int64_t wait_ms, struct err *err)
{
    /* Schedulers first, so that nothing is started again; SIGUSR1 makes an agent end its tasks and sign off. */
    static const struct {
        const char *kind;
        int signo;
    } order[] = {{"marathon", SIGTERM}, {"cron", SIGTERM}, {"agent", SIGUSR1},
                 {"lb", SIGTERM},       {"dns", SIGTERM},  {"master", SIGTERM}};
    int *fds = xcalloc(c->role_count ? c->role_count : 1, sizeof(*fds));
    int rc = 0;
    for (size_t k = 0; k < sizeof(order) / sizeof(order[0]); k++) {
        signal_kind(c, order[k].kind, order[k].signo, fds);
        if (wait_kind(c, fds, wait_ms) == 0)
            continue;
        for (size_t i = 0; i < c->role_count; i++)
            if (fds[i] >= 0) {
                rc = err_set(err, -ETIMEDOUT, "%s (pid %lld) did not end in %lld s and was killed", c->roles[i].name,
                             (long long)c->roles[i].pid, (long long)(wait_ms / 1000));
                (void)syscall(SYS_pidfd_send_signal, fds[i], SIGKILL, NULL, 0); /* ESRCH: gone meanwhile */
            }
        if (wait_kind(c, fds, 5000) > 0)
            rc = err_set(err, -ETIMEDOUT, "a %s could not be killed", order[k].kind);
    }
    free(fds);
    return rc;
}

int cluster_instance(const char *dir, char out[CLUSTER_INSTANCE_SIZE], struct err *err)
{
    struct stat st;
    if (stat(dir, &st) < 0)
        return err_sys(err, -errno, "%s", dir);
    (void)snprintf(out, CLUSTER_INSTANCE_SIZE, "up_%llx_%llx", (unsigned long long)st.st_dev & 0xffffff,
                   (unsigned long long)st.st_ino); /* fits */
    return 0;
}

int cluster_clean_kernel(const char *dir, struct err *err)
{
    char instance[CLUSTER_INSTANCE_SIZE];
    int rc = cluster_instance(dir, instance, err);
    if (rc < 0 || geteuid() != 0)
        return rc; /* an ordinary user's balancer leaves nothing */
    char name[] = "lb", clean[] = "--clean", flag[] = "--instance";
    char *argv[] = {name, clean, flag, instance, NULL};
    return lb_main(4, argv) == 0 ? 0 : err_set(err, -EIO, "what the balancer left in the kernel could not be removed");
}

static int remove_below(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth > TREE_DEPTH_MAX)
        return -ELOOP;
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    DIR *dir = fdopendir(fd);
    CHECK(dir != NULL);
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            rc = remove_below(fd, e->d_name, depth + 1);
    (void)closedir(dir); /* read only */
    if (rc == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        rc = -errno;
    return rc;
}

int cluster_remove_tree(const char *path, struct err *err)
{
    int rc = remove_below(AT_FDCWD, path, 0);
    return rc < 0 ? err_sys(err, rc, "removing %s", path) : 0;
}
