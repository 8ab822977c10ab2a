/* SPDX-License-Identifier: Apache-2.0
 * image.c - the helper's bytes and the memory file they are executed from. Sealed: a container whose init or executor it
 * is can open /proc/<pid>/exe, but nobody can write to it (CVE-2019-5736, CVE-2019-0204). */
#include "agent/container/image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

__asm__(".pushsection .rodata\n"
        ".balign 16\n"
        "container_image_begin: .incbin \"" MUSTER_HELPER_IMAGE "\"\n"
        "container_image_end: .byte 0\n"
        ".popsection\n");
extern const char container_image_begin[], container_image_end[];

int container_image_open(struct err *err)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    cleanup_close int fd = memfd_create("muster-helper", flags | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) /* a kernel before 6.3 knows no MFD_EXEC */
        fd = memfd_create("muster-helper", flags);
    if (fd < 0)
        return err_sys(err, -errno, "memory file of the helper");
    const char *at = container_image_begin;
    while (at < container_image_end) {
        ssize_t n = write(fd, at, (size_t)(container_image_end - at));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(err, -errno, "memory file of the helper: write");
        at += n;
    }
    if (fchmod(fd, 0555) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_sys(err, -errno, "memory file of the helper: seal");
    return steal_fd(&fd);
}
