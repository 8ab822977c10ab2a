/* SPDX-License-Identifier: Apache-2.0
 * event.h - what goes into and comes out of the executor's core (executor.h). Borrowed pointers end with the step; effects
 * are valid until the next step. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "mesos/v1/executor.pb-c.h"

typedef uint64_t executor_process_id; /* a task's process; never reused, 0 is none */
typedef uint64_t executor_check_id;   /* one run of a check; never reused */

enum executor_event_type {
    EXECUTOR_EVENT_START,
    EXECUTOR_EVENT_TICK,            /* time passed; due work is done in every step anyway */
    EXECUTOR_EVENT_STREAM_ANSWER,   /* status line of the SUBSCRIBE request */
    EXECUTOR_EVENT_STREAM_RECEIVED, /* one event of the agent */
    EXECUTOR_EVENT_STREAM_CLOSED,   /* the stream ended, or the request got no answer */
    EXECUTOR_EVENT_CALL_DONE,       /* the answer to a SEND */
    EXECUTOR_EVENT_PROCESS_STARTED,
    EXECUTOR_EVENT_PROCESS_FAILED, /* never ran; text says why */
    EXECUTOR_EVENT_PROCESS_EXITED, /* the task's own process; what it left behind has been killed */
    EXECUTOR_EVENT_CHECK_DONE,
    EXECUTOR_EVENT_TERMINATE, /* the executor itself was asked to end (SIGTERM) */
};

enum executor_check_result {
    EXECUTOR_CHECK_EXITED,    /* COMMAND: value is the exit code */
    EXECUTOR_CHECK_HTTP,      /* HTTP: value is the status code */
    EXECUTOR_CHECK_CONNECTED, /* TCP */
    EXECUTOR_CHECK_REFUSED,   /* TCP: no connection */
    EXECUTOR_CHECK_FAILED,    /* no result: not started, killed by a signal, no HTTP answer */
};

struct executor_event {
    enum executor_event_type type;
    int64_t now_ms;      /* monotonic */
    int64_t wall_ms;     /* since 1970, for timestamps */
    uint64_t connection; /* STREAM_*, CALL_DONE: from the effect; those of old connections are ignored */
    union {
        struct {
            int status;
            const char *text; /* may be NULL */
        } answer;
        const Mesos__V1__Executor__Event *received;
        struct {
            int status;       /* CALL_DONE: HTTP status, 0 none */
            const char *text; /* may be NULL */
        } done;
        struct {
            executor_process_id id;
            int pid;          /* STARTED */
            int status;       /* EXITED: as waitpid gives it */
            const char *text; /* FAILED */
        } process;
        struct {
            executor_check_id id;
            enum executor_check_result result;
            int value;
            const char *text; /* for people, may be NULL */
        } check;
    };
};

struct executor_variable {
    const char *name, *value;
};

/* A program to start, as a session and process group of its own, stdin from /dev/null. */
struct executor_command {
    const char *shell;       /* run by /bin/sh -c; else: */
    const char *program;     /* path, or a name to look up in PATH of env */
    const char *const *argv; /* NULL-terminated */
    const struct executor_variable *env;
    size_t env_count;
    const char *directory; /* absolute */
    bool own_output;       /* stdout and stderr go into files of these names in directory, bounded; else inherit ours */
    const char *user;      /* NULL: ours */
};

enum executor_effect_type {
    EXECUTOR_EFFECT_CONNECT,      /* open the event stream: POST body, Accept protobuf */
    EXECUTOR_EFFECT_CLOSE,        /* drop the stream of `connection` and its calls */
    EXECUTOR_EFFECT_SEND,         /* POST one call; one is out at a time */
    EXECUTOR_EFFECT_START,        /* make directory (and the link to it), start the program; STARTED or FAILED follows */
    EXECUTOR_EFFECT_SIGNAL,       /* to the process and everything that descends from it */
    EXECUTOR_EFFECT_CHECK,        /* run it once; CHECK_DONE follows */
    EXECUTOR_EFFECT_CHECK_CANCEL, /* kill or close it; no CHECK_DONE follows */
    EXECUTOR_EFFECT_LOG,          /* a sentence for the operator */
    EXECUTOR_EFFECT_EXIT,         /* the executor's work is done */
};

enum executor_check_kind { EXECUTOR_CHECK_KIND_COMMAND, EXECUTOR_CHECK_KIND_HTTP, EXECUTOR_CHECK_KIND_TCP };

struct executor_effect {
    enum executor_effect_type type;
    uint64_t connection;
    union {
        struct {
            const uint8_t *body;
            size_t body_len;
        } send; /* CONNECT and SEND */
        struct {
            executor_process_id id;
            struct executor_command command;
            const char *link, *link_target; /* symbolic link to make, absolute, and what it says; NULL: none */
        } start;
        struct {
            executor_process_id id;
            int signo;
            bool everything; /* the only task: every process of our pid namespace, if we are its init */
        } signal;
        struct {
            executor_check_id id;
            enum executor_check_kind kind;
            struct executor_command command;
            const char *ip; /* HTTP, TCP: 127.0.0.1 or ::1 */
            uint16_t port;
            const char *path; /* HTTP: starts with '/' */
        } check;
        const char *log;
        int exit_status;
    };
};

struct executor_effects {
    struct arena *arena;
    struct executor_effect *items;
    size_t count, capacity;
};
void executor_effects_init(struct executor_effects *out);
void executor_effects_deinit(struct executor_effects *out);
