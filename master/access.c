/* SPDX-License-Identifier: Apache-2.0 */
#include "master/access.h"

#include <errno.h>
#include <string.h>

#include "common/auth/browser.h"
#include "common/base/log.h"

enum realm { REALM_NONE, REALM_READONLY, REALM_READWRITE, REALM_SCHEDULER, REALM_AGENT };

static const struct {
    const char *path;
    enum realm realm;
} guarded[] = {
    {"/api/v1/scheduler", REALM_SCHEDULER},
    {"/link", REALM_AGENT},
    {"/health", REALM_NONE},
    {"/version", REALM_NONE},
    {"/redirect", REALM_NONE},
    {"/help", REALM_NONE},
    {"/system/stats.json", REALM_NONE},
    {"/state", REALM_READONLY},
    {"/state.json", REALM_READONLY},
    {"/state-summary", REALM_READONLY},
    {"/tasks", REALM_READONLY},
    {"/slaves", REALM_READONLY},
    {"/frameworks", REALM_READONLY},
    {"/roles", REALM_READONLY},
    {"/maintenance/status", REALM_READONLY},
    {"/flags", REALM_READONLY},
    {"/metrics", REALM_READONLY},
    {"/metrics/snapshot", REALM_READONLY},
    {"/files/browse", REALM_READONLY},
    {"/files/read", REALM_READONLY},
    {"/files/download", REALM_READONLY},
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

/* What ACLs say of whole endpoints; all else is asked where the objects are known (authorize.h). */
static bool may_get(const struct auth_acls *acls, const char *path, const char *principal)
{
    if (strcmp(path, "/flags") == 0)
        return auth_allows(acls, principal, AUTH_VIEW_FLAGS, NULL);
    if (strcmp(path, "/metrics") == 0) /* the same in another form */
        path = "/metrics/snapshot";
    return !auth_acl_guards(path) || auth_allows(acls, principal, AUTH_GET_ENDPOINT, path);
}

bool master_access_pass(const struct master_access *a, const char *path, struct http_exchange *x,
                        const struct http_message *request)
{
    static const char *const names[] = {
        [REALM_NONE] = "",
        [REALM_READONLY] = "mesos-master-readonly",
        [REALM_READWRITE] = "mesos-master-readwrite",
        [REALM_SCHEDULER] = "mesos-master-scheduler",
        [REALM_AGENT] = "mesos-master-agent",
    };
    const bool is_closed[] = {
        [REALM_NONE] = false,
        [REALM_READONLY] = a->options->authenticate_http_readonly,
        [REALM_READWRITE] = a->options->authenticate_http_readwrite,
        [REALM_SCHEDULER] = a->options->authenticate_http_frameworks,
        [REALM_AGENT] = a->options->authenticate_agents,
    };
    enum realm realm = realm_of(path);
    if (!auth_browser_pass(a->options->ip, a->options->hostname, x, request))
        return false;
    if (is_closed[realm] && !auth_gate_pass(&a->gate, names[realm], x, request))
        return false;
    if (may_get(a->acls, path, auth_subject_of(x)->principal))
        return true;
    http_reply_text(x, 403, "403 Forbidden");
    return false;
}

/* -- life ------------------------------------------------------------------------------------------------------- */

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static void warn_of_strangers(const struct master_options *o)
{
    if (is_loopback(o->ip))
        return;
    if (!o->authenticate_http_readwrite || !o->authenticate_http_frameworks)
        log_warning("listening on %s without authentication: everyone who reaches it can run tasks on every agent", o->ip);
    if (!o->authenticate_agents)
        log_warning("listening on %s without authentication of agents: everyone who reaches it can take tasks", o->ip);
    if (!o->authenticate_http_readonly)
        log_warning("listening on %s: everyone who reaches it can read what runs in the cluster", o->ip);
}

int master_access_init(struct master_access *a, const struct master_options *o, struct err *err)
{
    bool is_exposed = false;
    *a = (struct master_access){.options = o};
    if (o->credentials != NULL) {
        int r = auth_credentials_load(o->credentials, &a->credentials, &is_exposed, err);
        if (r < 0)
            return err_wrap(err, r, "--credentials");
        if (is_exposed)
            log_warning("--credentials: everybody on this machine can read the file; its mode should be 0600");
    }
    if (o->acls != NULL) {
        int r = auth_acls_load(o->acls, &a->acls, err);
        if (r < 0)
            return err_wrap(err, r, "--acls");
    }
    a->gate.credentials = a->credentials;
    warn_of_strangers(o);
    return 0;
}

void master_access_deinit(struct master_access *a)
{
    a->credentials = auth_credentials_free(a->credentials);
    a->acls = auth_acls_free(a->acls);
}
