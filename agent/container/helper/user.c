/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/container/helper/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int find_ids(const char *name, struct container_user *out, struct err *err)
{
    FILE *f = fopen("/etc/passwd", "re");
    if (f == NULL)
        return err_sys(err, -errno, "user %s: /etc/passwd", name);
    struct passwd *p;
    while ((p = fgetpwent(f)) != NULL && strcmp(p->pw_name, name) != 0)
        ;
    if (p != NULL) {
        out->uid = p->pw_uid;
        out->gid = p->pw_gid;
    }
    (void)fclose(f);
    return p == NULL ? err_set(err, -ENOENT, "user %s: not in /etc/passwd", name) : 0;
}

static int find_groups(const char *name, struct container_user *out, struct err *err)
{
    FILE *f = fopen("/etc/group", "re");
    if (f == NULL)
        return errno == ENOENT ? 0 : err_sys(err, -errno, "user %s: /etc/group", name);
    int rc = 0;
    struct group *g;
    while (rc == 0 && (g = fgetgrent(f)) != NULL) {
        bool is_member = false;
        for (char **m = g->gr_mem; *m != NULL; m++)
            is_member |= strcmp(*m, name) == 0;
        if (!is_member || g->gr_gid == out->gid)
            continue;
        if (out->group_count == CONTAINER_GROUPS_MAX)
            rc = err_set(err, -E2BIG, "user %s: more than %d groups", name, CONTAINER_GROUPS_MAX);
        else
            out->groups[out->group_count++] = g->gr_gid;
    }
    (void)fclose(f);
    return rc;
}

int container_user_find(const char *name, struct container_user *out, struct err *err)
{
    out->uid = geteuid();
    out->gid = getegid();
    out->group_count = 0;
    out->switches = false;
    if (name == NULL)
        return 0;
    int rc = find_ids(name, out, err);
    if (rc < 0)
        return rc;
    if (geteuid() != 0) {
        if (out->uid == geteuid())
            return 0;
        return err_set(err, -EPERM, "user %s: only an agent run by root can switch users, this one runs as uid %u", name,
                       (unsigned)geteuid());
    }
    out->switches = true;
    return find_groups(name, out, err);
}
