/* SPDX-License-Identifier: Apache-2.0
 * container.h - the real launcher: Linux containers. Opened by agent/main.c; everything else goes through
 * common/port/launcher.h.
 *
 * Per container there is one supervisor process, a child of the agent in its own session, executed from a sealed memory
 * file (nothing on disk can be replaced under it), and inside one init. Under runtime_dir:
 *
 *     launcher.sock              where supervisors send "started"; bound by the running agent
 *     containers/<id>/state      identity of the supervisor and of the init: boot id, pid, start time
 *     containers/<id>/end        how it ended, durable before the supervisor goes
 *     containers/<id>/io         with a terminal or a session: a socket for those that attach
 *
 * A supervisor is found again by pid together with start time and boot id, and watched by pidfd. Its end record stays
 * until the next recover() that does not name the container (at most the last 1024 are kept), so that an agent that
 * died between hearing of an end and storing it hears of it again.
 *
 * Not here: images, networks, cpusets, devices beyond the usual harmless ones. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/port/launcher.h"
#include "common/port/loop.h"

struct container_config {
    struct launcher_events events; /* never called from inside a call of the launcher */
    void *events_ctx;
    const char *work_dir;    /* absolute; hidden inside containers except the own sandbox and the mounts of the spec */
    const char *runtime_dir; /* absolute, created with mode 0700; hidden inside containers; best on a tmpfs */
    /* A folder that containers see at its own path although it is inside the hidden ones, read-only: for the socket that
     * executors connect to. A folder and not the socket, so that a socket made anew is seen too. NULL: none. */
    const char *visible_dir;
    /* Further folders and files that containers do not see, absolute paths: secrets of the agent and of its cluster. */
    const char *const *hidden;
    size_t hidden_count;
    const char *cgroup_root; /* containers live in <hierarchy>/<cgroup_root>/<container id>; NULL: "muster" */
    /* The program that is run as `PROGRAM fetch ...` for what the small helper cannot do itself (network, archives); it
     * must call container_fetch_main. NULL: the running program. */
    const char *fetch_program;
    int64_t fetch_bytes_max;  /* of one download or of one archive's content; 0: 16 GiB */
    int64_t fetch_timeout_ms; /* for all URIs of a container together; 0: 30 minutes */
    bool without_cgroups;     /* for tests: as if no hierarchy could be written */
};

/* Looks at what the host gives (a short test container is started and waited for, some ten milliseconds, at most 10 s)
 * and takes the runtime directory: -EBUSY while another launcher has it. The strings are copied. Missing isolation is no
 * error: ask isolation(). */
int container_launcher_open(struct loop *loop, const struct container_config *config, struct launcher **out,
                            struct err *err);

/* The program behind `muster fetch`; argv[0] is "fetch". Runs as the task's user, with limits set by the caller:
 *     fetch download URL      writes the content to standard output; http, https, ftp, ftps only, also after redirects
 *     fetch extract NAME      unpacks standard input into the current folder; NAME tells the kind by its suffix
 * Returns the exit status; the reason of a failure is one line on standard error. */
int container_fetch_main(int argc, char **argv);
