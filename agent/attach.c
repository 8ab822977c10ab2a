/* SPDX-License-Identifier: Apache-2.0
 * attach.c - see attach.h. One attachment per container: a socket to its supervisor, the answers that get its output, and
 * at most one request that feeds it. It lives until the container's end, without a session until nobody is left. */
#include "agent/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/api_containers.h"
#include "common/base/check.h"
#include "common/http/recordio.h"

#define HEARTBEAT_MS 30000                    /* facts: mesos 4.4 */
#define OUTPUT_PENDING_MAX (1u << 20)         /* of one answer, then it is cut off */
#define OUTPUT_PENDING_PAUSE (256u << 10)     /* of a session's, then its program waits */
#define RECORD_MAX (2u * LAUNCHER_PACKET_MAX) /* base64 and what is around it */
#define PACKETS_PER_TURN 16

struct output {
    struct list in_attachment;
    struct agent_attachment *attachment;
    struct http_exchange *x;
    enum wire_format format;
    bool is_owner; /* of a session */
    bool is_slow;
};

struct input {
    struct list in_shell;
    struct agent_shell *shell;
    struct agent_attachment *attachment; /* after the first record */
    struct http_exchange *x;
    struct recordio_reader reader;
    struct agent_input_parser parser;
    bool has_ended, is_paused;
};

struct agent_attachment {
    struct agent_shell *shell;
    char *launcher_id;
    bool is_session;
    int fd;
    struct loop_fd *watch;
    struct loop_timer *heartbeat;
    struct list outputs;
    size_t slow_count;
    struct input *input;
};

void agent_attachments_init(struct agent_attachments *a)
{
    map_init(&a->by_launcher_id);
    list_init(&a->inputs);
}

/* -- life ----------------------------------------------------------------------------------------------------- */

static void output_free(struct output *o)
{
    o->attachment->slow_count -= o->is_slow;
    list_remove(&o->in_attachment);
    free(o);
}

static void input_free(struct input *in)
{
    if (in->attachment != NULL)
        in->attachment->input = NULL;
    list_remove(&in->in_shell);
    recordio_reader_deinit(&in->reader);
    agent_input_deinit(&in->parser);
    free(in);
}

static void attachment_free(struct agent_attachment *a)
{
    (void)map_remove(&a->shell->attachments.by_launcher_id, a->launcher_id);
    a->watch = loop_fd_remove(a->watch);
    a->heartbeat = loop_timer_remove(a->heartbeat);
    (void)close(a->fd); /* a session ends with it, if it has not */
    free(a->launcher_id);
    free(a);
}

void agent_attachments_deinit(struct agent_attachments *all)
{
    while (!list_is_empty(&all->inputs)) /* first: they point to what they feed */
        input_free(container_of(all->inputs.next, struct input, in_shell));
    for (struct map_entry *e; (e = map_first(&all->by_launcher_id)) != NULL;) {
        struct agent_attachment *a = map_value(e);
        while (!list_is_empty(&a->outputs))
            output_free(container_of(a->outputs.next, struct output, in_attachment));
        attachment_free(a);
    }
    map_deinit(&all->by_launcher_id);
}

/* The container has ended, or its supervisor is gone: everybody has got what there was. */
static void finish(struct agent_attachment *a)
{
    for (struct list *n; (n = list_pop_front(&a->outputs)) != NULL;) {
        struct output *o = container_of(n, struct output, in_attachment);
        struct http_exchange *x = o->x;
        output_free(o);
        http_stream_end(x);
    }
    if (a->input != NULL) {
        struct http_exchange *x = a->input->x;
        input_free(a->input);
        http_reply(x, 200, NULL, NULL, 0);
    }
    attachment_free(a);
}

/* Somebody left. */
static void check_use(struct agent_attachment *a)
{
    if (!a->is_session && list_is_empty(&a->outputs) && a->input == NULL)
        attachment_free(a);
}

static void update_watch(struct agent_attachment *a)
{
    size_t len;
    bool has_input = a->input != NULL && agent_input_packet(&a->input->parser, &len) != NULL;
    loop_fd_set(a->watch, (a->is_session && a->slow_count > 0 ? 0u : LOOP_READ) | (has_input ? LOOP_WRITE : 0u));
}

/* -- output --------------------------------------------------------------------------------------------------- */

static void on_drained(void *ctx, struct http_exchange *x)
{
    (void)x;
    struct output *o = ctx;
    o->attachment->slow_count -= o->is_slow;
    o->is_slow = false;
    update_watch(o->attachment);
}

static void send_record(struct output *o, const struct buf *record)
{
    /* A broken answer reports itself by closed. */
    if (http_stream_write(o->x, buf_data(record), buf_len(record)) != 0 || !o->attachment->is_session || o->is_slow ||
        http_stream_pending(o->x) < OUTPUT_PENDING_PAUSE)
        return;
    o->is_slow = true;
    o->attachment->slow_count++;
    http_stream_on_drained(o->x, on_drained, o);
}

