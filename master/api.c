/* SPDX-License-Identifier: Apache-2.0
 * api.c - which handler serves a path, and what all calls of the v1 APIs go through first. Paths (facts: mesos 0.1): with
 * or without the prefix /master, trailing slashes do not count, and where no handler fits the last component is dropped. */
#include <stdio.h>
#include <string.h>

#include "common/base/log.h"
#include "master/shell.h"

/* -- calls ------------------------------------------------------------------------------------------------------ */

static int request_format(const struct http_message *request, enum wire_format *format)
{
    const char *type = http_header(request, "Content-Type");
    if (type == NULL)
        return 400;
    /* Compared to the letter, a parameter like charset is another type (facts: mesos 0.2). */
    for (int f = WIRE_JSON; f <= WIRE_PROTOBUF; f++)
        if (strcmp(wire_media_type((enum wire_format)f), type) == 0) {
            *format = (enum wire_format)f;
            return 0;
        }
    return 415;
}

ProtobufCMessage *master_shell_read_call(struct master_shell *s, struct http_exchange *x,
                                         const struct http_message *request, const ProtobufCMessageDescriptor *type)
{
    enum wire_format format = WIRE_JSON;
    if (!s->is_serving) {
        http_reply_text(x, 503, "Master has not finished recovery");
        return NULL;
    }
    if (strcmp(request->method, "POST") != 0) {
        http_add_header(x, "Allow", "POST");
        http_reply_text(x, 405, "Expecting one of { 'POST' }, but received '%s'", request->method);
        return NULL;
    }
    int status = request_format(request, &format);
    if (status == 400)
        http_reply_text(x, 400, "Expecting 'Content-Type' to be present");
    else if (status != 0)
        http_reply_text(x, 415, "Expecting 'Content-Type' of application/json or application/x-protobuf");
    if (status != 0)
        return NULL;
    struct err err;
    arena_reset(s->arena);
    ProtobufCMessage *call = wire_decode(format, type, request->body, request->body_len, s->arena, &err);
    if (call == NULL)
        http_reply_text(x, 400, "Failed to parse body: %s", err.text);
    return call;
}

bool master_shell_accept(struct http_exchange *x, const struct http_message *request, enum wire_format *format)
{
    const char *types[] = {wire_media_type(WIRE_JSON), wire_media_type(WIRE_PROTOBUF)};
    int which = http_accept(request, types, 2);
    if (which < 0) {
        http_reply_text(x, 406, "Expecting 'Accept' to allow application/json or application/x-protobuf");
        return false;
    }
    *format = which == 0 ? WIRE_JSON : WIRE_PROTOBUF;
    return true;
}

/* -- paths ------------------------------------------------------------------------------------------------------ */

static master_shell_handler find_handler(const char *path)
{
    if (strcmp(path, "/api/v1/scheduler") == 0)
        return master_shell_on_scheduler;
    if (strcmp(path, "/api/v1") == 0)
        return master_shell_on_operator;
    if (strcmp(path, "/link") == 0)
        return master_shell_on_link_request;
    return master_shell_legacy_handler(path);
}

/* Cuts trailing slashes, then the last component. False: nothing is left. */
static bool cut_component(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return false;
    *slash = '\0';
    return true;
}

static void cut_slashes(char *path)
{
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
}

void master_shell_on_request(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct master_shell *s = ctx;
    char path[256];
    size_t len = strlen(request->path);
    const char *from = request->path;
    if (strncmp(from, "/master/", 8) == 0)
        from += 7;
    if (len >= sizeof(path) || from[0] != '/') {
        http_reply_text(x, 404, "Not Found");
        return;
    }
    (void)snprintf(path, sizeof(path), "%s", from); /* fits */
    do {
        cut_slashes(path);
        master_shell_handler handler = find_handler(path);
        if (handler != NULL) {
            if (master_access_pass(&s->access, path, x, request))
                handler(s, x, request);
            return;
        }
    } while (cut_component(path));
    http_reply_text(x, 404, "Not Found");
}
