/* SPDX-License-Identifier: Apache-2.0
 * api_changes.c - old endpoints by which operators change things (facts: mesos 5.1): /weights, /quota, /maintenance,
 * /machine. Each request becomes the call of the v1 API that means the same. */
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/wire/codec.h"
#include "master/maintenance.h"
#include "master/shell.h"

#define ANSWER_BYTES_MAX ((size_t)1 << 26)

static void refuse_method(struct http_exchange *x, const char *allow, const char *expected, const char *method)
{
    http_add_header(x, "Allow", allow);
    http_reply_text(x, 405, "Expecting one of { %s }, but received '%s'", expected, method);
}

static void answer(struct http_exchange *x, const ProtobufCMessage *message)
{
    struct buf body;
    buf_init(&body, ANSWER_BYTES_MAX);
    if (wire_encode(WIRE_JSON, message, &body) < 0)
        http_reply_text(x, 500, "The answer is too large");
    else
        http_reply(x, 200, "application/json", buf_data(&body), buf_len(&body));
    buf_deinit(&body);
}

static void make_call(struct master_shell *s, struct http_exchange *x, const Mesos__V1__Master__Call *call)
{
    struct master_event in = {
        .type = MASTER_EVENT_OPERATOR_CALL,
        .operator_call = {.request = ++s->next_id, .principal = auth_subject_of(x)->principal, .call = call}};
    master_shell_step_request(s, &in, in.operator_call.request, x);
}

/* The body, a JSON value, as the member `name` of a message; NULL after the request was refused. */
static void *read_member(struct master_shell *s, struct http_exchange *x, const struct http_message *request,
                         const char *name, const ProtobufCMessageDescriptor *type)
{
    struct err err = {""};
    json_t *value = json_read(request->body, request->body_len, &err);
    if (value == NULL) {
        http_reply_text(x, 400, "Failed to parse body: %s", err.text);
        return NULL;
    }
    json_t *object = name != NULL ? json_pack("{s:o}", name, value) : value;
    char *text = json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(object);
    arena_reset(s->arena);
    void *message = text != NULL ? wire_decode(WIRE_JSON, type, text, strlen(text), s->arena, &err) : NULL;
    free(text);
    if (message == NULL)
        http_reply_text(x, 400, "Failed to convert the body: %s", err.text);
    return message;
}

static bool is_serving(const struct master_shell *s, struct http_exchange *x)
{
    if (!s->is_serving)
        http_reply_text(x, 503, "Master has not finished recovery");
    return s->is_serving;
}

static bool is(const struct http_message *request, const char *method)
{
    return strcmp(request->method, method) == 0;
}

void master_shell_on_weights(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    if (!is_serving(s, x))
        return;
    if (is(request, "GET")) {
        struct arena *arena = http_exchange_arena(x);
        const struct master_view view = master_view(s->core, auth_subject_of(x)->principal);
        const Mesos__V1__Master__Response__GetWeights *all = master_view_weights(&view, arena);
        struct buf body;
        struct json_writer w;
        buf_init(&body, ANSWER_BYTES_MAX);
        json_writer_init(&w, &body);
        json_begin_array(&w);
        for (size_t i = 0; i < all->n_weight_infos; i++)
            wire_to_json(&all->weight_infos[i]->base, &w);
        json_end_array(&w);
        http_reply(x, 200, "application/json", buf_data(&body), buf_len(&body));
        buf_deinit(&body);
    } else if (is(request, "PUT")) {
        call.type = MESOS__V1__MASTER__CALL__TYPE__UPDATE_WEIGHTS;
        call.update_weights =
            read_member(s, x, request, "weight_infos", &mesos__v1__master__call__update_weights__descriptor);
        if (call.update_weights != NULL)
            make_call(s, x, &call);
    } else {
        refuse_method(x, "GET, PUT", "'GET', 'PUT'", request->method);
    }
}

