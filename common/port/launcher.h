/* SPDX-License-Identifier: Apache-2.0
 * launcher.h - port to containers: start, signal, update, destroy, and news about them. The real one is agent/container;
 * the simulator has its own. The agent's core names a container by its id (a UUID it drew) and gets every end exactly
 * once, also after a restart of the agent.
 *
 * A container is one supervisor process (outlives the agent: parent of the container's init, pumps and rotates its logs,
 * keeps the exit status on disk) and what runs inside. Events come through the callbacks on the loop's thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* What this host and this user can give; a missing one is reported, never silently skipped. */
enum launcher_isolation {
    LAUNCHER_CGROUP_CPU = 1 << 0,
    LAUNCHER_CGROUP_MEMORY = 1 << 1,
    LAUNCHER_CGROUP_PIDS = 1 << 2,
    LAUNCHER_PID_NAMESPACE = 1 << 3,
    LAUNCHER_MOUNT_NAMESPACE = 1 << 4,
    LAUNCHER_IPC_NAMESPACE = 1 << 5,
    LAUNCHER_UTS_NAMESPACE = 1 << 6,
    LAUNCHER_CGROUP_NAMESPACE = 1 << 7,
    LAUNCHER_USER_NAMESPACE = 1 << 8,
    LAUNCHER_SECCOMP = 1 << 9,
    LAUNCHER_CAPABILITIES = 1 << 10,
    LAUNCHER_SWITCH_USER = 1 << 11,
};

struct launcher_env {
    const char *name, *value;
};

struct launcher_rlimit {
    int resource;        /* RLIMIT_* */
    uint64_t soft, hard; /* UINT64_MAX: unlimited */
};

enum launcher_give {
    LAUNCHER_GIVE_NOT,
    LAUNCHER_GIVE,       /* the source becomes the user's, as a sandbox does */
    LAUNCHER_GIVE_FIRST, /* the same, unless it is somebody's already */
};

struct launcher_mount {
    const char *source; /* absolute path on the host */
    const char *target; /* absolute path in the container, or relative to the sandbox */
    bool read_only;
    /* Not NULL: the directory at this relative path below source is what is mounted. No link is followed on the way. */
    const char *beneath;
    enum launcher_give give; /* only with beneath */
};

/* Amounts the kernel enforces. Negative: no limit. */
struct launcher_limits {
    int64_t cpu_millis;       /* share in thousandths of a CPU (weight) */
    int64_t cpu_quota_millis; /* hard cap in thousandths of a CPU per 100 ms period */
    int64_t memory_soft_bytes;
    int64_t memory_hard_bytes;
    int64_t pids_max;
};

/* A file to fetch into the sandbox before the start (facts: mesos 9.6). */
struct launcher_uri {
    const char *value;
    const char *output_file; /* NULL: the last component of the path */
    bool executable, extract, cache;
};

struct launcher_spec {
    const char *container_id;
    const char *sandbox; /* absolute host path, created by the launcher with mode 0750, owned by user */
    const char *user;    /* NULL: the agent's own */
    /* Either shell text, run by /bin/sh -c, or argv with an absolute or PATH-resolved argv[0]; or the built-in executor
     * (builtin_executor true, argv ignored), executed from the helper image. */
    bool builtin_executor;
    const char *shell;
    const char *const *argv; /* NULL-terminated */
    const struct launcher_env *env;
    size_t env_count;
    const struct launcher_uri *uris;
    size_t uri_count;
    const struct launcher_mount *mounts;
    size_t mount_count;
    const struct launcher_rlimit *rlimits;
    size_t rlimit_count;
    struct launcher_limits limits;
    int64_t log_bytes_max; /* of stdout and stderr each, then rotated to .1; 0 means 10 MiB */
    bool share_pid_namespace;
    /* A terminal of the container is its stdin, stdout and stderr. With logs its output goes to the file stdout as well. */
    bool tty;
    uint16_t rows, columns; /* of the terminal at first; 0: unknown */
    /* A container inside another one: its program is started in the namespaces and control groups of the running container
     * `parent`, which must be one of its own, and ends with it. The sandbox must be that of the parent or one below it;
     * limits, mounts and share_pid_namespace are the parent's. NULL: a container of its own. */
    const char *parent;
    /* stdin, stdout and stderr belong to who attaches; there are no logs. Output waits for the first attachment, and when
     * that breaks the container is destroyed. */
    bool session;
};

