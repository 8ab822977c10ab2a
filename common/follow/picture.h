/* SPDX-License-Identifier: Apache-2.0
 * picture.h - what one record of the master's operator event stream says, part by part (facts: mesos 3.3).
 *
 * The first record is a picture of the whole cluster. With a hundred thousand tasks it is larger than a message may be, and
 * as objects many times that. In protobuf it is therefore taken apart here, down the path to its lists, and each item is
 * decoded alone. In JSON, which we ask for last, it is one message and has that limit. */
#pragma once

#include <stdbool.h>

#include "common/wire/codec.h"
#include "mesos/v1/master.pb-c.h"

/* A picture comes as BEGIN, then agents, then frameworks, then tasks (unreachable ones last), then END. When it cannot be
 * read to its end, END is not told. */
enum picture_part_type {
    PICTURE_BEGIN,
    PICTURE_AGENT,
    PICTURE_RECOVERED_AGENT, /* a new leader knows it from its registry and has not heard of it yet */
    PICTURE_FRAMEWORK,
    PICTURE_TASK,
    PICTURE_END,
    PICTURE_EVENT, /* any other record, whole */
};

struct picture_part {
    enum picture_part_type type;
    union { /* until the call returns */
        const Mesos__V1__Master__Response__GetAgents__Agent *agent;
        const Mesos__V1__AgentInfo *recovered_agent;
        const Mesos__V1__FrameworkInfo *framework;
        const Mesos__V1__Task *task;
        const Mesos__V1__Master__Event *event;
    };
};

struct picture_told {
    bool is_snapshot;
    double heartbeat_seconds; /* of a snapshot; 0: not said */
};

/* Calls part for what the record says. 0, or -EPROTO for what cannot be read; parts before that were told. The arena is
 * reset between parts. */
int picture_read(enum wire_format format, const void *record, size_t len, struct arena *arena,
                 void (*part)(void *ctx, const struct picture_part *part), void *ctx, struct picture_told *told,
                 struct err *err);
