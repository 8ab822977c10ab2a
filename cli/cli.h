/* SPDX-License-Identifier: Apache-2.0
 * cli.h - what the commands share: finding the cluster, asking its parts, printing. Commands return the exit status:
 * 0 done, 1 refused or failed, 2 usage. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/json.h"

enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

int cmd_up(int argc, char **argv);
int cmd_down(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_app(int argc, char **argv);
int cmd_job(int argc, char **argv);
int cmd_task(int argc, char **argv);
int cmd_node(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_hello(int argc, char **argv);

/* Prints "muster: <text>" to stderr and returns CLI_FAILED. */
int cli_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The same with CLI_USAGE. */
int cli_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* -- the cluster that `muster up` keeps in a directory (cluster.c) ------------------------------------------------ */

#define CLUSTER_ROLES_MAX 4096

struct cluster_role {
    char name[32];       /* "master", "agent-1", "marathon" */
    char address[64];    /* ip:port, "" before it is ready */
    int64_t pid;         /* 0: not running */
    uint64_t start_time; /* of the process, as /proc/<pid>/stat counts: a pid alone proves nothing */
};

struct cluster {
    char dir[3072];
    int64_t up_pid; /* the watching process */
    uint64_t up_start_time;
    bool temporary; /* removed when it ends */
    struct cluster_role *roles;
    size_t role_count;
};

/* Directory of the cluster to use: given, else $MUSTER_DIR, else /var/tmp/muster-<uid>. */
int cluster_dir(const char *given, char *out, size_t size, struct err *err);
/* Reads <dir>/cluster.json. -ENOENT when there is none. */
int cluster_load(const char *dir, struct cluster *out, struct err *err);
/* Writes it so that a reader sees the old or the new one. */
int cluster_save(const struct cluster *c, struct err *err);
void cluster_free(struct cluster *c);
const struct cluster_role *cluster_find(const struct cluster *c, const char *name);
/* Start time of a process, 0 when it does not run (or is a zombie). */
uint64_t cluster_process_start(int64_t pid);
bool cluster_process_is(int64_t pid, uint64_t start_time);
/* The credential of the person who rules a cluster that was started with --secure: DIR/secrets/operator. */
#define CLUSTER_SECRETS "secrets"
#define CLUSTER_OPERATOR "operator"
/* Ends the roles in their order: schedulers, agents with their tasks, masters. Waits for each, at most wait_ms per kind,
 * then SIGKILL. Used by down, and by up on its way out. */
int cluster_stop_roles(struct cluster *c, int64_t wait_ms, struct err *err);
/* The name of what the balancer of this cluster has in the kernel, the same in every run in this directory. */
#define CLUSTER_INSTANCE_SIZE 33
int cluster_instance(const char *dir, char out[CLUSTER_INSTANCE_SIZE], struct err *err);
/* Removes what a killed balancer left there. */
int cluster_clean_kernel(const char *dir, struct err *err);
/* Removes a directory tree below dir_fd without following links. */
int cluster_remove_tree(const char *path, struct err *err);

/* -- requests (request.c) --------------------------------------------------------------------------------------------- */

struct cli_answer {
    int status; /* HTTP status */
    struct buf body;
    json_t *json; /* the body parsed, NULL if it is no JSON */
};

/* One request to address ("ip:port"), waits for the answer. 0, or negative with the reason in err (naming the address). */
int cli_request(const char *address, const char *method, const char *target, const char *body, struct cli_answer *out,
                struct err *err);
void cli_answer_free(struct cli_answer *a);
/* Later requests show the principal and secret of this file. */
int cli_show_credential(const char *path, struct err *err);
/* What they show, as a value of the header Authorization; NULL: nothing. */
const char *cli_authorization(void);
/* A GET whose body goes to stdout as it comes, until it ends or the program is interrupted. Same results; *status is the
 * HTTP status, a body of anything but 200 is not printed. */
int cli_stream(const char *address, const char *target, int *status, struct err *err);

/* Where commands send their requests: --dir, --master, --marathon, --cron of the command line over the cluster's own. */
struct cli_target {
    char *dir, *master, *marathon, *cron, *lb;
    char *credential; /* a file, see cli_show_credential */
    bool json;
    bool all, follow, errors; /* `muster task`, `muster job` */
    bool dry_run, stop;       /* `muster job` */
};
/* Address of a part ("master", "marathon", "cron"); resolves names. */
int cli_address(const struct cli_target *t, const char *part, char out[64], struct err *err);
/* The options every command has, and `more` of the same struct. 0; -1 when --help was printed; or CLI_USAGE with the error
 * printed. words NULL: none are allowed. */
struct option_def;
int cli_parse(int argc, char **argv, const char *usage, const struct option_def *more, size_t more_count,
              struct cli_target *t, char ***words, int *word_count);
void cli_target_free(struct cli_target *t);

/* -- the schedulers' APIs (rest.c) ------------------------------------------------------------------------------------- */

/* One request to a part for `muster <command> <what>`. CLI_DONE and the answer; or CLI_FAILED with the scheduler's refusal,
 * or why it could not be asked, printed. The answer is to be freed either way. */
int cli_ask(const struct cli_target *t, const char *part, const char *command, const char *what, const char *method,
            const char *target, const char *body, struct cli_answer *a);
/* A file, or standard input for "-". CLI_DONE and the text, which the caller frees; or CLI_FAILED with the error printed.
 */
int cli_read_file(const char *command, const char *name, char **out);

/* What the task whose id begins with the text wrote, as --follow and --stderr say (cmd_task.c). */
int cli_print_logs(const struct cli_target *t, const char *task_id);

/* -- printing (render.c) ----------------------------------------------------------------------------------------------- */

/* Rows of cells, printed in aligned columns; cells are copied, control characters shown as '?'. */
struct table;
struct table *table_new(const char *const *titles, size_t columns);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void table_print(struct table *t, FILE *to); /* and frees it */
void print_json(const json_t *value);        /* indented, to stdout */
