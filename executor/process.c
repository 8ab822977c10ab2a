/* SPDX-License-Identifier: Apache-2.0
 * process.c - see process.h. */
#include "executor/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"

/* -- the user --------------------------------------------------------------------------------------------------- */

#define GROUPS_MAX 64

struct identity {
    bool is_switched;
    uid_t uid;
    gid_t gid;
    gid_t groups[GROUPS_MAX];
    size_t group_count;
};

/* The files are read by hand: name services need shared libraries, and we are linked statically. */
static bool read_passwd(const char *user, struct identity *identity)
{
    FILE *file = fopen("/etc/passwd", "re");
    bool found = false;
    if (!file)
        return false;
    for (struct passwd *entry; !found && (entry = fgetpwent(file)) != NULL;)
        if (strcmp(entry->pw_name, user) == 0) {
            identity->uid = entry->pw_uid;
            identity->gid = entry->pw_gid;
            found = true;
        }
    (void)fclose(file); /* was only read */
    return found;
}

static void read_groups(const char *user, struct identity *identity)
{
    identity->groups[identity->group_count++] = identity->gid;
    FILE *file = fopen("/etc/group", "re");
    if (!file)
        return;
    for (struct group *entry; identity->group_count < GROUPS_MAX && (entry = fgetgrent(file)) != NULL;)
        for (char **member = entry->gr_mem; *member; member++)
            if (strcmp(*member, user) == 0 && entry->gr_gid != identity->gid) {
                identity->groups[identity->group_count++] = entry->gr_gid;
                break;
            }
    (void)fclose(file); /* was only read */
}

static int find_identity(const char *user, struct identity *identity, struct err *err)
{
    int64_t number;
    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (!user || !user[0])
        return 0;
    struct identity wanted = {0};
    bool found = read_passwd(user, &wanted);
    if (!found && text_to_int64(user, &number) == 0 && number >= 0 && number < UINT32_MAX) {
        wanted.uid = (uid_t)number;
        wanted.gid = (gid_t)number;
        found = true;
    }
    if (geteuid() != 0) {
        /* The container was started for a user already, maybe for one that its image has no name for. */
        if (!found || wanted.uid == geteuid())
            return 0;
        return err_set(err, -EPERM, "user %.64s: only root can switch to another user", user);
    }
    if (!found)
        return err_set(err, -ENOENT, "user %.64s does not exist", user);
    if (wanted.uid == 0)
        return 0;
    *identity = wanted;
    identity->is_switched = true;
    read_groups(user, identity);
    return 0;
}

/* -- directories ------------------------------------------------------------------------------------------------ */

/* Opens `relative` below the directory, making what is missing. Never through a symbolic link: tasks can write there. */
static int open_below(int base, const char *relative, struct err *err)
{
    cleanup_close int at = fcntl(base, F_DUPFD_CLOEXEC, 3);
    if (at < 0)
        return err_sys(err, -errno, "duplicate a descriptor");
    while (*relative) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(relative, "/");
        if (len == 0) {
            relative++;
            continue;
        }
        if (len > NAME_MAX)
            return err_set(err, -ENAMETOOLONG, "directory name is too long: %.100s", relative);
        memcpy(name, relative, len);
        name[len] = '\0';
        relative += len;
        if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
            return err_sys(err, -errno, "make directory %s", name);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            return err_sys(err, -errno, "open directory %s", name);
        (void)close(at); /* a directory: nothing to lose */
        at = next;
    }
    return steal_fd(&at);
}

static int open_output(int directory, const char *name, const struct identity *identity, struct err *err)
{
    cleanup_close int fd = openat(directory, name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, 0644);
    if (fd < 0)
        return err_sys(err, -errno, "open %s", name);
    if (identity->is_switched && fchown(fd, identity->uid, identity->gid) < 0)
        return err_sys(err, -errno, "change the owner of %s", name);
    return steal_fd(&fd);
}