static void send_io(struct agent_attachment *a, const Mesos__V1__Agent__ProcessIO *io)
{
    struct buf body, records[2];
    bool is_made[2] = {false, false};
    buf_init(&body, RECORD_MAX);
    buf_init(&records[WIRE_JSON], RECORD_MAX + 32);
    buf_init(&records[WIRE_PROTOBUF], RECORD_MAX + 32);
    list_for_each(it, &a->outputs)
    {
        struct output *o = container_of(it, struct output, in_attachment);
        if (!is_made[o->format]) {
            buf_clear(&body);
            CHECK(wire_encode(o->format, &io->base, &body) == 0); /* a packet is far below the bound */
            CHECK(recordio_append(&records[o->format], buf_data(&body), buf_len(&body)) == 0);
            is_made[o->format] = true;
        }
        send_record(o, &records[o->format]);
    }
    buf_deinit(&body);
    buf_deinit(&records[0]);
    buf_deinit(&records[1]);
}

static void send_data(struct agent_attachment *a, const uint8_t *packet, size_t len)
{
    Mesos__V1__Agent__ProcessIO__Data data = MESOS__V1__AGENT__PROCESS_IO__DATA__INIT;
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    data.has_type = data.has_data = io.has_type = true;
    data.type = packet[0] == LAUNCHER_PACKET_STDERR ? MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDERR
                                                    : MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDOUT;
    data.data = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)packet + 1, .len = len - 1};
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__DATA;
    io.data = &data;
    send_io(a, &io);
}

static void on_heartbeat(void *ctx)
{
    struct agent_attachment *a = ctx;
    Mesos__V1__DurationInfo interval = MESOS__V1__DURATION_INFO__INIT;
    Mesos__V1__Agent__ProcessIO__Control__Heartbeat heartbeat = MESOS__V1__AGENT__PROCESS_IO__CONTROL__HEARTBEAT__INIT;
    Mesos__V1__Agent__ProcessIO__Control control = MESOS__V1__AGENT__PROCESS_IO__CONTROL__INIT;
    Mesos__V1__Agent__ProcessIO io = MESOS__V1__AGENT__PROCESS_IO__INIT;
    interval.nanoseconds = HEARTBEAT_MS * INT64_C(1000000);
    heartbeat.interval = &interval;
    control.has_type = io.has_type = true;
    control.type = MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__HEARTBEAT;
    control.heartbeat = &heartbeat;
    io.type = MESOS__V1__AGENT__PROCESS_IO__TYPE__CONTROL;
    io.control = &control;
    send_io(a, &io);
    loop_timer_start(a->heartbeat, HEARTBEAT_MS);
}

static void on_output_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    struct output *o = ctx;
    struct agent_attachment *a = o->attachment;
    bool was_owner = o->is_owner;
    output_free(o);
    if (was_owner)
        a->shell->launcher->ops->destroy(a->shell->launcher, a->launcher_id);
    update_watch(a);
    check_use(a);
}

/* False when the attachment is gone. */
static bool receive(struct agent_attachment *a)
{
    uint8_t packet[1 + LAUNCHER_PACKET_MAX];
    for (int i = 0; i < PACKETS_PER_TURN && !(a->is_session && a->slow_count > 0); i++) {
        ssize_t n = recv(a->fd, packet, sizeof(packet), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0) {
            finish(a);
            return false;
        }
        if (n > 1)
            send_data(a, packet, (size_t)n);
    }
    return true;
}

/* -- input ---------------------------------------------------------------------------------------------------- */

/* Gives the queued packets to the container, as far as it takes them. */
static void send_input(struct agent_attachment *a)
{
    struct input *in = a->input;
    const uint8_t *packet;
    size_t len;
    while (in != NULL && (packet = agent_input_packet(&in->parser, &len)) != NULL) {
        ssize_t n = send(a->fd, packet, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == ENOBUFS))
            break;
        agent_input_taken(&in->parser); /* or nobody is there, which the reading side will hear */
    }
    update_watch(a);
    if (in == NULL)
        return;
    bool is_full = agent_input_packet(&in->parser, &len) != NULL;
    if (!in->has_ended && is_full != in->is_paused) {
        in->is_paused = is_full;
        http_exchange_pause_body(in->x, is_full);
    }
    if (in->has_ended && !is_full) {
        struct http_exchange *x = in->x;
        input_free(in);
        http_reply(x, 200, NULL, NULL, 0);
        check_use(a);
    }
}

static void on_socket(void *ctx, int fd, unsigned ready)
{
    (void)fd;
    struct agent_attachment *a = ctx;
    if ((ready & LOOP_READ) && !receive(a))
        return;
    if (ready & LOOP_WRITE)
        send_input(a);
    else
        update_watch(a);
}

