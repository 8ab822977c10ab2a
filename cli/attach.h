/* SPDX-License-Identifier: Apache-2.0
 * attach.h - standard input and output joined to a container of an agent, over its operator API (facts: mesos 4.4). */
#pragma once

#include <stdbool.h>

#include "common/base/err.h"
#include "mesos/v1/agent.pb-c.h"

struct attach_request {
    const char *agent;                       /* ip:port */
    const Mesos__V1__Agent__Call *output;    /* whose answer is the output: a session, or an attachment */
    const Mesos__V1__ContainerID *container; /* that gets the input, and whose end is waited for */
    bool interactive;                        /* standard input is passed on; else the program sees its end at once */
    bool has_tty;                            /* of the container */
    bool takes_terminal;                     /* our terminal becomes raw, its size is passed on */
    bool ends_input;                         /* the end of standard input is the end of the program's */
};

enum attach_outcome {
    ATTACH_ENDED,    /* *status is the program's, as of waitpid; -1: unknown */
    ATTACH_DETACHED, /* by ctrl-p ctrl-q */
    ATTACH_SIGNALLED /* *status is the signal that ended us; the terminal was given back */
};
/* 0 and *outcome, or negative with the reason. */
int attach_run(const struct attach_request *request, enum attach_outcome *outcome, int *status, struct err *err);

/* The keys that detach, as a machine: takes what was typed and gives what is to be passed on (out has room for len + 1).
 * Returns its length, or -1 when the keys were complete. */
struct attach_keys {
    bool has_first;
};
long attach_keys_feed(struct attach_keys *k, const unsigned char *in, size_t len, unsigned char *out);
