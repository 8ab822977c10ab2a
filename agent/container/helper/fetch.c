/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/container/helper/child.h"
#include "agent/container/helper/helper.h"
#include "common/base/cleanup.h"

/* The sandbox may hold what was unpacked before: links in it are never followed, and nothing leads out of it. */
static int open_in_sandbox(int sandbox_fd, const char *path, uint64_t flags, uint64_t mode)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, sandbox_fd, path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* The folders on the way to `path`. */
static int make_folders(int sandbox_fd, const char *path, struct err *err)
{
    char part[PATH_MAX];
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        size_t len = (size_t)(slash - path);
        memcpy(part, path, len);
        part[len] = '\0';
        cleanup_close int there = open_in_sandbox(sandbox_fd, part, O_PATH | O_DIRECTORY, 0);
        if (there >= 0)
            continue;
        char *last = strrchr(part, '/');
        const char *name = last == NULL ? part : last + 1;
        if (last != NULL)
            *last = '\0';
        cleanup_close int parent = open_in_sandbox(sandbox_fd, last == NULL ? "." : part, O_PATH | O_DIRECTORY, 0);
        if (parent < 0 || mkdirat(parent, name, 0755) < 0)
            return err_sys(err, parent < 0 ? parent : -errno, "output file %s: make folders", path);
    }
    return 0;
}

static const char *base_name(const char *value)
{
    const char *slash = strrchr(value, '/');
    return slash == NULL ? value : slash + 1;
}

/* Where the URI goes, relative to the sandbox. */
static int target_of(const Muster__Container__Uri *uri, const char **out, struct err *err)
{
    const char *path = uri->output_file != NULL ? uri->output_file : base_name(uri->value);
    if (*path == '\0' || *path == '/' || strlen(path) >= PATH_MAX)
        return err_set(err, -EINVAL, "bad output file \"%s\"", path);
    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        size_t len = strcspn(at, "/");
        if (len == 0 || (len == 1 && at[0] == '.') || (len == 2 && at[0] == '.' && at[1] == '.'))
            return err_set(err, -EINVAL, "bad output file \"%s\"", path);
    }
    *out = path;
    return 0;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n > k && strcasecmp(s + n - k, suffix) == 0;
}

static bool is_archive(const char *name)
{
    static const char *const suffixes[] = {".tar", ".tgz",    ".tar.gz", ".tbz2", ".tar.bz2",
                                           ".txz", ".tar.xz", ".zip",    ".gz"};
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (ends_with(name, suffixes[i]))
            return true;
    return false;
}

static bool has_scheme(const char *value, const char *scheme)
{
    return strncasecmp(value, scheme, strlen(scheme)) == 0;
}

/* NULL: not a local file. */
static const char *local_path(const char *value)
{
    if (value[0] == '/')
        return value;
    if (has_scheme(value, "file:///"))
        return value + strlen("file://");
    if (has_scheme(value, "file://localhost/"))
        return value + strlen("file://localhost");
    return NULL;
}

static int copy_file(const char *path, int to, int64_t bytes_max, struct err *err)
{
    cleanup_close int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    if (from < 0 || fstat(from, &st) < 0)
        return err_sys(err, -errno, "open");
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "not a regular file");
    int64_t total = 0;
    for (;;) {
        ssize_t n = sendfile(to, from, NULL, 1 << 20);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "copy");
        if (n == 0)
            return 0;
        total += n;
        if (total > bytes_max)
            return err_set(err, -EFBIG, "more than %lld bytes", (long long)bytes_max);
    }
}

static void strip_line(char *text)
{
    for (size_t n = strlen(text); n > 0 && (text[n - 1] == '\n' || text[n - 1] == ' '); n--)
        text[n - 1] = '\0';
}

