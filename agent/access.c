/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/auth/browser.h"
#include "common/base/log.h"

enum realm { REALM_NONE, REALM_READONLY, REALM_READWRITE, REALM_EXECUTOR };

static const struct {
    const char *path;
    enum realm realm;
} guarded[] = {
    {"/api/v1/executor", REALM_EXECUTOR},
    {"/health", REALM_NONE},
    {"/version", REALM_NONE},
    {"/system/stats.json", REALM_NONE},
    {"/state", REALM_READONLY},
    {"/state.json", REALM_READONLY},
    {"/flags", REALM_READONLY},
    {"/containers", REALM_READONLY},
    {"/containerizer/debug", REALM_READONLY},
    {"/monitor/statistics", REALM_READONLY},
    {"/metrics", REALM_READONLY},
    {"/metrics/snapshot", REALM_READONLY},
    {"/files/browse", REALM_READONLY},
    {"/files/browse.json", REALM_READONLY},
    {"/files/read", REALM_READONLY},
    {"/files/read.json", REALM_READONLY},
    {"/files/download", REALM_READONLY},
    {"/files/download.json", REALM_READONLY},
    {"/files/follow", REALM_READONLY},
    {"/files/debug", REALM_READONLY},
};

/* A path that is not listed may change something. */
static enum realm realm_of(const char *path)
{
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
        if (strcmp(guarded[i].path, path) == 0)
            return guarded[i].realm;
    return REALM_READWRITE;
}

/* What ACLs say of whole endpoints; all else is asked where the objects are known (permits.c). */
static bool may_get(const struct auth_acls *acls, const char *path, const char *principal)
{
    if (strcmp(path, "/flags") == 0)
        return auth_allows(acls, principal, AUTH_VIEW_FLAGS, NULL);
    if (strcmp(path, "/metrics") == 0) /* the same in another form */
        path = "/metrics/snapshot";
    return !auth_acl_guards(path) || auth_allows(acls, principal, AUTH_GET_ENDPOINT, path);
}

bool agent_access_pass(const struct agent_access *a, const char *path, struct http_exchange *x,
                       const struct http_message *request)
{
    static const char *const names[] = {
        [REALM_NONE] = "",
        [REALM_READONLY] = "mesos-agent-readonly",
        [REALM_READWRITE] = "mesos-agent-readwrite",
        [REALM_EXECUTOR] = "mesos-agent-executor",
    };
    const bool is_closed[] = {
        [REALM_NONE] = false,
        [REALM_READONLY] = a->options->authenticate_http_readonly,
        [REALM_READWRITE] = a->options->authenticate_http_readwrite,
        [REALM_EXECUTOR] = a->options->authenticate_http_executors,
    };
    enum realm realm = realm_of(path);
    if (!auth_browser_pass(a->options->ip, a->options->hostname, x, request))
        return false;
    struct auth_gate gate = {.now_s = (int64_t)time(NULL)};
    if (realm != REALM_EXECUTOR)
        gate.credentials = a->credentials;
    if (a->options->authenticate_http_executors && realm != REALM_READONLY)
        gate.tokens = a->tokens; /* executors manage their own nested containers, see permits.c */
    if (is_closed[realm] && !auth_gate_pass(&gate, names[realm], x, request))
        return false;
    if (may_get(a->acls, path, auth_subject_of(x)->principal))
        return true;
    http_reply_text(x, 403, "403 Forbidden");
    return false;
}

char *agent_access_token(void *ctx, const char *framework_id, const char *executor_id, const char *container_id,
                         struct arena *arena)
{
    const struct agent_access *a = ctx;
    return auth_token_make(a->tokens, framework_id, executor_id, container_id, arena);
}

/* -- life ------------------------------------------------------------------------------------------------------- */

static void warn_of_strangers(const struct agent_options *o)
{
    if (strncmp(o->ip, "127.", 4) == 0 || strcmp(o->ip, "::1") == 0)
        return;
    if (!o->authenticate_http_readonly || !o->authenticate_http_readwrite)
        log_warning("listening on %s without authentication: everyone who reaches it can read sandboxes", o->ip);
}

static void warn_of_readers(const char *flag, bool is_exposed)
{
    if (is_exposed)
        log_warning("--%s: everybody on this machine can read the file; its mode should be 0600", flag);
}

static int load_credential(struct agent_access *a, struct err *err)
{
    struct auth_credential credential;
    bool is_exposed = false;
    int r = auth_credential_load(a->options->credential, &credential, &is_exposed, err);
    if (r < 0)
        return err_wrap(err, r, "--credential");
    warn_of_readers("credential", is_exposed);
    a->master_authorization = auth_basic_value(credential.principal, credential.secret);
    auth_credential_deinit(&credential);
    return 0;
}

int agent_access_init(struct agent_access *a, const struct agent_options *o, struct err *err)
{
    bool is_exposed = false;
    *a = (struct agent_access){.options = o};
    if (o->http_credentials == NULL && (o->authenticate_http_readonly || o->authenticate_http_readwrite))
        return err_set(err, -EINVAL, "--http_credentials is needed: without it nobody could get in");
    if (o->jwt_secret_key == NULL && o->authenticate_http_executors)
        return err_set(err, -EINVAL, "--jwt_secret_key is needed: without it no executor could get in");
    int r = o->credential != NULL ? load_credential(a, err) : 0;
    if (r < 0)
        return r;
    if (o->http_credentials != NULL) {
        r = auth_credentials_load(o->http_credentials, &a->credentials, &is_exposed, err);
        if (r < 0)
            return err_wrap(err, r, "--http_credentials");
        warn_of_readers("http_credentials", is_exposed);
    }
    if (o->jwt_secret_key != NULL) {
        r = auth_tokens_load(o->jwt_secret_key, &a->tokens, &is_exposed, err);
        if (r < 0)
            return err_wrap(err, r, "--jwt_secret_key");
        warn_of_readers("jwt_secret_key", is_exposed);
    }
    if (o->acls != NULL) {
        r = auth_acls_load(o->acls, &a->acls, err);
        if (r < 0)
            return err_wrap(err, r, "--acls");
    }
    warn_of_strangers(o);
    return 0;
}

void agent_access_deinit(struct agent_access *a)
{
    a->credentials = auth_credentials_free(a->credentials);
    a->acls = auth_acls_free(a->acls);
    a->tokens = auth_tokens_free(a->tokens);
    if (a->master_authorization != NULL)
        explicit_bzero(a->master_authorization, strlen(a->master_authorization));
    free(a->master_authorization);
    a->master_authorization = NULL;
}