/* What goes through the socket of `attach`, one message each: a byte that says what, then the content. */
enum launcher_packet {
    LAUNCHER_PACKET_STDIN = 'i',  /* to the container; empty: the end of its input (not of a terminal's) */
    LAUNCHER_PACKET_STDOUT = 'o', /* from the container */
    LAUNCHER_PACKET_STDERR = 'e',
    LAUNCHER_PACKET_WINDOW = 'w', /* to the container: struct launcher_window */
};
enum { LAUNCHER_PACKET_MAX = 32 << 10 }; /* bytes of content */
struct launcher_window {
    uint16_t rows, columns;
};

enum launcher_end_reason {
    LAUNCHER_END_EXITED,        /* by itself; status says how */
    LAUNCHER_END_DESTROYED,     /* after launcher_destroy */
    LAUNCHER_END_MEMORY,        /* over its memory limit */
    LAUNCHER_END_PIDS,          /* reserved: pids limits refuse forks, they do not end containers */
    LAUNCHER_END_LAUNCH_FAILED, /* never ran: fetch, user, isolation, exec; message says what */
    LAUNCHER_END_LOST,          /* supervisor vanished without a record (killed, reboot) */
};

struct launcher_end {
    enum launcher_end_reason reason;
    int status;                 /* waitpid status of the container's init, -1 unknown */
    const char *message;        /* for people, never NULL; e.g. the limit and the peak for LAUNCHER_END_MEMORY */
    int64_t memory_limit_bytes; /* for LAUNCHER_END_MEMORY */
};

struct launcher_usage {
    double timestamp; /* seconds since 1970 */
    uint64_t processes, threads;
    double cpu_user_secs, cpu_system_secs;
    uint64_t cpu_periods, cpu_throttled;
    double cpu_throttled_secs;
    uint64_t memory_rss_bytes, memory_cache_bytes, memory_total_bytes, memory_limit_bytes, memory_soft_limit_bytes;
    bool has_cpu, has_memory;
};

struct launcher_events {
    /* The container's program was executed; pid is that of its init on the host. */
    void (*started)(void *ctx, const char *container_id, int pid);
    /* Exactly once per container: after this everything of it is gone but its sandbox. */
    void (*ended)(void *ctx, const char *container_id, const struct launcher_end *end);
};

struct launcher;
struct launcher_ops {
    /* Finds the containers of an earlier run again: `known` are those the agent has records of. Known ones that run are
     * reported by started, known ones that ended by ended (with the status kept on disk), unknown ones are destroyed.
     * recovered is called when all that is done. Must be called once, before anything else. */
    void (*recover)(struct launcher *l, const char *const *known, size_t count, void (*recovered)(void *ctx), void *ctx);
    /* Copies the spec. Always followed by ended, with started before it if it came to run. Never blocks: fetching and
     * set-up happen in the supervisor. */
    void (*launch)(struct launcher *l, const struct launcher_spec *spec);
    /* Changes the limits of a running container. 0, -ENOENT or an error of the kernel. */
    int (*update)(struct launcher *l, const char *container_id, const struct launcher_limits *limits, struct err *err);
    /* A signal to the container's program. 0, -ENOENT when it does not run, -EINVAL for a number that is none. SIGKILL is a
     * destroy. */
    int (*signal)(struct launcher *l, const char *container_id, int signo);
    /* Connects to stdin and output of a container that was started with tty or session. *fd becomes a non-blocking
     * SOCK_SEQPACKET socket for packets (above), the caller's; a new attachment takes the place of the one before. What is
     * not read holds up a session, and is lost for others. At its end everything was received. -ENOENT when the container
     * does not run, -EOPNOTSUPP when it has nothing to attach to. */
    int (*attach)(struct launcher *l, const char *container_id, int *fd, struct err *err);
    /* SIGKILL to everything inside, then ended. Safe to repeat; unknown ids are ignored. */
    void (*destroy)(struct launcher *l, const char *container_id);
    /* Reads the counters. 0 or -ENOENT. */
    int (*usage)(struct launcher *l, const char *container_id, struct launcher_usage *out);
    /* The LAUNCHER_* bits that hold, and for each missing one a line `name: why` in *missing (borrowed, for people). */
    unsigned (*isolation)(struct launcher *l, const char **missing);
    /* Forgets what only the running agent needs. Containers run on. */
    void (*close)(struct launcher *l);
};
struct launcher {
    const struct launcher_ops *ops;
};
