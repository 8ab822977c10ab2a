/* SPDX-License-Identifier: Apache-2.0
 * seccomp.c - which system calls containers do without. A list of what is refused, not of what is allowed: programs of
 * this world were never written against a filter, a forgotten harmless call would break them, and capabilities, namespaces
 * and no_new_privs stand in the way of most of this already. Refused are calls that act on the whole machine, that make
 * new namespaces or mounts (with them a process gets capabilities back), and those whose only use inside a container has
 * been attacks on the kernel. ptrace is allowed: it reaches only processes of the same container, and debuggers need it. */
#include "agent/container/seccomp.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/base/cleanup.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

static const int refused[] = {
    /* the kernel itself */
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(create_module),
    SCMP_SYS(query_module),
    SCMP_SYS(get_kernel_syms),
    SCMP_SYS(reboot),
    SCMP_SYS(syslog),
    SCMP_SYS(_sysctl),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(uselib),
    SCMP_SYS(ustat),
    SCMP_SYS(sysfs),
    SCMP_SYS(kcmp),
    SCMP_SYS(fanotify_init),
    /* mounts and namespaces; clone and unshare by their flags, below */
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(setns),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    /* swap, quotas, accounting, clocks, ports */
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(stime),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_settime64),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(clock_adjtime64),
    SCMP_SYS(adjtimex),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(vm86),
    SCMP_SYS(vm86old),
    SCMP_SYS(vhangup),
    /* keyrings are not separated by namespaces */
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    /* wide surface, little use */
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
};

static const uint64_t namespace_flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
                                           CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP, CLONE_NEWTIME};

static int add_rules(scmp_filter_ctx filter)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < sizeof(refused) / sizeof(refused[0]); i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    for (size_t i = 0; rc == 0 && i < sizeof(namespace_flags) / sizeof(namespace_flags[0]); i++) {
        uint64_t flag = namespace_flags[i];
        /* In clone the lowest byte is a signal, which CLONE_NEWTIME overlaps; there the kernel refuses it itself. */
        if (flag != CLONE_NEWTIME)
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
        if (rc == 0)
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(unshare), 1,
                                  SCMP_A0(SCMP_CMP_MASKED_EQ, flag, flag));
    }
    /* The flags of clone3 are in memory, out of reach; libraries fall back to clone when it does not exist. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    /* Input for a terminal that is shared with somebody outside. */
    if (rc == 0)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffffU, TIOCSTI));
    return rc;
}

static int export_filter(scmp_filter_ctx filter, struct buf *out)
{
    cleanup_close int fd = memfd_create("muster-seccomp", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int rc = seccomp_export_bpf(filter, fd);
    if (rc < 0)
        return rc;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return -errno;
    for (;;) {
        uint8_t *room = buf_reserve(out, 4096);
        if (room == NULL)
            return -ENOBUFS;
        ssize_t n = read(fd, room, 4096);
        if (n <= 0)
            return n < 0 ? -errno : 0;
        buf_commit(out, (size_t)n);
    }
}

int container_seccomp_compile(struct buf *out, struct err *err)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return err_set(err, -ENOMEM, "seccomp: no filter for this machine");
    /* Calls of an architecture that the filter does not know are refused, not let through. */
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS));
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
#ifdef __x86_64__
    if (rc == 0)
        rc = seccomp_arch_add(filter, SCMP_ARCH_X86); /* 32-bit programs run, under the same rules */
#endif
    if (rc == 0)
        rc = add_rules(filter);
    if (rc == 0)
        rc = export_filter(filter, out);
    seccomp_release(filter);
    return rc < 0 ? err_sys(err, rc, "seccomp: compile the filter") : 0;
}
