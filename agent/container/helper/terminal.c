/* SPDX-License-Identifier: Apache-2.0
 * terminal.c - a terminal of the container. It comes from the container's own devpts, which is checked to be one and opened
 * by descriptor: no name inside the container is followed. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <termios.h>
#include <unistd.h>

#include "agent/container/helper/child.h"
#include "common/base/cleanup.h"

static int open_master(const struct child_plan *p, struct err *err)
{
    cleanup_close int pts = open("/dev/pts", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct statfs fs;
    if (pts < 0 || fstatfs(pts, &fs) < 0)
        return err_sys(err, -errno, "terminal: /dev/pts");
    if (fs.f_type != DEVPTS_SUPER_MAGIC)
        return err_set(err, -ENOTSUP, "terminal: /dev/pts is not devpts");
    cleanup_close int master = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    /* The host's devpts lets nobody in there; its /dev is root's, so the usual name is as good. */
    if (master < 0 && errno == EACCES && !(p->isolation & LAUNCHER_MOUNT_NAMESPACE))
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (master < 0 || fstat(master, &st) < 0)
        return err_sys(err, -errno, "terminal: ptmx");
    if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(5, 2))
        return err_set(err, -ENOTSUP, "terminal: ptmx is something else");
    return steal_fd(&master);
}

static int send_master(int socket, int master)
{
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
    struct iovec part = {.iov_base = (char[]){"t"}, .iov_len = 1};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &master, sizeof(int));
    return sendmsg(socket, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int child_terminal(const struct child_plan *p, struct err *err)
{
    cleanup_close int master = open_master(p, err);
    if (master < 0)
        return master;
    int unlocked = 0;
    cleanup_close int slave = -1;
    if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0)
        return err_sys(err, -errno, "terminal: open the other end");
    if (p->user->switches && fchown(slave, p->user->uid, (gid_t)-1) < 0)
        return err_sys(err, -errno, "terminal: give to the user");
    struct winsize size = {.ws_row = (unsigned short)p->spec->rows, .ws_col = (unsigned short)p->spec->columns};
    if (p->spec->has_rows && ioctl(master, TIOCSWINSZ, &size) < 0)
        return err_sys(err, -errno, "terminal: set its size");
    int rc = send_master(p->terminal_fd, master);
    return rc < 0 ? err_sys(err, rc, "terminal: hand over") : steal_fd(&slave);
}