static int make_link(int sandbox, const char *relative, const char *target, struct err *err)
{
    const char *name = strrchr(relative, '/');
    char folder[NAME_MAX + 1];
    if (!name || (size_t)(name - relative) >= sizeof(folder))
        return err_set(err, -EINVAL, "link %.100s is not in a folder of the sandbox", relative);
    memcpy(folder, relative, (size_t)(name - relative));
    folder[name - relative] = '\0';
    cleanup_close int directory = open_below(sandbox, folder, err);
    if (directory < 0)
        return directory;
    if (symlinkat(target, directory, name + 1) < 0 && errno != EEXIST)
        return err_sys(err, -errno, "make link %s", relative);
    return 0;
}

/* What follows the sandbox's path, NULL when path is not below it. */
static const char *below(const char *sandbox, const char *path)
{
    size_t len = strlen(sandbox);
    if (strncmp(path, sandbox, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return NULL;
    return path[len] == '/' ? path + len + 1 : path + len;
}

struct places {
    int directory, in, out, error; /* out and error -1: inherited */
    bool is_terminal;              /* in, out and error are our container's terminal, which becomes the program's own */
};

static void close_places(struct places *p)
{
    cleanup_close_fn(&p->directory);
    cleanup_close_fn(&p->in);
    cleanup_close_fn(&p->out);
    cleanup_close_fn(&p->error);
}

/* Our standard output is a terminal when the task asked for one. We have no other use for it. */
static int take_terminal(struct places *p, struct err *err)
{
    p->in = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    p->out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    p->error = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    p->is_terminal = true;
    return p->in < 0 || p->out < 0 || p->error < 0 ? err_sys(err, -errno, "the terminal") : 0;
}

static int open_places(const char *sandbox, const struct executor_command *command, bool is_task, const char *link,
                       const char *link_target, const struct identity *identity, struct places *p, struct err *err)
{
    *p = (struct places){-1, -1, -1, -1, false};
    const char *relative = below(sandbox, command->directory);
    const char *relative_link = link ? below(sandbox, link) : NULL;
    if (!relative || (link && !relative_link))
        return err_set(err, -EINVAL, "%.200s is not below the sandbox", command->directory);
    cleanup_close int base = open(sandbox, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return err_sys(err, -errno, "open sandbox %.200s", sandbox);
    p->directory = open_below(base, relative, err);
    if (p->directory < 0)
        return p->directory;
    if (is_task && !command->own_output && isatty(STDOUT_FILENO))
        return take_terminal(p, err);
    p->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (p->in < 0)
        return err_sys(err, -errno, "open /dev/null");
    if (!command->own_output)
        return 0;
    if (identity->is_switched && fchown(p->directory, identity->uid, identity->gid) < 0)
        return err_sys(err, -errno, "change the owner of %.200s", command->directory);
    p->out = open_output(p->directory, "stdout", identity, err);
    if (p->out < 0)
        return p->out;
    p->error = open_output(p->directory, "stderr", identity, err);
    if (p->error < 0)
        return p->error;
    return link ? make_link(base, relative_link, link_target, err) : 0;
}

static void close_pipes(struct executor_pipes *pipes)
{
    for (int i = 0; i < 2; i++) {
        cleanup_close_fn(&pipes->pipe[i]);
        cleanup_close_fn(&pipes->directory[i]);
        cleanup_close_fn(&pipes->file[i]);
        pipes->pipe[i] = pipes->directory[i] = pipes->file[i] = -1;
    }
}

/* Puts a pipe in front of an open file: *end becomes the end for the child. */
static int insert_pipe(const struct places *p, const struct identity *identity, int *end, int i,
                       struct executor_pipes *pipes, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "make a pipe");
    pipes->file[i] = *end;
    pipes->pipe[i] = ends[0];
    *end = ends[1];
    pipes->directory[i] = fcntl(p->directory, F_DUPFD_CLOEXEC, 3);
    /* The child may open /dev/stdout: that asks for the owner of the pipe. */
    if (pipes->directory[i] < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ||
        (identity->is_switched && fchown(ends[1], identity->uid, identity->gid) < 0))
        return err_sys(err, -errno, "prepare a pipe");
    return 0;
}

static int insert_pipes(struct places *p, const struct identity *identity, struct executor_pipes *pipes, struct err *err)
{
    if (!pipes || p->out < 0 || p->is_terminal)
        return 0;
    int result = insert_pipe(p, identity, &p->out, 0, pipes, err);
    return result < 0 ? result : insert_pipe(p, identity, &p->error, 1, pipes, err);
}

/* -- program and environment ------------------------------------------------------------------------------------ */

struct image {
    struct arena *arena;
    char **argv, **envp;
    char **paths; /* tried in turn; NULL-terminated */
};

static const char *path_variable(const struct executor_command *command)
{
    for (size_t i = 0; i < command->env_count; i++)
        if (strcmp(command->env[i].name, "PATH") == 0)
            return command->env[i].value;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static void list_paths(struct image *image, const struct executor_command *command)
{
    const char *program = command->program;
    const char *path = path_variable(command);
    size_t count = 1, filled = 0;
    for (const char *c = path; *c; c++)
        count += *c == ':';
    image->paths = arena_new_array(image->arena, char *, count + 1);
    if (strchr(program, '/')) {
        image->paths[0] = arena_strdup(image->arena, program);
        return;
    }
    while (filled < count) {
        size_t len = strcspn(path, ":");
        image->paths[filled++] = len ? arena_printf(image->arena, "%.*s/%s", (int)len, path, program)
                                     : arena_printf(image->arena, "./%s", program);
        path += len + (path[len] == ':');
    }
}

static void build_image(struct image *image, const struct executor_command *command)
{
    size_t argc = 0;
    image->envp = arena_new_array(image->arena, char *, command->env_count + 1);
    for (size_t i = 0; i < command->env_count; i++)
        image->envp[i] = arena_printf(image->arena, "%s=%s", command->env[i].name, command->env[i].value);
    if (command->shell) {
        image->paths = arena_new_array(image->arena, char *, 2);
        image->paths[0] = arena_strdup(image->arena, "/bin/sh");
        image->argv = arena_new_array(image->arena, char *, 4);
        image->argv[0] = arena_strdup(image->arena, "sh");
        image->argv[1] = arena_strdup(image->arena, "-c");
        image->argv[2] = (char *)command->shell;
        return;
    }
    while (command->argv[argc])
        argc++;
    image->argv = arena_new_array(image->arena, char *, argc + 1);
    for (size_t i = 0; i < argc; i++)
        image->argv[i] = (char *)command->argv[i];
    list_paths(image, command);
}

/* -- fork and exec ---------------------------------------------------------------------------------------------- */

enum child_stage { CHILD_SESSION, CHILD_OUTPUT, CHILD_USER, CHILD_DIRECTORY, CHILD_EXEC };

static const char *const child_stages[] = {"make a session", "connect the output", "switch the user", "enter the directory",
                                           "execute"};

struct child {
    const struct image *image;
    const struct places *places;
    const struct identity *identity;
    volatile enum child_stage stage;
    volatile int error;
};

_Noreturn static void fail_child(struct child *child, enum child_stage stage)
{
    child->stage = stage;
    child->error = errno;
    _exit(127);
}

/* Raw system calls: the library's versions tell all threads, and here the threads' memory is the parent's. */
static void switch_user(struct child *child)
{
    const struct identity *identity = child->identity;
    if (!identity->is_switched)
        return;
    if (syscall(SYS_setgroups, identity->group_count, identity->groups) < 0 ||
        syscall(SYS_setresgid, identity->gid, identity->gid, identity->gid) < 0 ||
        syscall(SYS_setresuid, identity->uid, identity->uid, identity->uid) < 0)
        fail_child(child, CHILD_USER);
}

/* Runs on the parent's memory until exec: async-signal-safe calls only. */
_Noreturn static void run_child(struct child *child)
{
    const struct places *places = child->places;
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int signo = 1; signo < NSIG; signo++)
        (void)sigaction(signo, &standard, NULL); /* SIGKILL, SIGSTOP and the library's own refuse */
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || setsid() < 0)
        fail_child(child, CHILD_SESSION);
    if (dup2(places->in, 0) < 0 || (places->out >= 0 && dup2(places->out, 1) < 0) ||
        (places->error >= 0 && dup2(places->error, 2) < 0))
        fail_child(child, CHILD_OUTPUT);
    if (places->is_terminal && ioctl(0, TIOCSCTTY, 0) < 0)
        fail_child(child, CHILD_OUTPUT);
    (void)syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC); /* old kernels: ours are close-on-exec by birth */
    /* As the user, who may have rights on the directory that we have not. */
    switch_user(child);
    if (fchdir(places->directory) < 0)
        fail_child(child, CHILD_DIRECTORY);
    int error = ENOENT;
    for (char **path = child->image->paths; *path; path++) {
        (void)execve(*path, child->image->argv, child->image->envp);
        if (errno != ENOENT && errno != ENOTDIR)
            error = errno;
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES)
            break;
    }
    errno = error;
    fail_child(child, CHILD_EXEC);
}

