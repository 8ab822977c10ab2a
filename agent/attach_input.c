/* SPDX-License-Identifier: Apache-2.0
 * attach_input.c - what a client of ATTACH_CONTAINER_INPUT sends: the container first, then data, window sizes, heartbeats.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/attach.h"
#include "common/base/check.h"

typedef Mesos__V1__Agent__Call__AttachContainerInput Input;
typedef Mesos__V1__Agent__ProcessIO ProcessIO;

void agent_input_init(struct agent_input_parser *p, enum wire_format format)
{
    memset(p, 0, sizeof(*p));
    p->format = format;
    buf_init(&p->packets, AGENT_INPUT_QUEUE_MAX);
}

void agent_input_deinit(struct agent_input_parser *p)
{
    buf_deinit(&p->packets);
}

static int refuse(struct agent_input_parser *p, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static int refuse(struct agent_input_parser *p, int status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p->text, sizeof(p->text), fmt, ap);
    va_end(ap);
    p->status = status;
    return -EPROTO;
}

static int queue(struct agent_input_parser *p, char type, const void *data, size_t len)
{
    uint32_t size = (uint32_t)len + 1;
    uint8_t *at = buf_reserve(&p->packets, sizeof(size) + size);
    if (at == NULL)
        return refuse(p, 500, "More input was sent than is taken");
    memcpy(at, &size, sizeof(size));
    at[sizeof(size)] = (uint8_t)type;
    if (len > 0)
        memcpy(at + sizeof(size) + 1, data, len);
    buf_commit(&p->packets, sizeof(size) + size);
    return 0;
}

static int take_data(struct agent_input_parser *p, const Mesos__V1__Agent__ProcessIO__Data *data)
{
    if (data == NULL)
        return refuse(p, 400,
                      "Failed to validate agent::Call: Expecting 'attach_container_input.process_io.data' to be present");
    if (!data->has_type || data->type != MESOS__V1__AGENT__PROCESS_IO__DATA__TYPE__STDIN)
        return refuse(
            p, 400, "Failed to validate agent::Call: Expecting 'attach_container_input.process_io.data.type' to be STDIN");
    size_t len = data->has_data ? data->data.len : 0, at = 0;
    int rc = len == 0 ? queue(p, LAUNCHER_PACKET_STDIN, NULL, 0) : 0;
    while (rc == 0 && at < len) {
        size_t piece = len - at < LAUNCHER_PACKET_MAX ? len - at : LAUNCHER_PACKET_MAX;
        rc = queue(p, LAUNCHER_PACKET_STDIN, data->data.data + at, piece);
        at += piece;
    }
    return rc;
}

static int take_control(struct agent_input_parser *p, const Mesos__V1__Agent__ProcessIO__Control *control)
{
    if (control == NULL || !control->has_type)
        return refuse(
            p, 400, "Failed to validate agent::Call: Expecting 'attach_container_input.process_io.control%s' to be present",
            control == NULL ? "" : ".type");
    if (control->type == MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__HEARTBEAT)
        return 0;
    if (control->type != MESOS__V1__AGENT__PROCESS_IO__CONTROL__TYPE__TTY_INFO)
        return refuse(p, 400,
                      "Failed to validate agent::Call: 'attach_container_input.process_io.control.type' is unknown");
    if (control->tty_info == NULL)
        return refuse(
            p, 400,
            "Failed to validate agent::Call: Expecting 'attach_container_input.process_io.control.tty_info' to be present");
    const Mesos__V1__TTYInfo__WindowSize *size = control->tty_info->window_size;
    if (size == NULL)
        return 0;
    struct launcher_window w = {.rows = size->rows > UINT16_MAX ? UINT16_MAX : (uint16_t)size->rows,
                                .columns = size->columns > UINT16_MAX ? UINT16_MAX : (uint16_t)size->columns};
    return queue(p, LAUNCHER_PACKET_WINDOW, &w, sizeof(w));
}

static int take_io(struct agent_input_parser *p, const ProcessIO *io)
{
    if (io == NULL)
        return refuse(p, 400,
                      "Failed to validate agent::Call: Expecting 'attach_container_input.process_io' to be present");
    if (!io->has_type)
        return refuse(p, 400,
                      "Failed to validate agent::Call: Expecting 'attach_container_input.process_io.type' to be present");
    switch (io->type) {
    case MESOS__V1__AGENT__PROCESS_IO__TYPE__DATA:
        return take_data(p, io->data);
    case MESOS__V1__AGENT__PROCESS_IO__TYPE__CONTROL:
        return take_control(p, io->control);
    default:
        return refuse(p, 400, "Failed to validate agent::Call: 'attach_container_input.process_io.type' is unknown");
    }
}

int agent_input_record(struct agent_input_parser *p, const void *data, size_t len, struct arena *arena,
                       const Mesos__V1__ContainerID **container)
{
    struct err err = {""};
    const Mesos__V1__Agent__Call *call =
        (const void *)wire_decode(p->format, &mesos__v1__agent__call__descriptor, data, len, arena, &err);
    if (call == NULL)
        return refuse(p, 400, "Failed to parse the body: %.300s", err.text);
    if (!call->has_type)
        return refuse(p, 400, "Failed to validate agent::Call: Expecting 'type' to be present");
    if (call->type != MESOS__V1__AGENT__CALL__TYPE__ATTACH_CONTAINER_INPUT)
        return refuse(p, 415, "Streaming 'Content-Type' application/recordio is not supported for %s call",
                      wire_enum_name(&mesos__v1__agent__call__type__descriptor, (int)call->type));
    const Input *input = call->attach_container_input;
    if (input == NULL)
        return refuse(p, 400, "Failed to validate agent::Call: Expecting 'attach_container_input' to be present");
    if (!input->has_type)
        return refuse(p, 400, "Failed to validate agent::Call: Expecting 'attach_container_input.type' to be present");
    if (!p->has_container) {
        if (input->type != MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__CONTAINER_ID)
            return refuse(p, 400, "Expecting 'attach_container_input.type' to be CONTAINER_ID in the first record");
        if (input->container_id == NULL)
            return refuse(p, 400,
                          "Failed to validate agent::Call: Expecting 'attach_container_input.container_id' to be present");
        p->has_container = true;
        *container = input->container_id;
        return 1;
    }
    if (input->type != MESOS__V1__AGENT__CALL__ATTACH_CONTAINER_INPUT__TYPE__PROCESS_IO)
        return refuse(p, 400, "Expecting 'attach_container_input.type' to be PROCESS_IO instead of %s",
                      wire_enum_name(&mesos__v1__agent__call__attach_container_input__type__descriptor, (int)input->type));
    return take_io(p, input->process_io);
}

const uint8_t *agent_input_packet(const struct agent_input_parser *p, size_t *len)
{
    uint32_t size;
    if (buf_len(&p->packets) == 0)
        return NULL;
    CHECK(buf_len(&p->packets) >= sizeof(size));
    memcpy(&size, buf_data(&p->packets), sizeof(size));
    CHECK(size >= 1 && buf_len(&p->packets) - sizeof(size) >= size);
    *len = size;
    return buf_data(&p->packets) + sizeof(size);
}

void agent_input_taken(struct agent_input_parser *p)
{
    size_t len;
    CHECK(agent_input_packet(p, &len) != NULL);
    buf_consume(&p->packets, sizeof(uint32_t) + len);
}
