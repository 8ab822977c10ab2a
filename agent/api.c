/* SPDX-License-Identifier: Apache-2.0
 * api.c - which handler answers a request (facts: mesos 0.1): with or without the process id in front, a trailing slash
 * ignored, and the last component dropped until something matches. */
#include <string.h>

#include "agent/shell.h"

#define PREFIX "/slave(1)"

static const char *const media_types[] = {"application/json", "application/x-protobuf"};

bool agent_api_content_type(struct http_exchange *x, const struct http_message *request, enum wire_format *format)
{
    const char *type = http_header(request, "Content-Type");
    if (type == NULL) {
        http_reply_text(x, 400, "Expecting 'Content-Type' to be present");
        return false;
    }
    for (size_t i = 0; i < 2; i++) { /* to the letter: a parameter like charset is another type (facts: mesos 0.2) */
        if (strcmp(media_types[i], type) == 0) {
            *format = i == 0 ? WIRE_JSON : WIRE_PROTOBUF;
            return true;
        }
    }
    http_reply_text(x, 415, "Expecting 'Content-Type' of %s or %s", media_types[0], media_types[1]);
    return false;
}

bool agent_api_accept(struct http_exchange *x, const struct http_message *request, enum wire_format *format)
{
    int i = http_accept(request, media_types, 2);
    if (i < 0) {
        http_reply_text(x, 406, "Expecting 'Accept' to allow %s or %s", media_types[0], media_types[1]);
        return false;
    }
    *format = i == 0 ? WIRE_JSON : WIRE_PROTOBUF;
    return true;
}

/* Authentication comes first (facts: mesos 0.3). True: path is ours, and the request was answered or is being so. */
static bool dispatch(struct agent_shell *s, struct http_exchange *x, const struct http_message *request, const char *path)
{
    if (strcmp(path, "/api/v1/executor") == 0) {
        if (agent_access_pass(&s->access, path, x, request))
            agent_api_executor(s, x, request);
        return true;
    }
    if (strcmp(path, "/api/v1") == 0) {
        if (agent_access_pass(&s->access, path, x, request))
            agent_api_operator(s, x, request);
        return true;
    }
    return agent_api_legacy(s, x, request, path);
}

void agent_api_handle(void *ctx, struct http_exchange *x, const struct http_message *request)
{
    struct agent_shell *s = ctx;
    if (s->core == NULL || s->stopped) {
        http_reply_text(x, 503, "Agent is starting or stopping");
        return;
    }
    char *path = request->path;
    if (strncmp(path, PREFIX, strlen(PREFIX)) == 0 && (path[strlen(PREFIX)] == '/' || path[strlen(PREFIX)] == '\0'))
        path += strlen(PREFIX);
    for (;;) {
        size_t len = strlen(path);
        while (len > 0 && path[len - 1] == '/')
            path[--len] = '\0';
        if (len == 0) {
            http_reply(x, 404, NULL, NULL, 0);
            return;
        }
        if (dispatch(s, x, request, path))
            return;
        char *slash = strrchr(path, '/');
        if (slash == NULL)
            *path = '\0';
        else
            *slash = '\0';
    }
}