static pid_t spawn(struct child *child)
{
    sigset_t all, before;
    sigfillset(&all);
    /* No handler of ours may run in the child while it uses our memory. */
    if (sigprocmask(SIG_SETMASK, &all, &before) < 0)
        return -1;
    pid_t pid = vfork();
    if (pid == 0)
        run_child(child);
    int error = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL); /* cannot fail: the set was given by the kernel */
    errno = error;
    return pid;
}

int executor_process_start(const char *sandbox, const struct executor_command *command, const char *link,
                           const char *link_target, pid_t *pid, struct executor_pipes *pipes, struct err *err)
{
    struct identity identity;
    struct places places;
    struct executor_pipes none = {{-1, -1}, {-1, -1}, {-1, -1}};
    if (pipes)
        *pipes = none;
    int result = find_identity(command->user, &identity, err);
    if (result < 0)
        return result;
    result = open_places(sandbox, command, pipes != NULL, link, link_target, &identity, &places, err);
    if (result == 0)
        result = insert_pipes(&places, &identity, pipes, err);
    if (result < 0) {
        close_places(&places);
        if (pipes)
            close_pipes(pipes);
        return result;
    }
    struct image image = {.arena = arena_new(0)};
    build_image(&image, command);
    struct child child = {.image = &image, .places = &places, .identity = &identity};
    pid_t started = spawn(&child);
    if (started < 0) {
        result = err_sys(err, -errno, "fork");
    } else if (child.error != 0) {
        result = err_sys(err, -child.error, "%s %.200s", child_stages[child.stage],
                         child.stage == CHILD_EXEC ? (command->shell ? "/bin/sh" : command->program) : command->directory);
        while (waitpid(started, NULL, 0) < 0 && errno == EINTR)
            ; /* it has ended already */
    } else {
        *pid = started;
    }
    arena_free(image.arena);
    close_places(&places);
    if (result < 0 && pipes)
        close_pipes(pipes);
    return result;
}

