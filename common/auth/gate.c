/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/gate.h"

#include <string.h>
#include <strings.h>

#include "common/base/text.h"

#define PAIR_BYTES_MAX (AUTH_PRINCIPAL_BYTES_MAX + 1 + AUTH_SECRET_BYTES_MAX)

static const struct auth_subject nobody;

const struct auth_subject *auth_subject_of(const struct http_exchange *x)
{
    const struct auth_subject *subject = http_exchange_user(x);
    return subject != NULL ? subject : &nobody;
}

/* The only Authorization header: 1 and its value, or how many there are. */
static size_t find_authorization(const struct http_message *request, const char **value)
{
    size_t count = 0;
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, "Authorization") == 0) {
            *value = request->headers[i].value;
            count++;
        }
    return count;
}

/* `Basic ` to the letter, then the pair in base64. */
static const char *basic_principal(const struct auth_credentials *credentials, const char *value)
{
    uint8_t pair[PAIR_BYTES_MAX];
    size_t len, value_len = strlen(value);
    if (credentials == NULL || strncmp(value, "Basic ", 6) != 0)
        return NULL;
    if (text_base64_decode(value + 6, value_len - 6, NULL, &len) < 0 || len > sizeof(pair))
        return NULL;
    (void)text_base64_decode(value + 6, value_len - 6, pair, &len); /* just measured */
    const char *principal = auth_credentials_find(credentials, pair, len);
    explicit_bzero(pair, sizeof(pair));
    return principal;
}

/* One header with the challenges of all that is offered (facts: mesos 10.1). why: of a token, NULL: there was none. */
static bool refuse(const struct auth_gate *g, const char *realm, struct http_exchange *x, const char *why)
{
    struct arena *arena = http_exchange_arena(x);
    const char *basic = "", *bearer = "";
    if (g->credentials != NULL)
        basic = arena_printf(arena, "Basic realm=\"%s\"", realm);
    if (g->tokens != NULL && why != NULL)
        bearer = arena_printf(arena, "Bearer realm=\"%s\", error=\"invalid_token\", error_description=\"%s\"", realm, why);
    else if (g->tokens != NULL)
        bearer = arena_printf(arena, "Bearer realm=\"%s\"", realm);
    http_add_header(x, "WWW-Authenticate",
                    arena_printf(arena, "%s%s%s", basic, basic[0] != '\0' && bearer[0] != '\0' ? "," : "", bearer));
    http_reply(x, 401, NULL, NULL, 0);
    return false;
}

bool auth_gate_pass(const struct auth_gate *g, const char *realm, struct http_exchange *x,
                    const struct http_message *request)
{
    const char *value = NULL;
    size_t count = find_authorization(request, &value);
    if (count > 1) {
        http_reply_text(x, 400, "More than one Authorization header");
        return false;
    }
    struct auth_subject *subject = arena_new_one(http_exchange_arena(x), struct auth_subject);
    const char *why = NULL;
    if (count == 1 && g->tokens != NULL && strncmp(value, "Bearer ", 7) == 0)
        (void)auth_token_read(g->tokens, value + 7, strlen(value + 7), g->now_s, http_exchange_arena(x), subject, &why);
    else if (count == 1)
        subject->principal = basic_principal(g->credentials, value);
    if (subject->principal == NULL && subject->framework_id == NULL)
        return refuse(g, realm, x, why);
    http_exchange_set_user(x, subject);
    return true;
}
