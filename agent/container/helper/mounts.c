/* SPDX-License-Identifier: Apache-2.0
 * mounts.c - the file system as a container sees it: the host's, in a mount namespace of its own, with
 *
 *   /proc        fresh for the pid namespace; what is not separated by namespaces is masked or read-only
 *   /sys         read-only; of the control groups only the own ones
 *   /dev         the harmless devices, an own devpts and shm
 *   agent's folders   empty, but for the own sandbox at its usual path
 *   mounts of the spec
 *
 * The root stays the host's root mount: every mount of the namespace is our own copy, so a bind of / and pivot_root would
 * add nothing to that but a second copy of the mount tree. Sources and targets are held by descriptors (open_tree,
 * openat2, move_mount); a path is used only where nobody but root can change it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/container/helper/child.h"
#include "common/base/cleanup.h"

#ifndef CGROUP2_SUPER_MAGIC
#define CGROUP2_SUPER_MAGIC 0x63677270
#endif

static const unsigned long quiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;

static bool is_below(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

static int open_at(int dirfd, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = resolve};
    int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* A detached copy of the mounts at path, with more attributes. Returns a descriptor or a negative errno. */
static int copy_tree(int dirfd, const char *path, unsigned flags, uint64_t attributes)
{
    cleanup_close int fd = open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
    if (fd < 0)
        return -errno;
    struct mount_attr attr = {.attr_set = attributes};
    if (attributes != 0 && mount_setattr(fd, "", AT_EMPTY_PATH | (flags & AT_RECURSIVE), &attr, sizeof(attr)) < 0)
        return -errno;
    return steal_fd(&fd);
}

static int attach(int tree, int target_fd)
{
    return move_mount(tree, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0 ? -errno : 0;
}

static int attach_at(int tree, int dirfd, const char *path)
{
    return move_mount(tree, "", dirfd, path, MOVE_MOUNT_F_EMPTY_PATH) < 0 ? -errno : 0;
}

static int make_read_only(const char *path, bool recursive, struct err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    if (mount_setattr(AT_FDCWD, path, recursive ? AT_RECURSIVE : 0, &attr, sizeof(attr)) < 0)
        return err_sys(err, -errno, "mount %s: make read-only", path);
    return 0;
}

static int mask(const char *path, struct err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "mount %s: look", path);
    int rc = S_ISDIR(st.st_mode) ? mount("tmpfs", path, "tmpfs", MS_RDONLY | quiet, "size=4k,nr_inodes=2,mode=755")
                                 : mount("/dev/null", path, NULL, MS_BIND, NULL);
    return rc < 0 ? err_sys(err, -errno, "mount %s: mask", path) : 0;
}

static int freeze(const char *path, struct err *err)
{
    cleanup_close int tree = copy_tree(AT_FDCWD, path, AT_RECURSIVE, MOUNT_ATTR_RDONLY);
    if (tree == -ENOENT)
        return 0;
    int rc = tree < 0 ? tree : attach_at(tree, AT_FDCWD, path);
    return rc < 0 ? err_sys(err, rc, "mount %s: make read-only", path) : 0;
}