/* Runs `PROGRAM fetch <what> <argument>` and waits; the reason of a failure is what it says on its standard error. */
static int run_program(const char *what, const char *argument, int in, int out, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe");
    pid_t pid = fork();
    if (pid == 0) {
        char *argv[] = {(char *)"muster", (char *)"fetch", (char *)what, (char *)argument, NULL};
        char *envp[] = {(char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* its argument is valid */
        if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(ends[1], 2) < 0)
            _exit(126);
        (void)syscall(SYS_execveat, HELPER_FD_FETCH, "", argv, envp, AT_EMPTY_PATH);
        dprintf(2, "cannot execute the fetcher: %s\n", strerror(errno));
        _exit(126);
    }
    (void)close(ends[1]);
    cleanup_close int from = ends[0];
    if (pid < 0)
        return err_sys(err, -errno, "fork");
    char text[FETCH_TEXT_MAX] = "", more[256];
    size_t used = 0;
    ssize_t n;
    while ((n = read(from, more, sizeof(more))) > 0) {
        size_t fits = (size_t)n < sizeof(text) - 1 - used ? (size_t)n : sizeof(text) - 1 - used;
        memcpy(text + used, more, fits); /* the rest is read and dropped: the writer must not block */
        used += fits;
    }
    text[used] = '\0';
    strip_line(text);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        return err_sys(err, -errno, "wait for the fetcher");
    if (WIFSIGNALED(status))
        return err_set(err, -ECANCELED, "%s was killed by signal %d", what, WTERMSIG(status));
    return WEXITSTATUS(status) == 0 ? 0 : err_set(err, -EIO, "%s", *text != '\0' ? text : what);
}

static int get_content(const Muster__Container__Spec *spec, const Muster__Container__Uri *uri, int to, struct err *err)
{
    const char *path = local_path(uri->value);
    if (path != NULL)
        return copy_file(path, to, spec->fetch_bytes_max, err);
    if (has_scheme(uri->value, "http://") || has_scheme(uri->value, "https://") || has_scheme(uri->value, "ftp://") ||
        has_scheme(uri->value, "ftps://"))
        return run_program("download", uri->value, STDIN_FILENO, to, err);
    return err_set(err, -EPROTONOSUPPORT, "only absolute paths and file, http, https, ftp, ftps URIs can be fetched");
}

static int fetch_one(const Muster__Container__Spec *spec, const Muster__Container__Uri *uri, int sandbox_fd,
                     struct err *err)
{
    const char *target = NULL;
    int rc = target_of(uri, &target, err);
    if (rc == 0)
        rc = make_folders(sandbox_fd, target, err);
    if (rc < 0)
        return rc;
    cleanup_close int to = open_in_sandbox(sandbox_fd, target, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (to < 0)
        return err_sys(err, to, "output file %s", target);
    rc = get_content(spec, uri, to, err);
    if (rc == 0 && uri->executable && fchmod(to, 0755) < 0)
        return err_sys(err, -errno, "output file %s: make executable", target);
    if (rc < 0 || uri->executable || !uri->extract || !is_archive(target))
        return rc;
    if (lseek(to, 0, SEEK_SET) < 0)
        return err_sys(err, -errno, "output file %s", target);
    return run_program("extract", base_name(target), to, STDOUT_FILENO, err);
}

static int become_user(const Muster__Container__Spec *spec, const struct container_user *user, struct err *err)
{
    struct rlimit size = {.rlim_cur = (rlim_t)spec->fetch_bytes_max, .rlim_max = (rlim_t)spec->fetch_bytes_max};
    struct rlimit none = {0};
    if (setrlimit(RLIMIT_FSIZE, &size) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
        return err_sys(err, -errno, "limit the size of files");
    /* As in the container, but root keeps nothing: its own files it can write anyway. */
    struct child_plan p = {.user = user, .isolation = LAUNCHER_USER_NAMESPACE};
    if (geteuid() != 0)
        p.isolation = 0;
    int rc = child_credentials(&p, err);
    if (rc == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) /* a change of ids clears it */
        return err_sys(err, -errno, "parent death signal");
    return rc;
}

static int run(const Muster__Container__Spec *spec, const struct container_user *user, int sandbox_fd, struct err *err)
{
    int rc = become_user(spec, user, err);
    if (rc == 0 && fchdir(sandbox_fd) < 0)
        rc = err_sys(err, -errno, "enter the sandbox");
    for (size_t i = 0; rc == 0 && i < spec->n_uris; i++) {
        rc = fetch_one(spec, spec->uris[i], sandbox_fd, err);
        if (rc < 0)
            return err_wrap(err, rc, "fetch %s", spec->uris[i]->value);
        dprintf(STDERR_FILENO, "Fetched %s\n", spec->uris[i]->value);
    }
    return rc;
}

pid_t fetch_start(const Muster__Container__Spec *spec, const struct container_user *user, int sandbox_fd, int stderr_fd,
                  int *report_fd, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(err, -errno, "pipe of the fetcher");
    pid_t pid = fork();
    if (pid == 0) {
        struct err why = {.text = ""};
        sigset_t none;
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)signal(SIGXFSZ, SIG_IGN); /* a write error says it better */
        (void)setsid();
        (void)umask(022);
        if (dup2(stderr_fd, STDERR_FILENO) >= 0 && run(spec, user, sandbox_fd, &why) == 0)
            _exit(0);
        dprintf(STDERR_FILENO, "%s\n", why.text);
        if (write(ends[1], why.text, strlen(why.text)) < 0)
            _exit(2);
        _exit(1);
    }
    (void)close(ends[1]);
    if (pid < 0) {
        int rc = -errno;
        (void)close(ends[0]);
        return err_sys(err, rc, "fork for the fetcher");
    }
    *report_fd = ends[0];
    return pid;
}
