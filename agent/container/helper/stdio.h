/* SPDX-License-Identifier: Apache-2.0
 * stdio.h - stdin, stdout and stderr of a container, as its supervisor has them: into log files, to an agent that attaches
 * (launcher_packet), or both. Holds at most one packet per direction and stream: a slow reader stops a session's program, a
 * slow program stops the writer. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/container/helper/log_pump.h"
#include "common/port/launcher.h"
#include "muster/container.pb-c.h"

enum { STDIO_POLLS = 5 };

struct stdio {
    bool is_session, has_tty;
    bool is_broken;   /* a session whose attachment ended */
    bool is_finished; /* nobody writes any more: what there is now is all */
    int listen_fd, peer_fd;
    int terminal_fd; /* where the terminal's master comes from */
    int in_fd;       /* the program's stdin, or the master */
    int out_fd[2];   /* of a session's stdout and stderr; the master */
    size_t out_len[2], in_at, in_len;
    bool has_in_ended;
    struct log_pump logs[2];
};

/* What the container gets; the caller closes them after the start. -1 where there is none. */
struct stdio_ends {
    int in, out, error, terminal;
};
void stdio_close_ends(struct stdio_ends *ends);

/* Before anything else. */
void stdio_init(struct stdio *s);
/* directory_fd: where the socket `io` is made for those that attach. */
int stdio_open(struct stdio *s, const Muster__Container__Spec *spec, int directory_fd, int sandbox_fd,
               const struct container_user *user, struct stdio_ends *ends, struct err *err);
/* The program was executed: its terminal is there. */
void stdio_started(struct stdio *s);
void stdio_poll(struct stdio *s, struct pollfd p[STDIO_POLLS]);
void stdio_run(struct stdio *s, const struct pollfd p[STDIO_POLLS]);
/* After the end of all programs: moves what is left. True while somebody who is attached has not taken it: poll, run, and
 * ask again. */
bool stdio_finish(struct stdio *s);