/* -- signals ---------------------------------------------------------------------------------------------------- */

struct entry {
    pid_t pid, parent, session;
    bool is_zombie, is_marked, is_kept;
};

/* "pid (name) state ppid pgrp session ...": the name may contain anything, also ')'. */
static bool read_entry(const char *name, struct entry *entry)
{
    char path[64], text[512];
    int64_t pid;
    if (text_to_int64(name, &pid) < 0)
        return false;
    (void)snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid); /* fits */
    cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (len <= 0)
        return false; /* ended meanwhile */
    text[len] = '\0';
    const char *rest = strrchr(text, ')');
    char state;
    int parent, group, session;
    if (!rest || sscanf(rest + 1, " %c %d %d %d", &state, &parent, &group, &session) != 4)
        return false;
    *entry = (struct entry){.pid = (pid_t)pid, .parent = parent, .session = session, .is_zombie = state == 'Z'};
    return true;
}

/* In a pid namespace that still sees the /proc of another one the numbers there mean other processes. */
static bool proc_is_ours(void)
{
    char text[32];
    int64_t pid;
    ssize_t len = readlink("/proc/self", text, sizeof(text) - 1);
    if (len <= 0)
        return false;
    text[len] = '\0';
    return text_to_int64(text, &pid) == 0 && pid == getpid();
}

