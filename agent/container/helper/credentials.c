/* SPDX-License-Identifier: Apache-2.0
 * credentials.c - ids, groups and capabilities of the container's first process. Only system calls. */
#include <errno.h>
#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/container/helper/child.h"

#define BIT(cap) (UINT64_C(1) << (cap))

/* What a program run by root keeps. Left out of the usual list of container engines: NET_RAW (the network is the host's)
 * and MKNOD (no device controller stands behind it). */
static const uint64_t capabilities_of_root = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
                                             BIT(CAP_SETGID) | BIT(CAP_SETUID) | BIT(CAP_SETPCAP) |
                                             BIT(CAP_NET_BIND_SERVICE) | BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) |
                                             BIT(CAP_AUDIT_WRITE) | BIT(CAP_SETFCAP);

static int set_capabilities(uint64_t wanted)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (capget(&header, data) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        data[i].permitted &= (uint32_t)(wanted >> (32 * i));
        data[i].effective = data[i].permitted;
        data[i].inheritable = 0;
    }
    return capset(&header, data) < 0 ? -errno : 0;
}

static int drop_bounding(uint64_t keep, struct err *err)
{
    for (int cap = 0; cap < 64; cap++) {
        if (!(keep & BIT(cap)) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
            if (errno == EINVAL)
                break; /* past the last one this kernel knows */
            return err_sys(err, -errno, "capability %d: drop from the bounding set", cap);
        }
    }
    return 0;
}

static int switch_user(const struct container_user *u, struct err *err)
{
    if (setgroups(u->group_count, u->groups) < 0)
        return err_sys(err, -errno, "user: set %zu groups", u->group_count);
    if (setresgid(u->gid, u->gid, u->gid) < 0)
        return err_sys(err, -errno, "user: set gid %u", (unsigned)u->gid);
    if (setresuid(u->uid, u->uid, u->uid) < 0)
        return err_sys(err, -errno, "user: set uid %u", (unsigned)u->uid);
    return 0;
}

int child_credentials(const struct child_plan *p, struct err *err)
{
    uint64_t keep = p->user->uid == 0 && !(p->isolation & LAUNCHER_USER_NAMESPACE) ? capabilities_of_root : 0;
    bool is_privileged = geteuid() == 0 || (p->isolation & LAUNCHER_USER_NAMESPACE);
    int rc = is_privileged ? drop_bounding(keep, err) : 0; /* who has none cannot drop any, nor win any */
    if (rc < 0)
        return rc;
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_sys(err, -errno, "capabilities: clear the ambient set");
    if (p->user->switches && (rc = switch_user(p->user, err)) < 0)
        return rc;
    rc = set_capabilities(keep);
    if (rc < 0)
        return err_sys(err, rc, "capabilities: set");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_sys(err, -errno, "no_new_privs");
    return 0;
}