/* The role of DELETE /quota/ROLE; NULL: none. */
static char *role_of_path(struct http_exchange *x, const char *path)
{
    static const char prefix[] = "/quota/";
    if (strncmp(path, "/master/", 8) == 0)
        path += 7;
    if (strncmp(path, prefix, sizeof(prefix) - 1) != 0 || path[sizeof(prefix) - 1] == '\0')
        return NULL;
    return arena_strdup(http_exchange_arena(x), path + sizeof(prefix) - 1);
}

void master_shell_on_quota(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    Mesos__V1__Master__Call__SetQuota set = MESOS__V1__MASTER__CALL__SET_QUOTA__INIT;
    Mesos__V1__Master__Call__RemoveQuota remove = MESOS__V1__MASTER__CALL__REMOVE_QUOTA__INIT;
    call.has_type = true;
    if (!is_serving(s, x))
        return;
    if (is(request, "GET")) {
        const struct master_view view = master_view(s->core, auth_subject_of(x)->principal);
        answer(x, &master_view_quota(&view, http_exchange_arena(x))->base);
    } else if (is(request, "POST")) {
        call.type = MESOS__V1__MASTER__CALL__TYPE__SET_QUOTA;
        call.set_quota = &set;
        set.quota_request = read_member(s, x, request, NULL, &mesos__v1__quota__quota_request__descriptor);
        if (set.quota_request != NULL)
            make_call(s, x, &call);
    } else if (is(request, "DELETE")) {
        call.type = MESOS__V1__MASTER__CALL__TYPE__REMOVE_QUOTA;
        call.remove_quota = &remove;
        remove.role = role_of_path(x, request->path);
        if (remove.role == NULL)
            http_reply_text(x, 400, "Failed to parse remove quota request: the path names no role");
        else
            make_call(s, x, &call);
    } else {
        refuse_method(x, "GET, POST, DELETE", "'GET', 'POST', 'DELETE'", request->method);
    }
}

/* -- maintenance ------------------------------------------------------------------------------------------------- */

void master_shell_on_maintenance_schedule(struct master_shell *s, struct http_exchange *x,
                                          const struct http_message *request)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = MESOS__V1__MASTER__CALL__TYPE__UPDATE_MAINTENANCE_SCHEDULE;
    if (!is_serving(s, x))
        return;
    if (is(request, "GET")) {
        answer(x, &master_maintenance_schedule(s->core, http_exchange_arena(x))->base);
    } else if (is(request, "POST")) {
        call.update_maintenance_schedule =
            read_member(s, x, request, "schedule", &mesos__v1__master__call__update_maintenance_schedule__descriptor);
        if (call.update_maintenance_schedule != NULL)
            make_call(s, x, &call);
    } else {
        refuse_method(x, "GET, POST", "'GET', 'POST'", request->method);
    }
}

void master_shell_on_maintenance_status(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    if (!is_serving(s, x))
        return;
    if (is(request, "GET"))
        answer(x, &master_maintenance_status(s->core, http_exchange_arena(x))->base);
    else
        refuse_method(x, "GET", "'GET'", request->method);
}

static void on_machines(struct master_shell *s, struct http_exchange *x, const struct http_message *request, bool down)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = down ? MESOS__V1__MASTER__CALL__TYPE__START_MAINTENANCE : MESOS__V1__MASTER__CALL__TYPE__STOP_MAINTENANCE;
    if (!is_serving(s, x))
        return;
    if (!is(request, "POST")) {
        refuse_method(x, "POST", "'POST'", request->method);
        return;
    }
    void *body = read_member(s, x, request, "machines",
                             down ? &mesos__v1__master__call__start_maintenance__descriptor
                                  : &mesos__v1__master__call__stop_maintenance__descriptor);
    if (body == NULL)
        return;
    if (down)
        call.start_maintenance = body;
    else
        call.stop_maintenance = body;
    make_call(s, x, &call);
}

void master_shell_on_machine_down(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    on_machines(s, x, request, true);
}

void master_shell_on_machine_up(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    on_machines(s, x, request, false);
}
