/* SPDX-License-Identifier: Apache-2.0
 * attach.h - stdin and output of a container over HTTP (facts: mesos 4.4): the launcher's packets become ProcessIO records
 * of any number of answers, and the records of one request at a time become packets. Every direction holds a bounded
 * amount: who reads slowly stops a session's program, and is cut off from anything else; who writes fast is not read. */
#pragma once

#include "agent/shell.h"

/* The framing of a streamed answer: records of `record` in a body of this media type. */
struct agent_stream_format {
    enum wire_format record;
    bool is_recordio; /* asked for by that name; else the body is called after its records */
};

void agent_attachments_init(struct agent_attachments *a);
/* Closes what is attached; the servers have been stopped before. */
void agent_attachments_deinit(struct agent_attachments *a);

/* Answers with 200 and the output from now on. is_session: the container lives as long as this answer. 0; or a negative
 * errno of launcher.attach and x waits for another answer. */
int agent_attach_output(struct agent_shell *s, const char *launcher_id, bool is_session, struct http_exchange *x,
                        struct agent_stream_format format, struct err *err);

/* Takes over a request whose body is a stream of AttachContainerInput calls. */
void agent_attach_input(struct agent_shell *s, struct http_exchange *x, enum wire_format record);

/* attach_input.c -- the records of a request, as a machine without sockets: what the packets would be. */
enum { AGENT_INPUT_RECORD_MAX = 1 << 20, AGENT_INPUT_QUEUE_MAX = 3 << 20 };
struct agent_input_parser {
    bool has_container; /* the first record was there */
    int status;         /* after an error: of the answer */
    char text[512];
    /* launcher_packet: type byte and content; queued with 4 bytes of length in front */
    struct buf packets;
    enum wire_format format;
};
void agent_input_init(struct agent_input_parser *p, enum wire_format format);
void agent_input_deinit(struct agent_input_parser *p);
/* One record. 0; 1 when it was the first: *container is in the arena; -EPROTO with status and text. */
int agent_input_record(struct agent_input_parser *p, const void *data, size_t len, struct arena *arena,
                       const Mesos__V1__ContainerID **container);
/* The next packet, NULL when there is none; consumed by agent_input_taken. */
const uint8_t *agent_input_packet(const struct agent_input_parser *p, size_t *len);
void agent_input_taken(struct agent_input_parser *p);
