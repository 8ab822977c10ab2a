/* SPDX-License-Identifier: Apache-2.0
 * ATTACH_CONTAINER_INPUT: a body of records, however it is split, gives the same packets or the same refusal; packets are
 * what the supervisor can take, and ids of containers survive the way to a path and back. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "agent/attach.h"
#include "agent/containers.h"
#include "common/base/check.h"
#include "common/http/recordio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct session {
    struct agent_input_parser parser;
    struct recordio_reader reader;
    struct buf packets; /* all that came out, with their lengths */
    char path[4096];
};

static void check_path(struct session *s, const Mesos__V1__ContainerID *id, struct arena *arena)
{
    struct err err = {""};
    const char *path = agent_container_path(id, arena, &err);
    if (path == NULL) {
        CHECK(err.text[0] != '\0');
        return;
    }
    CHECK(path[0] != '\0' && strchr(path, '/') == NULL);
    CHECK(strcmp(agent_container_path(agent_container_id(path, arena), arena, &err), path) == 0);
    CHECK(strlen(path) < sizeof(s->path));
    strcpy(s->path, path);
}

static void take_packets(struct session *s)
{
    const uint8_t *packet;
    size_t len;
    while ((packet = agent_input_packet(&s->parser, &len)) != NULL) {
        CHECK(packet[0] == LAUNCHER_PACKET_STDIN || packet[0] == LAUNCHER_PACKET_WINDOW);
        CHECK(len <= 1 + LAUNCHER_PACKET_MAX);
        CHECK(packet[0] != LAUNCHER_PACKET_WINDOW || len == 1 + sizeof(struct launcher_window));
        CHECK(recordio_append(&s->packets, packet, len) == 0);
        agent_input_taken(&s->parser);
    }
}

static int on_record(void *ctx, const void *data, size_t len)
{
    struct session *s = ctx;
    struct arena *arena = arena_new(0);
    const Mesos__V1__ContainerID *id = NULL;
    bool had_container = s->parser.has_container;
    int rc = agent_input_record(&s->parser, data, len, arena, &id);
    CHECK(rc <= 1 && (rc == 1) == (id != NULL) && (rc != 1 || !had_container));
    CHECK((rc < 0) == (s->parser.status != 0) && (rc >= 0 || s->parser.text[0] != '\0'));
    if (rc == 1)
        check_path(s, id, arena);
    (void)arena_free(arena);
    take_packets(s);
    return rc == 1 ? 0 : rc;
}

static int run(struct session *s, enum wire_format format, const uint8_t *data, size_t size, size_t piece)
{
    memset(s, 0, sizeof(*s));
    agent_input_init(&s->parser, format);
    recordio_reader_init(&s->reader, AGENT_INPUT_RECORD_MAX);
    buf_init(&s->packets, 64u << 20);
    int rc = 0;
    for (size_t at = 0; at < size && rc == 0; at += piece)
        rc = recordio_feed(&s->reader, data + at, size - at < piece ? size - at : piece, on_record, s);
    recordio_reader_deinit(&s->reader);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    static struct session whole, split;
    enum wire_format format = data[0] & 1 ? WIRE_JSON : WIRE_PROTOBUF;
    int rc = run(&whole, format, data + 1, size - 1, size);
    CHECK(run(&split, format, data + 1, size - 1, 1 + (data[0] >> 1) % 32u) == rc);
    CHECK(whole.parser.status == split.parser.status && strcmp(whole.parser.text, split.parser.text) == 0);
    CHECK(strcmp(whole.path, split.path) == 0 && buf_len(&whole.packets) == buf_len(&split.packets));
    CHECK(buf_len(&whole.packets) == 0 ||
          memcmp(buf_data(&whole.packets), buf_data(&split.packets), buf_len(&whole.packets)) == 0);
    agent_input_deinit(&whole.parser);
    agent_input_deinit(&split.parser);
    buf_deinit(&whole.packets);
    buf_deinit(&split.packets);
    return 0;
}