static int attach(struct agent_shell *s, const char *launcher_id, bool is_session, struct agent_attachment **out,
                  struct err *err)
{
    *out = map_get(&s->attachments.by_launcher_id, launcher_id);
    if (*out != NULL)
        return 0;
    int fd, rc = s->launcher->ops->attach(s->launcher, launcher_id, &fd, err);
    if (rc != 0)
        return rc;
    struct agent_attachment *a = xcalloc(1, sizeof(*a));
    a->shell = s;
    a->launcher_id = xstrdup(launcher_id);
    a->is_session = is_session;
    a->fd = fd;
    list_init(&a->outputs);
    a->watch = loop_fd_add(s->loop, fd, LOOP_READ, on_socket, a);
    a->heartbeat = loop_timer_add(s->loop, on_heartbeat, a);
    loop_timer_start(a->heartbeat, HEARTBEAT_MS);
    (void)map_put(&s->attachments.by_launcher_id, a->launcher_id, a);
    *out = a;
    return 0;
}

int agent_attach_output(struct agent_shell *s, const char *launcher_id, bool is_session, struct http_exchange *x,
                        struct agent_stream_format format, struct err *err)
{
    struct agent_attachment *a;
    int rc = attach(s, launcher_id, is_session, &a, err);
    if (rc != 0)
        return rc;
    struct output *o = xcalloc(1, sizeof(*o));
    *o = (struct output){.attachment = a, .x = x, .format = format.record, .is_owner = is_session};
    list_push_back(&a->outputs, &o->in_attachment);
    agent_api_stream_begin(x, format, OUTPUT_PENDING_MAX);
    http_exchange_on_closed(x, on_output_closed, o);
    return 0;
}

static void on_input_closed(void *ctx, struct http_exchange *x)
{
    (void)x;
    struct input *in = ctx;
    struct agent_attachment *a = in->attachment;
    input_free(in);
    if (a != NULL) {
        update_watch(a);
        check_use(a);
    }
}

/* The first record: to which container? */
static int find_container(struct input *in, const Mesos__V1__ContainerID *id, struct arena *arena)
{
    struct agent_input_parser *p = &in->parser;
    struct err err = {""};
    const char *launcher_id = NULL;
    p->status = agent_api_container_for_input(in->shell, in->x, id, arena, &launcher_id, &err);
    struct agent_attachment *a = NULL;
    if (p->status == 0) {
        int rc = attach(in->shell, launcher_id, false, &a, &err);
        p->status = rc == 0 ? 0 : 500;
    }
    if (p->status == 0 && a->input != NULL) {
        p->status = 409;
        (void)err_set(&err, 0, "The input of the container is attached already");
    }
    if (p->status != 0) {
        (void)snprintf(p->text, sizeof(p->text), "%.399s", err.text);
        if (a != NULL)
            check_use(a);
        return -EPROTO;
    }
    in->attachment = a;
    a->input = in;
    return 0;
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct input *in = ctx;
    struct arena *arena = arena_new(0);
    const Mesos__V1__ContainerID *id;
    int rc = agent_input_record(&in->parser, data, len, arena, &id);
    if (rc == 1)
        rc = find_container(in, id, arena);
    (void)arena_free(arena);
    return rc;
}

static void fail_input(struct input *in, int status, const char *text)
{
    struct http_exchange *x = in->x;
    struct agent_attachment *a = in->attachment;
    http_reply_text(x, status, "%s", text);
    input_free(in);
    if (a != NULL) {
        update_watch(a);
        check_use(a);
    }
}

static void on_body(void *ctx, struct http_exchange *x, const void *data, size_t len)
{
    (void)x;
    struct input *in = ctx;
    int rc = data == NULL ? 0 : recordio_feed(&in->reader, data, len, on_record, in);
    if (in->parser.status != 0) {
        fail_input(in, in->parser.status, in->parser.text);
    } else if (rc != 0) {
        fail_input(in, 400, rc == -EMSGSIZE ? "A record is larger than 1 MiB" : "The body is not in RecordIO format");
    } else if (data == NULL && in->attachment == NULL) {
        fail_input(in, 400, "Expecting 'attach_container_input.type' to be CONTAINER_ID in the first record");
    } else if (data == NULL && buf_len(&in->reader.pending) > 0) {
        fail_input(in, 400, "The body ends inside a record");
    } else if (in->attachment != NULL) {
        in->has_ended = data == NULL;
        send_input(in->attachment);
    }
}

void agent_attach_input(struct agent_shell *s, struct http_exchange *x, enum wire_format record)
{
    struct input *in = xcalloc(1, sizeof(*in));
    in->shell = s;
    in->x = x;
    recordio_reader_init(&in->reader, AGENT_INPUT_RECORD_MAX);
    agent_input_init(&in->parser, record);
    list_push_back(&s->attachments.inputs, &in->in_shell);
    http_exchange_on_closed(x, on_input_closed, in);
    if (!http_exchange_on_body(x, on_body, in))
        fail_input(in, 400, "The body is empty");
}
