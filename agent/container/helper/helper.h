/* SPDX-License-Identifier: Apache-2.0
 * helper.h - the modes of the helper program and the descriptors it is started with. */
#pragma once

#include <stdint.h>

enum {
    HELPER_FD_SPEC = 3,      /* packed muster.container.Spec, at offset 0 */
    HELPER_FD_DIRECTORY = 4, /* <runtime_dir>/containers/<id>; probe: a pipe for the report */
    HELPER_FD_IMAGE = 5,     /* the helper itself */
    HELPER_FD_FETCH = 6,     /* the program that fetches and unpacks */
    HELPER_FD_SOCKET = 7,    /* of the zygote: requests and answers */
    HELPER_FD_END = 8,
};

/* Signals that a supervisor ignores. */
enum { HELPER_IGNORED_COUNT = 6 };
extern const int helper_ignored_signals[HELPER_IGNORED_COUNT];

/* To the zygote, with the descriptors for HELPER_FD_SPEC and HELPER_FD_DIRECTORY. One answer to each, in order. */
struct helper_request {
    char title[256]; /* the container's id, for lists of processes */
};
struct helper_answer {
    int32_t pid; /* of the supervisor, whose pidfd comes along; or a negative errno */
};

/* Runs one container from its spec to its end record. Exit status 0 when a record was written or nothing had to be done. */
int container_supervise_main(void);

/* Ends what a vanished supervisor left behind and writes the end record in its place. */
int container_sweep_main(void);

/* Starts supervisors on request until the socket is closed. title is an argument that is as long as possible: it is
 * overwritten with that of each supervisor. */
int container_zygote_main(char *title);

/* Tries which isolation works and reports it; see isolation.c of the agent's side. */
int container_probe_main(void);
