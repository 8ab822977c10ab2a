/* SPDX-License-Identifier: Apache-2.0
 * sweep.c - stands in for a supervisor that vanished (killed, or the machine was restarted): ends what it left running,
 * removes its groups and writes that the container is lost. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/container/helper/helper.h"
#include "agent/container/helper/spec.h"
#include "agent/container/shared/process.h"
#include "agent/container/shared/record.h"
#include "common/base/cleanup.h"
#include "common/port/launcher.h"

enum { TIMEOUT_MS = 10000 };

static void end_init(const Muster__Container__State *state)
{
    char boot_id[CONTAINER_BOOT_ID_SIZE];
    if (state == NULL || !state->has_init_pid || container_boot_id(boot_id) < 0 || strcmp(boot_id, state->boot_id) != 0)
        return;
    cleanup_close int fd = container_process_open(state->init_pid, state->init_start);
    if (fd < 0 || container_pidfd_signal(fd, SIGKILL) < 0)
        return;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    (void)poll(&p, 1, TIMEOUT_MS); /* the groups tell in the end whether something is left */
}

int container_sweep_main(void)
{
    struct err err = {.text = ""};
    (void)prctl(PR_SET_NAME, "muster-sweep");
    Muster__Container__Spec *spec = helper_spec_read(&err);
    if (spec == NULL)
        return 1;
    Muster__Container__End *before = container_record_read_end(HELPER_FD_DIRECTORY);
    if (before != NULL)
        return 0; /* it had finished after all */
    Muster__Container__State *state = container_record_read_state(HELPER_FD_DIRECTORY);
    end_init(state);
    struct container_cgroups cgroups;
    helper_spec_cgroups(spec, &cgroups);
    const char *group = spec->container_id;
    char leaf[CONTAINER_LEAF_SIZE];
    if (state != NULL && state->parent != NULL) {
        struct container_cgroups all = cgroups;
        container_cgroups_inner(&all, state->parent, spec->container_id, &cgroups, leaf);
        group = leaf;
    }
    char message[700] = "The supervisor of the container vanished";
    if (container_cgroup_remove(&cgroups, group, TIMEOUT_MS, &err) < 0)
        (void)snprintf(message, sizeof(message), "The supervisor of the container vanished (left behind: %s)", err.text);
    Muster__Container__End end = MUSTER__CONTAINER__END__INIT;
    end.reason = LAUNCHER_END_LOST;
    end.status = -1;
    end.message = message;
    if (state != NULL && state->has_init_pid) {
        end.has_init_pid = 1;
        end.init_pid = state->init_pid;
    }
    return container_record_write(HELPER_FD_DIRECTORY, "end", &end.base, true, &err) < 0 ? 1 : 0;
}
