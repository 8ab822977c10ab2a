/* SPDX-License-Identifier: Apache-2.0 */
#include "common/auth/browser.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

struct authority {
    const char *name; /* without port, not terminated */
    size_t len;
};

/* Of `name:port`, `[v6]:port` or either without port. */
static struct authority name_of(const char *host)
{
    if (host[0] == '[')
        return (struct authority){host + 1, strcspn(host + 1, "]")};
    return (struct authority){host, strcspn(host, ":")};
}

static bool is_equal(struct authority a, const char *name)
{
    return strlen(name) == a.len && strncasecmp(a.name, name, a.len) == 0;
}

static bool is_address(struct authority a)
{
    char text[64];
    uint8_t any[16];
    if (a.len >= sizeof(text))
        return false;
    memcpy(text, a.name, a.len);
    text[a.len] = '\0';
    return inet_pton(AF_INET, text, any) == 1 || inet_pton(AF_INET6, text, any) == 1;
}

/* Domains below which nobody can register a name, or that are ours. */
static bool is_private_name(struct authority a)
{
    static const char *const domains[] = {"localhost", "local", "internal", "test", "example", "invalid", "mesos"};
    while (a.len > 0 && a.name[a.len - 1] == '.')
        a.len--;
    size_t label = a.len;
    while (label > 0 && a.name[label - 1] != '.')
        label--;
    if (label == 0)
        return true; /* one label: no public name */
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
        if (is_equal((struct authority){a.name + label, a.len - label}, domains[i]))
            return true;
    return false;
}

static bool is_loopback(const char *ip)
{
    return strncmp(ip, "127.", 4) == 0 || strcmp(ip, "::1") == 0;
}

static bool is_safe_method(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0;
}

/* Origin is `scheme://authority`, or `null`. */
static bool is_same_host(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && host != NULL && strcasecmp(authority + 3, host) == 0;
}

const char *auth_browser_refusal(const char *listen_ip, const char *hostname, const struct http_message *request)
{
    const char *host = http_header(request, "Host");
    if (host != NULL && host[0] != '\0' && is_loopback(listen_ip)) {
        struct authority name = name_of(host);
        if (!is_address(name) && !is_private_name(name) && (hostname == NULL || !is_equal(name, hostname)))
            return "This server listens on loopback and is not known by the name in 'Host': use its address, or tell it "
                   "its "
                   "--hostname";
    }
    if (is_safe_method(request->method))
        return NULL;
    const char *origin = http_header(request, "Origin"), *site = http_header(request, "Sec-Fetch-Site");
    if (origin != NULL && !is_same_host(origin, host) && !is_same_host(origin, http_header(request, "X-Forwarded-Host")))
        return "Pages of other origins may not change anything here";
    if (origin == NULL && site != NULL && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
        return "Pages of other sites may not change anything here";
    return NULL;
}

bool auth_browser_pass(const char *listen_ip, const char *hostname, struct http_exchange *x,
                       const struct http_message *request)
{
    const char *why = auth_browser_refusal(listen_ip, hostname, request);
    if (why == NULL || strcmp(http_exchange_peer(x), "unix") == 0)
        return true;
    http_reply_text(x, 403, "%s", why);
    return false;
}
