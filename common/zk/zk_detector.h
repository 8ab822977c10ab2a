/* SPDX-License-Identifier: Apache-2.0
 * zk_detector.h - finds the leader of an election and follows its changes: the child with the smallest number among those
 * named json.info_NNNNNNNNNN, or info_NNNNNNNNNN of masters before 0.24 (facts: mesos 8.4). Other children are not looked
 * at.
 *
 * While there is no connection the last known leader stays, marked stale: it may lead still, or not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/port/zookeeper.h"

struct zk_detector;

struct zk_leader {
    bool is_known;    /* else there is none, or none was found yet; the fields below are empty */
    bool is_stale;    /* as of the last connection */
    bool is_binary;   /* named info_: the contents are a protobuf message that we do not read */
    const char *name; /* of the node */
    uint64_t number;
    int64_t created_zxid;
    const void *data; /* as it stands in the node: from outside */
    size_t data_len;
};
/* Told once for each difference to what was told before: another node, other contents, stale or not any more. The first
 * answer of ZooKeeper is told also if there is no leader. Must not free the detector. */
typedef void (*zk_detector_fn)(void *ctx, const struct zk_leader *leader);
/* It cannot look: no permission to read. Told once for each cause; it tries again every few seconds. */
typedef void (*zk_detector_failed_fn)(void *ctx, const char *text);

struct zk_detector_config {
    const char *path;   /* of the election; it may come later */
    const char *prefix; /* NULL: those of masters, both; else this one only */
    zk_detector_fn tell;
    zk_detector_failed_fn failed; /* may be NULL */
    void *ctx;
};

/* Starts at once. The session is borrowed and must outlive the detector. -EINVAL for a path that cannot be. */
int zk_detector_new(struct zookeeper *z, const struct zk_detector_config *config, struct zk_detector **out);
struct zk_detector *zk_detector_free(struct zk_detector *d); /* accepts NULL, returns NULL */

/* As told last. Borrowed until the next callback. */
const struct zk_leader *zk_detector_leader(const struct zk_detector *d);
void zk_detector_check_invariants(const struct zk_detector *d);
