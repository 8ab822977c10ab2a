/* SPDX-License-Identifier: Apache-2.0
 * zone_system.c - the zoneinfo files of the system. The one file here that makes system calls. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/cleanup.h"
#include "frameworks/cron/time/zone.h"

#define ZONEINFO "/usr/share/zoneinfo"

/* Kernels before 5.6 and some sandboxes have no openat2. The name is checked to have no ".." and not to be absolute, so
 * what is lost there is only the check of symbolic links that root has put into zoneinfo. */
static int open_beneath(int folder, const char *name)
{
    struct open_how how;
    memset(&how, 0, sizeof(how));
    how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof(how));
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = openat(folder, name, (int)how.flags);
    return fd;
}

int64_t zone_read_system(void *ctx, const char *name, uint8_t *data, size_t size)
{
    cleanup_close int folder = open(ctx != NULL ? ctx : ZONEINFO, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return -errno;
    cleanup_close int fd = open_beneath(folder, name);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EISDIR;
    size_t len = 0;
    while (len < size) {
        ssize_t n = read(fd, data + len, size - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (int64_t)len;
        len += (size_t)n;
    }
    return -EFBIG;
}