static size_t read_processes(struct entry **list)
{
    size_t count = 0, capacity = 0;
    *list = NULL;
    DIR *directory = proc_is_ours() ? opendir("/proc") : NULL;
    if (!directory)
        return 0;
    for (struct dirent *item; (item = readdir(directory)) != NULL;) {
        struct entry entry;
        if (item->d_name[0] < '0' || item->d_name[0] > '9' || !read_entry(item->d_name, &entry))
            continue;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 64;
            *list = xrealloc(*list, capacity * sizeof(**list));
        }
        (*list)[count++] = entry;
    }
    (void)closedir(directory); /* was only read */
    return count;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static struct entry *find_entry(struct entry *list, size_t count, pid_t pid)
{
    struct entry key = {.pid = pid};
    return count ? bsearch(&key, list, count, sizeof(*list), compare_entries) : NULL;
}

/* Marks everything with a marked ancestor. Each pass goes one generation deeper. */
static void mark_descendants(struct entry *list, size_t count)
{
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        for (size_t i = 0; i < count; i++) {
            struct entry *parent = list[i].is_marked || list[i].is_kept ? NULL : find_entry(list, count, list[i].parent);
            if (parent && parent->is_marked)
                list[i].is_marked = is_changed = true;
        }
    }
}

/* Returns how many were alive. */
static size_t signal_once(pid_t root, int signo, bool everything, const pid_t *keep, size_t keep_count)
{
    struct entry *list;
    size_t count = read_processes(&list), alive = 0;
    pid_t me = getpid();
    if (count > 0)
        qsort(list, count, sizeof(*list), compare_entries);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < keep_count; k++)
            list[i].is_kept = list[i].is_kept || list[i].session == keep[k];
        list[i].is_marked =
            !list[i].is_kept && list[i].pid != me &&
            ((root > 0 && (list[i].pid == root || list[i].session == root)) || (everything && list[i].parent == me));
    }
    mark_descendants(list, count);
    for (size_t i = 0; i < count; i++) {
        if (!list[i].is_marked || list[i].is_zombie || list[i].pid == me)
            continue;
        alive++;
        (void)kill(list[i].pid, signo); /* it may have ended meanwhile */
        if (signo == SIGTERM)
            (void)kill(list[i].pid, SIGCONT); /* a stopped process would not see it */
    }
    free(list);
    return alive;
}

void executor_process_signal(pid_t root, int signo, bool everything, const pid_t *keep, size_t keep_count)
{
    if (everything && getpid() == 1) {
        (void)kill(-1, signo); /* ESRCH: nothing there */
        if (signo == SIGTERM)
            (void)kill(-1, SIGCONT);
        return;
    }
    size_t alive = signal_once(root, signo, everything, keep, keep_count);
    if (alive == 0 && root > 0)
        (void)kill(-root, signo); /* without /proc the process group is all we know */
    /* What forked between reading and killing: look again, a few times. The caller repeats SIGKILL later anyway. */
    for (int pass = 0; signo == SIGKILL && alive > 0 && pass < 4; pass++)
        alive = signal_once(root, signo, everything, keep, keep_count);
}
