/* SPDX-License-Identifier: Apache-2.0
 * links.c - connections of agents: GET /link with an upgrade, then frames (proto/muster/link.proto). */
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "master/shell.h"

#define LINK_PENDING_BYTES_MAX (64u << 20) /* unsent to one agent */

static struct master_shell_link *find_link(struct master_shell *s, link_id id)
{
    struct master_shell_link *l = NULL;
    HASH_FIND(hh, s->links, &id, sizeof(id), l);
    return l;
}

static void on_message(void *ctx, const ProtobufCMessage *message)
{
    struct master_shell_link *l = ctx;
    struct master_event in = {.type = MASTER_EVENT_LINK_MESSAGE,
                              .link_message = {.link = l->id, .message = (const Muster__Link__AgentToMaster *)message}};
    master_shell_step(l->shell, &in);
}

static void on_closed(void *ctx, const char *why)
{
    struct master_shell_link *l = ctx;
    struct master_shell *s = l->shell;
    struct master_event in = {.type = MASTER_EVENT_LINK_DOWN, .link_down = {.link = l->id}};
    log_debug("link %llu is down: %s", (unsigned long long)l->id, why);
    HASH_DEL(s->links, l);
    free(l);
    master_shell_step(s, &in);
}

void master_shell_on_link_request(struct master_shell *s, struct http_exchange *x, const struct http_message *request)
{
    static const struct link_callbacks callbacks = {.message = on_message, .closed = on_closed};
    const char *protocol = http_header(request, "Upgrade");
    if (!request->upgrade || protocol == NULL || strcmp(protocol, LINK_PROTOCOL) != 0) {
        http_add_header(x, "Upgrade", LINK_PROTOCOL);
        http_reply_text(x, 426, "This is for agents: it needs an upgrade to %s", LINK_PROTOCOL);
        return;
    }
    if (!auth_allows(s->access.acls, auth_subject_of(x)->principal, AUTH_REGISTER_AGENT, NULL)) {
        http_reply_text(x, 403, "This agent may not register");
        return;
    }
    /* "ip:port", with brackets around an IPv6 address */
    char peer[80];
    (void)snprintf(peer, sizeof(peer), "%s", http_exchange_peer(x));
    char *colon = strrchr(peer, ':'), *ip = peer;
    if (colon != NULL)
        *colon = '\0';
    if (ip[0] == '[') {
        ip++;
        ip[strcspn(ip, "]")] = '\0';
    }
    int fd;
    void *rest;
    size_t rest_len;
    if (http_upgrade(x, LINK_PROTOCOL, &fd, &rest, &rest_len) < 0) {
        log_warning("a link from %s could not be upgraded", peer);
        http_exchange_abort(x);
        return;
    }
    struct master_shell_link *l = xcalloc(1, sizeof(*l));
    l->id = ++s->next_id;
    l->shell = s;
    HASH_ADD(hh, s->links, id, sizeof(l->id), l);
    struct master_event in = {.type = MASTER_EVENT_LINK_UP, .link_up = {.link = l->id, .peer_ip = ip}};
    l->link = link_new(s->loop, fd, rest, rest_len, &muster__link__agent_to_master__descriptor, LINK_PENDING_BYTES_MAX,
                       &callbacks, l);
    free(rest);
    master_shell_step(s, &in);
}

void master_shell_link_send(struct master_shell *s, link_id id, const Muster__Link__MasterToAgent *message)
{
    struct master_shell_link *l = find_link(s, id);
    if (l != NULL)
        (void)link_send(l->link, &message->base); /* a broken link is told by closed */
}

void master_shell_link_close(struct master_shell *s, link_id id)
{
    struct master_shell_link *l = find_link(s, id);
    if (l == NULL)
        return;
    HASH_DEL(s->links, l);
    link_free(l->link);
    free(l);
}

void master_shell_links_free(struct master_shell *s)
{
    struct master_shell_link *l, *next;
    HASH_ITER(hh, s->links, l, next)
    {
        HASH_DEL(s->links, l);
        link_free(l->link);
        free(l);
    }
}
