/* SPDX-License-Identifier: Apache-2.0
 * up.h - the parts of `muster up`: the watched processes (up_roles.c) and the example service (up_example.c). */
#pragma once

#include "cli/cli.h"
#include "common/http/client.h"
#include "common/port/loop.h"

struct up;

#define UP_EXAMPLE_NAME "hello.marathon.mesos"
#define UP_EXAMPLE_VIP_NAME "hello.marathon.l4lb.thisdcos.directory"

/* One process of the cluster. It says READY on a pipe when it serves; it is started again when it ends by itself. */
struct up_role {
    struct up *up;
    size_t index; /* in up->cluster.roles */
    char **argv;  /* without the program */
    char log_path[4096];
    int ready_fd; /* -1: none */
    struct loop_fd *ready_watch;
    struct buf ready_text;
    struct loop_child *child;
    struct loop_timer *restart;
    int64_t started_ms;
    int64_t backoff_ms;
    bool was_ready, ready;
};

struct up {
    /* options */
    char *dir, *ip, *zk;
    bool detach, empty, cron, dns, lb, secure;
    int64_t agents, masters;
    uint16_t master_port, agent_port, marathon_port, cron_port, dns_port, dns_http_port, lb_port;
    char *agent_resources, *vip_range, *plane;

    struct loop *loop;
    struct cluster cluster;
    char self[4096];       /* path of this program */
    char secrets[3200];    /* directory of the secrets */
    char cgroups_root[64]; /* of the clusters in this directory alone, the same in every run */
    char vips[64];         /* range of the named VIPs' addresses */
    int lock_fd, vips_fd;  /* vips_fd: holds the range on this machine, -1: it was given */
    struct up_role *roles;
    struct http_client *client;
    FILE *out;       /* where people read, closed once detached */
    int detached_fd; /* written once when the cluster stands, -1 without --detach */
    int64_t begun_ms;
    bool stopping, stands;
    int exit_status;

    /* example */
    struct http_call *events;
    struct buf event_text;
    struct loop_timer *probe_again;
    int probes;
    bool instance_answers;
    char example_url[128]; /* of one instance */
    char deployment_id[64];
    char example_name[64];
    char vip_url[128];     /* of the service, "" when it has none that works */
    char vip_problem[200]; /* why not */
};

/* Ends `up`: prints the text when there is one, leaves the loop. */
void up_finish(struct up *u, int exit_status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The cluster stands (and the example answers, or there is none): print what a person needs. */
void up_stands(struct up *u);

/* With --secure, or where it was once used: makes the secrets that are missing, and reads the operator's (up_secrets.c). */
int up_secrets_prepare(struct up *u, struct err *err);

void up_roles_start(struct up *u);
void up_roles_release(struct up *u);
const char *up_address(const struct up *u, const char *role);

void up_example_start(struct up *u);
void up_example_release(struct up *u);
