/* SPDX-License-Identifier: Apache-2.0
 * zk_contender.h - stands for election: an ephemeral sequence node below a path; the lowest number leads (facts:
 * mesos 8.4). Each contender watches the one before it only, so that the end of a leader wakes one contender and not all.
 *
 * It leads from ELECTED until LOST. In between, SUSPENDED says until when it may act without a connection, OVERDUE that
 * this moment has come: another one may lead by now, so it must neither act nor answer as leader until RESUMED or LOST.
 * What it writes in ZooKeeper is safe only with a check of a node in the same transaction (multi); a paused process cannot
 * know.
 *
 *        ┌──── candidate loses its session or node: stands again, untold ────┐
 *   start ─▶ candidate ─▶ ELECTED ─▶ SUSPENDED ─▶ OVERDUE                     │
 *                            ▲           │           │      any of them ─▶ LOST (stopped; start stands again)
 *                            └─ RESUMED ◀┴───────────┘ */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/port/zookeeper.h"

struct zk_contender;

enum zk_contender_event_kind {
    ZK_CONTENDER_ELECTED,
    ZK_CONTENDER_SUSPENDED, /* act until safe_until_ms at the latest */
    ZK_CONTENDER_OVERDUE,   /* that time has come; without SUSPENDED before if the server hangs or we were paused */
    ZK_CONTENDER_RESUMED,   /* connected again in the same session, the node is there: still the leader */
    ZK_CONTENDER_LOST,      /* the session expired or the node is gone: no leader any more. Stopped. */
    ZK_CONTENDER_FAILED,    /* cannot stand: the text says why (no permission, a path that cannot be). Stopped. */
    ZK_CONTENDER_RESIGNED,  /* after zk_contender_resign: the node is gone. Stopped. */
};

struct zk_contender_event {
    enum zk_contender_event_kind kind;
    const char *node;      /* ELECTED: full path of its node; also RESUMED, LOST */
    uint64_t number;       /* ELECTED: of the node */
    int64_t created_zxid;  /* ELECTED: of the node: grows from leader to leader, also when the path was made anew */
    int64_t safe_until_ms; /* SUSPENDED: on the clock of zookeeper_now_ms */
    const char *text;      /* LOST, FAILED: for people */
};
/* May call zk_contender_start and _resign, but not free the contender. */
typedef void (*zk_contender_fn)(void *ctx, const struct zk_contender_event *event);

struct zk_contender_config {
    const char *path;   /* of the election; made, with its parents, if it is not there */
    const char *prefix; /* of the node's name: json.info_ for masters */
    const void *data;   /* contents of the node, at most ZOOKEEPER_NODE_BYTES_MAX */
    size_t data_len;
    enum zookeeper_acl acl; /* of what it makes: ZOOKEEPER_ACL_CREATOR with credentials */
};

/* Copies the config. The session is borrowed and must outlive the contender. -EINVAL for a config that cannot be. */
int zk_contender_new(struct zookeeper *z, const struct zk_contender_config *config, zk_contender_fn tell, void *ctx,
                     struct zk_contender **out);
/* Its node stays until the session ends. Accepts NULL, returns NULL. */
struct zk_contender *zk_contender_free(struct zk_contender *c);

/* Stands for election, at once or as soon as there is a session. Nothing happens if it stands already. */
void zk_contender_start(struct zk_contender *c);
/* Takes the node back, then tells RESIGNED: at once if there is none, else when ZooKeeper has said so. Does not lead from
 * the moment of this call. */
void zk_contender_resign(struct zk_contender *c);

/* Between ELECTED and LOST, and neither overdue (by the clock, told or not) nor resigning. */
bool zk_contender_is_leading(const struct zk_contender *c);
void zk_contender_check_invariants(const struct zk_contender *c);
