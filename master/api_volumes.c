/* SPDX-License-Identifier: Apache-2.0
 * api_volumes.c - the old endpoints /reserve, /unreserve, /create-volumes and /destroy-volumes (facts: mesos 5.1): a form
 * becomes the same call as that of the v1 API. */
#include <stdlib.h>
#include <string.h>

#include "common/auth/gate.h"
#include "common/base/text.h"
#include "common/wire/codec.h"
#include "master/shell.h"

/* The percent-decoded value of a key in a form, into the arena. NULL: it is not there, or cannot be decoded. */
static char *form_value(struct arena *arena, const struct http_message *request, const char *key)
{
    const char *at = (const char *)request->body, *end = at + request->body_len;
    size_t key_len = strlen(key);
    while (at < end) {
        const char *stop = memchr(at, '&', (size_t)(end - at));
        size_t len = (size_t)((stop != NULL ? stop : end) - at);
        if (len > key_len && memcmp(at, key, key_len) == 0 && at[key_len] == '=') {
            char *value = arena_memdup(arena, at + key_len, len - key_len + 1);
            memmove(value, value + 1, len - key_len - 1);
            value[len - key_len - 1] = '\0';
            value[strcspn(value, "\r\n")] = '\0';
            return text_percent_decode(value, true) < 0 ? NULL : value;
        }
        at += len + 1;
    }
    return NULL;
}

static bool read_agent(struct master_shell *s, struct http_exchange *x, const struct http_message *request,
                       Mesos__V1__AgentID *id)
{
    if (!s->is_serving) {
        http_reply_text(x, 503, "Master has not finished recovery");
        return false;
    }
    if (strcmp(request->method, "POST") != 0) {
        http_add_header(x, "Allow", "POST");
        http_reply_text(x, 405, "Expecting one of { 'POST' }, but received '%s'", request->method);
        return false;
    }
    *id = (Mesos__V1__AgentID)MESOS__V1__AGENT_ID__INIT;
    id->value = form_value(http_exchange_arena(x), request, "slaveId");
    if (id->value == NULL)
        http_reply_text(x, 400, "Missing 'slaveId' query parameter in the request body");
    return id->value != NULL;
}

/* The form's JSON list `key`, as the field of the same name in a message of this type. NULL when it was answered. */
static void *read_list(struct http_exchange *x, const struct http_message *request, const char *key,
                       const ProtobufCMessageDescriptor *type)
{
    struct arena *arena = http_exchange_arena(x);
    struct err err;
    const char *value = form_value(arena, request, key);
    if (value == NULL) {
        http_reply_text(x, 400, "Missing '%s' query parameter in the request body", key);
        return NULL;
    }
    const char *text = arena_printf(arena, "{\"%s\":%s}", key, value);
    void *message = wire_decode(WIRE_JSON, type, text, strlen(text), arena, &err);
    if (message == NULL)
        http_reply_text(x, 400, "Error in parsing '%s' query parameter in the request body: %s", key, err.text);
    return message;
}

static void ask(struct master_shell *s, struct http_exchange *x, const Mesos__V1__Master__Call *call)
{
    struct master_event in = {
        .type = MASTER_EVENT_OPERATOR_CALL,
        .operator_call = {.request = ++s->next_id, .principal = auth_subject_of(x)->principal, .call = call}};
    master_shell_step_request(s, &in, in.operator_call.request, x);
}

static Mesos__V1__Master__Call call_of(Mesos__V1__Master__Call__Type type)
{
    Mesos__V1__Master__Call call = MESOS__V1__MASTER__CALL__INIT;
    call.has_type = true;
    call.type = type;
    return call;
}

void master_shell_on_reserve(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__AgentID id;
    Mesos__V1__Master__Call call = call_of(MESOS__V1__MASTER__CALL__TYPE__RESERVE_RESOURCES);
    Mesos__V1__Master__Call__ReserveResources body = MESOS__V1__MASTER__CALL__RESERVE_RESOURCES__INIT;
    if (!read_agent(s, x, request, &id))
        return;
    const Mesos__V1__Offer__Operation__Reserve *list =
        read_list(x, request, "resources", &mesos__v1__offer__operation__reserve__descriptor);
    if (list == NULL)
        return;
    body.agent_id = &id;
    body.resources = list->resources;
    body.n_resources = list->n_resources;
    if (form_value(http_exchange_arena(x), request, "source") != NULL) {
        const Mesos__V1__Offer__Operation__Reserve *source =
            read_list(x, request, "source", &mesos__v1__offer__operation__reserve__descriptor);
        if (source == NULL)
            return;
        body.source = source->source;
        body.n_source = source->n_source;
    }
    call.reserve_resources = &body;
    ask(s, x, &call);
}

void master_shell_on_unreserve(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__AgentID id;
    Mesos__V1__Master__Call call = call_of(MESOS__V1__MASTER__CALL__TYPE__UNRESERVE_RESOURCES);
    Mesos__V1__Master__Call__UnreserveResources body = MESOS__V1__MASTER__CALL__UNRESERVE_RESOURCES__INIT;
    if (!read_agent(s, x, request, &id))
        return;
    const Mesos__V1__Offer__Operation__Unreserve *list =
        read_list(x, request, "resources", &mesos__v1__offer__operation__unreserve__descriptor);
    if (list == NULL)
        return;
    body.agent_id = &id;
    body.resources = list->resources;
    body.n_resources = list->n_resources;
    call.unreserve_resources = &body;
    ask(s, x, &call);
}

void master_shell_on_create_volumes(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__AgentID id;
    Mesos__V1__Master__Call call = call_of(MESOS__V1__MASTER__CALL__TYPE__CREATE_VOLUMES);
    Mesos__V1__Master__Call__CreateVolumes body = MESOS__V1__MASTER__CALL__CREATE_VOLUMES__INIT;
    if (!read_agent(s, x, request, &id))
        return;
    const Mesos__V1__Offer__Operation__Create *list =
        read_list(x, request, "volumes", &mesos__v1__offer__operation__create__descriptor);
    if (list == NULL)
        return;
    body.agent_id = &id;
    body.volumes = list->volumes;
    body.n_volumes = list->n_volumes;
    call.create_volumes = &body;
    ask(s, x, &call);
}

void master_shell_on_destroy_volumes(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    Mesos__V1__AgentID id;
    Mesos__V1__Master__Call call = call_of(MESOS__V1__MASTER__CALL__TYPE__DESTROY_VOLUMES);
    Mesos__V1__Master__Call__DestroyVolumes body = MESOS__V1__MASTER__CALL__DESTROY_VOLUMES__INIT;
    if (!read_agent(s, x, request, &id))
        return;
    const Mesos__V1__Offer__Operation__Destroy *list =
        read_list(x, request, "volumes", &mesos__v1__offer__operation__destroy__descriptor);
    if (list == NULL)
        return;
    body.agent_id = &id;
    body.volumes = list->volumes;
    body.n_volumes = list->n_volumes;
    call.destroy_volumes = &body;
    ask(s, x, &call);
}