static int set_up_proc(bool fresh, struct err *err)
{
    static const char *const masked[] = {"/proc/acpi",          "/proc/asound",      "/proc/kcore", "/proc/keys",
                                         "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",  "/proc/timer_list"};
    static const char *const frozen[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
    if (fresh && mount("proc", "/proc", "proc", quiet, NULL) < 0)
        return err_sys(err, -errno, "mount /proc");
    struct statfs fs;
    if (statfs("/proc", &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
        return err_set(err, -ENOTSUP, "mount /proc: it is not procfs");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(masked) / sizeof(masked[0]); i++)
        rc = mask(masked[i], err);
    for (size_t i = 0; rc == 0 && i < sizeof(frozen) / sizeof(frozen[0]); i++)
        rc = freeze(frozen[i], err);
    return rc;
}

static const char cgroup_mount[] = "/sys/fs/cgroup";

/* The own groups in place of the host's tree, at the places where programs look for them. */
static int show_own_cgroups(const struct child_plan *p, struct err *err)
{
    int trees[CONTAINER_HIERARCHIES_MAX], rc = 0;
    char points[CONTAINER_HIERARCHIES_MAX][256], path[PATH_MAX];
    size_t count = 0;
    for (size_t i = 0; i < p->cgroups->count; i++) {
        const struct container_hierarchy *h = &p->cgroups->at[i];
        (void)snprintf(points[count], sizeof(points[count]), "%.*s", (int)h->mount_length, h->path);
        if (!is_below(points[count], cgroup_mount))
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", h->path, p->spec->container_id);
        trees[count] =
            copy_tree(AT_FDCWD, path, 0, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (trees[count] < 0)
            return err_sys(err, trees[count], "mount %s", path);
        count++;
    }
    bool is_alone = count == 1 && strcmp(points[0], cgroup_mount) == 0;
    if (!is_alone && mount("tmpfs", cgroup_mount, "tmpfs", quiet, "size=64k,mode=755") < 0)
        rc = err_sys(err, -errno, "mount %s", cgroup_mount);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (!is_alone && mkdir(points[i], 0755) < 0)
            rc = -errno;
        if (rc == 0)
            rc = attach_at(trees[i], AT_FDCWD, points[i]);
        if (rc < 0)
            rc = err_sys(err, rc, "mount %s", points[i]);
    }
    return rc == 0 ? make_read_only(cgroup_mount, false, err) : rc; /* the descriptors go with the exec */
}

static int set_up_sys(const struct child_plan *p, struct err *err)
{
    int rc = make_read_only("/sys", true, err);
    if (rc == 0 && access(cgroup_mount, F_OK) == 0)
        rc = show_own_cgroups(p, err);
    return rc == 0 ? mask("/sys/firmware", err) : rc;
}

/* A device node in the new /dev: made where that is allowed, otherwise the host's bound over an empty file. */
static int add_device(int dev, int host_dev, const char *name, unsigned major_number, unsigned minor_number,
                      struct err *err)
{
    if (mknodat(dev, name, S_IFCHR | 0666, makedev(major_number, minor_number)) == 0)
        return fchmodat(dev, name, 0666, 0) < 0 ? err_sys(err, -errno, "/dev/%s: mode", name) : 0;
    if (errno != EPERM)
        return err_sys(err, -errno, "/dev/%s: make", name);
    cleanup_close int tree = copy_tree(host_dev, name, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
    cleanup_close int file = openat(dev, name, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int rc = tree < 0 ? tree : file < 0 ? -errno : attach(tree, file);
    return rc < 0 ? err_sys(err, rc, "mount /dev/%s", name) : 0;
}

static int fill_dev(int dev, int host_dev, struct err *err)
{
    static const struct {
        const char *name;
        unsigned major_number, minor_number;
    } devices[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};
    static const char *const links[][2] = {{"/proc/self/fd", "fd"},
                                           {"/proc/self/fd/0", "stdin"},
                                           {"/proc/self/fd/1", "stdout"},
                                           {"/proc/self/fd/2", "stderr"},
                                           {"pts/ptmx", "ptmx"}};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(devices) / sizeof(devices[0]); i++)
        rc = add_device(dev, host_dev, devices[i].name, devices[i].major_number, devices[i].minor_number, err);
    for (size_t i = 0; rc == 0 && i < sizeof(links) / sizeof(links[0]); i++)
        if (symlinkat(links[i][0], dev, links[i][1]) < 0)
            rc = err_sys(err, -errno, "/dev/%s: make", links[i][1]);
    return rc;
}

static int set_up_dev(struct err *err)
{
    cleanup_close int host_dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (host_dev < 0)
        return err_sys(err, -errno, "/dev");
    if (mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k,mode=755") < 0)
        return err_sys(err, -errno, "mount /dev");
    cleanup_close int dev = open("/dev", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dev < 0)
        return err_sys(err, -errno, "/dev");
    int rc = fill_dev(dev, host_dev, err);
    if (rc < 0)
        return rc;
    if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0)
        return err_sys(err, -errno, "/dev/pts and /dev/shm: make");
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620") < 0)
        return err_sys(err, -errno, "mount /dev/pts");
    if (mount("tmpfs", "/dev/shm", "tmpfs", quiet, "mode=1777") < 0)
        return err_sys(err, -errno, "mount /dev/shm");
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    if (mount_setattr(dev, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
        return err_sys(err, -errno, "mount /dev: make read-only");
    return 0;
}

/* The folders of a path, made as far as they are missing. Only used inside the empty file systems of hide(). */
static int make_folders(const char *path)
{
    char part[PATH_MAX];
    if (strlen(path) >= sizeof(part))
        return -ENAMETOOLONG;
    for (const char *at = path; at != NULL;) {
        at = strchr(at + 1, '/');
        size_t len = at == NULL ? strlen(path) : (size_t)(at - path);
        memcpy(part, path, len);
        part[len] = '\0';
        if (mkdir(part, 0755) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* Is hidden folder number i inside another one? */
static bool is_covered(const Muster__Container__Spec *spec, size_t i)
{
    for (size_t k = 0; k < spec->n_hidden; k++)
        if (k != i && is_below(spec->hidden[i], spec->hidden[k]) &&
            (k < i || strcmp(spec->hidden[i], spec->hidden[k]) != 0))
            return true;
    return false;
}

/* Shows a tree at a path inside the folders that are empty now, or outside of them. */
static int show(const Muster__Container__Spec *spec, int tree, const char *path, struct err *err)
{
    bool is_inside = false;
    for (size_t i = 0; i < spec->n_hidden; i++)
        is_inside |= is_below(path, spec->hidden[i]);
    int rc = is_inside ? make_folders(path) : 0;
    if (rc == 0)
        rc = attach_at(tree, AT_FDCWD, path);
    return rc < 0 ? err_sys(err, rc, "mount %s", path) : 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int hide(const struct child_plan *p, int sandbox_tree, int visible_tree, struct err *err)
{
    const Muster__Container__Spec *spec = p->spec;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < spec->n_hidden; i++) {
        if (is_covered(spec, i))
            continue;
        if (!is_folder(spec->hidden[i]))
            rc = mask(spec->hidden[i], err);
        else if (mount("tmpfs", spec->hidden[i], "tmpfs", quiet, "size=64k,mode=755") < 0)
            rc = err_sys(err, -errno, "mount %s: hide", spec->hidden[i]);
    }
    if (rc < 0)
        return rc;
    rc = show(spec, sandbox_tree, spec->sandbox, err);
    if (rc == 0 && visible_tree >= 0)
        rc = show(spec, visible_tree, spec->visible, err);
    for (size_t i = 0; rc == 0 && i < spec->n_hidden; i++)
        if (!is_covered(spec, i) && is_folder(spec->hidden[i]))
            rc = make_read_only(spec->hidden[i], false, err);
    return rc;
}

/* Makes folder/name, a folder or an empty file of the user, unless it is there. */
static int make_target(const struct child_plan *p, int folder, const char *name, bool is_folder)
{
    if ((is_folder ? mkdirat(folder, name, 0755) : mknodat(folder, name, S_IFREG | 0644, 0)) < 0)
        return errno == EEXIST ? 0 : -errno;
    return fchownat(folder, name, p->user->uid, p->user->gid, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* Opens the target inside the sandbox and makes it, folder by folder, as far as it is missing. No link is followed: the
 * sandbox belongs to the user. */
static int open_in_sandbox(const struct child_plan *p, int sandbox, const char *target, bool is_folder, struct err *err)
{
    const uint64_t strictly = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
    char name[NAME_MAX + 1];
    int at = open_at(sandbox, ".", O_PATH | O_DIRECTORY, strictly), rc = at;
    for (const char *rest = target + strspn(target, "/"); rc >= 0 && *rest != '\0';) {
        size_t len = strcspn(rest, "/"), gap = strspn(rest + len, "/");
        bool is_last = rest[len + gap] == '\0';
        if (len > NAME_MAX) {
            rc = -ENAMETOOLONG;
            break;
        }
        memcpy(name, rest, len);
        name[len] = '\0';
        rc = make_target(p, at, name, is_folder || !is_last);
        int next = rc < 0 ? rc : open_at(at, name, O_PATH | (is_last ? 0 : O_DIRECTORY), strictly);
        (void)close(at);
        at = rc = next;
        rest += len + gap;
    }
    if (rc < 0) {
        if (at >= 0)
            (void)close(at);
        return err_sys(err, rc, "mount target %s", target);
    }
    return at;
}

static int open_target(const struct child_plan *p, int root, int sandbox, const Muster__Container__Mount *m, bool is_folder,
                       struct err *err)
{
    if (m->target[0] != '/')
        return open_in_sandbox(p, sandbox, m->target, is_folder, err);
    cleanup_close int fd = open_at(root, m->target, O_PATH, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    if (fd < 0)
        return err_sys(err, fd, "mount target %s", m->target);
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return err_sys(err, -errno, "mount target %s", m->target);
    if (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC ||
        fs.f_type == CGROUP2_SUPER_MAGIC)
        return err_set(err, -EPERM, "mount target %s: nothing may be mounted over files of the kernel", m->target);
    return steal_fd(&fd);
}

static int add_mounts(const struct child_plan *p, const int *trees, struct err *err)
{
    const Muster__Container__Spec *spec = p->spec;
    if (spec->n_mounts == 0)
        return 0;
    cleanup_close int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    cleanup_close int sandbox = open(spec->sandbox, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || sandbox < 0)
        return err_sys(err, -errno, "mount targets: open / and the sandbox");
    for (size_t i = 0; i < spec->n_mounts; i++) {
        const Muster__Container__Mount *m = spec->mounts[i];
        struct stat source, target;
        if (fstat(trees[i], &source) < 0)
            return err_sys(err, -errno, "mount source %s", m->source);
        cleanup_close int fd = open_target(p, root, sandbox, m, S_ISDIR(source.st_mode), err);
        if (fd < 0)
            return fd;
        if (fstat(fd, &target) < 0 || S_ISDIR(target.st_mode) != S_ISDIR(source.st_mode))
            return err_set(err, -EINVAL, "mount target %s: a folder and a file cannot cover each other", m->target);
        int rc = attach(trees[i], fd);
        if (rc < 0)
            return err_sys(err, rc, "mount %s on %s", m->source, m->target);
    }
    return 0;
}

/* A volume: the agent's folders lead to it, the folder itself is a task's. */
static int copy_volume(const struct child_plan *p, const Muster__Container__Mount *m, uint64_t attributes, struct err *err)
{
    cleanup_close int base = open(m->source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (base < 0)
        return err_sys(err, -errno, "volumes in %s", m->source);
    cleanup_close int fd =
        open_at(base, m->beneath, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_sys(err, fd < 0 ? fd : -errno, "volume %s in %s", m->beneath, m->source);
    bool is_given = m->has_give && (m->give == LAUNCHER_GIVE || (m->give == LAUNCHER_GIVE_FIRST && st.st_uid == 0));
    bool differs = st.st_uid != p->user->uid || st.st_gid != p->user->gid;
    if (is_given && differs && p->user->switches && fchown(fd, p->user->uid, p->user->gid) < 0)
        return err_sys(err, -errno, "volume %s: owner", m->beneath);
    int tree = copy_tree(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, attributes);
    return tree < 0 ? err_sys(err, tree, "mount volume %s", m->beneath) : tree;
}

static int copy_source(const struct child_plan *p, const Muster__Container__Mount *m, struct err *err)
{
    uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (m->read_only ? MOUNT_ATTR_RDONLY : 0);
    if (m->beneath != NULL)
        return copy_volume(p, m, attributes, err);
    int tree = copy_tree(AT_FDCWD, m->source, AT_RECURSIVE, attributes);
    return tree < 0 ? err_sys(err, tree, "mount source %s", m->source) : tree;
}

int child_mounts(const struct child_plan *p, unsigned *bit, struct err *err)
{
    const Muster__Container__Spec *spec = p->spec;
    int trees[CHILD_MOUNTS_MAX], rc;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_sys(err, -errno, "mount namespace: make private");
    /* Sources first: they may be in folders that are about to be hidden. */
    cleanup_close int sandbox = copy_tree(AT_FDCWD, spec->sandbox, 0, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    if (sandbox < 0)
        return err_sys(err, sandbox, "mount %s", spec->sandbox);
    for (size_t i = 0; i < spec->n_mounts; i++) {
        trees[i] = copy_source(p, spec->mounts[i], err);
        if (trees[i] < 0)
            return trees[i];
    }
    cleanup_close int visible = -1;
    if (spec->visible != NULL) {
        visible = copy_tree(AT_FDCWD, spec->visible, 0,
                            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (visible < 0)
            return err_sys(err, visible, "mount %s", spec->visible);
    }
    bool fresh_proc = p->isolation & LAUNCHER_PID_NAMESPACE;
    if (fresh_proc)
        *bit = LAUNCHER_PID_NAMESPACE;
    if ((rc = set_up_proc(fresh_proc, err)) < 0)
        return rc;
    *bit = LAUNCHER_MOUNT_NAMESPACE;
    if ((rc = set_up_sys(p, err)) < 0 || (rc = set_up_dev(err)) < 0 || (rc = hide(p, sandbox, visible, err)) < 0)
        return rc;
    return add_mounts(p, trees, err);
}
