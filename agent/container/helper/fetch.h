/* SPDX-License-Identifier: Apache-2.0
 * fetch.h - brings the URIs of a spec into the sandbox (facts: mesos 9.6), in a process of its own: as the task's user,
 * without capabilities, with no_new_privs and a limit on file sizes, beneath the sandbox only. Local files are copied here;
 * downloads and unpacking are done by the program behind HELPER_FD_FETCH. */
#pragma once

#include <sys/types.h>

#include "agent/container/helper/user.h"
#include "common/base/err.h"
#include "muster/container.pb-c.h"

enum { FETCH_TEXT_MAX = 512 };

/* Starts the process, leader of a group of its own. What it says goes to stderr_fd; if it fails, its exit status is not 0
 * and *report_fd gives the reason as text. Returns the pid or a negative errno. */
pid_t fetch_start(const Muster__Container__Spec *spec, const struct container_user *user, int sandbox_fd, int stderr_fd,
                  int *report_fd, struct err *err);
