/* SPDX-License-Identifier: Apache-2.0
 * mesos_dns_config.c - see mesos_dns_config.h. */
#include "dns/mesos_dns_config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/json.h"

enum kind {
    TEXT,
    NUMBER,
    SECONDS, /* a number in the file, a duration of ours */
    BOOL,
    LIST,    /* of texts */
    ZONES,   /* object of lists */
    MAILBOX, /* the @ becomes a dot */
    REFUSED, /* must be empty or false */
};

static const struct key {
    const char *name;   /* as /v1/config shows it */
    const char *option; /* NULL: see read_special */
    enum kind kind;
} keys[] = {
    {"RefreshSeconds", "refresh_seconds", NUMBER},
    {"Port", "port", NUMBER},
    {"Timeout", "timeout", SECONDS},
    {"StateTimeoutSeconds", "state_timeout_seconds", NUMBER},
    {"ZkDetectionTimeout", "zk_detection_timeout", NUMBER},
    {"HttpPort", "http_port", NUMBER},
    {"TTL", "ttl", NUMBER},
    {"SRVRecordDefaultWeight", "srv_weight", NUMBER},
    {"SOARefresh", "soa_refresh", NUMBER},
    {"SOARetry", "soa_retry", NUMBER},
    {"SOAExpire", "soa_expire", NUMBER},
    {"SOAMinttl", "soa_minimum", NUMBER},
    {"SOAMname", "soa_mname", TEXT},
    {"SOARname", "soa_rname", MAILBOX},
    {"Masters", "master", LIST},
    {"ZoneResolvers", "zone_resolvers", ZONES},
    {"Resolvers", "resolvers", LIST},
    {"IPSources", "ip_sources", LIST},
    {"Zk", "zk", TEXT},
    {"Domain", "domain", TEXT},
    {"Listener", "ip", TEXT},
    {"HTTPListener", "http_ip", TEXT},
    {"RecurseOn", "recurse_on", BOOL},
    {"DnsOn", "dns_on", BOOL},
    {"HttpOn", "http_on", BOOL},
    {"ExternalOn", "external_on", BOOL},
    {"EnforceRFC952", "enforce_rfc952", BOOL},
    {"SetTruncateBit", "set_truncate_bit", BOOL},
    {"EnumerationOn", "enumeration_on", BOOL},
    {"MesosHTTPSOn", NULL, REFUSED},
    {"CACertFile", NULL, REFUSED},
    {"CertFile", NULL, REFUSED},
    {"KeyFile", NULL, REFUSED},
    {"IAMConfigFile", NULL, REFUSED},
};

static size_t option_index(const char *name)
{
    for (size_t i = 0; i < dns_option_count; i++)
        if (strcmp(dns_option_defs[i].name, name) == 0)
            return i;
    CHECK(!"a flag of the table");
    return 0;
}

static void set(struct mesos_dns_config *c, const char *option, const char *text)
{
    char **value = &c->values[option_index(option)];
    free(*value);
    *value = xstrdup(text);
}

/* -- reading ---------------------------------------------------------------------------------------------------- */

static int join(const json_t *list, struct buf *out, const char *key, struct err *err)
{
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item)
    {
        const char *text = json_string_value(item);
        if (!text || strpbrk(text, ",;="))
            return err_set(err, -EINVAL, "%s: must be a list of texts", key);
        if (i > 0)
            (void)buf_append_char(out, ','); /* overflow is seen at the end */
        (void)buf_append_str(out, text);
    }
    return 0;
}

static int read_list(struct mesos_dns_config *c, const struct key *key, const json_t *value, struct err *err)
{
    struct buf out;
    int result = 0;
    buf_init(&out, 65536);
    if (key->kind == LIST) {
        if (!json_is_array(value))
            result = err_set(err, -EINVAL, "%s: must be a list of texts", key->name);
        result = result < 0 ? result : join(value, &out, key->name, err);
    } else {
        const char *zone;
        json_t *list;
        if (!json_is_object(value))
            result = err_set(err, -EINVAL, "%s: must be an object of lists", key->name);
        json_object_foreach((json_t *)(uintptr_t)value, zone, list)
        { /* the macro reads only */
            if (result < 0)
                break;
            if (strpbrk(zone, ",;=") || !json_is_array(list)) {
                result = err_set(err, -EINVAL, "%s: '%.200s' must be a zone with a list", key->name, zone);
                break;
            }
            (void)buf_printf(&out, "%s%s=", buf_len(&out) > 0 ? ";" : "", zone); /* overflow is seen at the end */
            result = join(list, &out, key->name, err);
        }
    }
    if (result == 0 && (out.overflowed || buf_append_char(&out, '\0') < 0))
        result = err_set(err, -EINVAL, "%s: too long", key->name);
    if (result == 0)
        set(c, key->option, (const char *)buf_data(&out));
    buf_deinit(&out);
    return result;
}

static int read_scalar(struct mesos_dns_config *c, const struct key *key, const json_t *value, struct err *err)
{
    char text[64];
    if (key->kind == TEXT || key->kind == MAILBOX) {
        const char *given = json_string_value(value);
        if (!given)
            return err_set(err, -EINVAL, "%s: must be a text", key->name);
        char *copy = xstrdup(given);
        for (char *p = copy; key->kind == MAILBOX && *p; p++)
            if (*p == '@')
                *p = '.';
        set(c, key->option, copy);
        free(copy);
        return 0;
    }
    if (key->kind == BOOL) {
        if (!json_is_boolean(value))
            return err_set(err, -EINVAL, "%s: must be true or false", key->name);
        set(c, key->option, json_is_true(value) ? "true" : "false");
        return 0;
    }
    if (!json_is_integer(value))
        return err_set(err, -EINVAL, "%s: must be a whole number", key->name);
    (void)snprintf(text, sizeof(text), "%lld%s", (long long)json_integer_value(value), key->kind == SECONDS ? "secs" : "");
    set(c, key->option, text);
    return 0;
}

/* Authentication is by principal and secret only. */
static int read_authentication(struct mesos_dns_config *c, const char *name, const json_t *value, struct err *err)
{
    if (strcasecmp(name, "mesosAuthentication") == 0) {
        const char *kind = json_string_value(value);
        if (!kind || (kind[0] != '\0' && strcmp(kind, "basic") != 0))
            return err_set(err, -EINVAL, "mesosAuthentication: only \"basic\" is supported");
    } else if (strcasecmp(name, "mesosCredentials") == 0) {
        const char *principal = json_string_value(json_object_get(value, "principal"));
        const char *secret = json_string_value(json_object_get(value, "secret"));
        if (principal && principal[0] != '\0') {
            set(c, "principal", principal);
            set(c, "secret", secret ? secret : "");
        }
    }
    return 0;
}

static int read_key(struct mesos_dns_config *c, const char *name, const json_t *value, struct err *err)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (strcasecmp(keys[i].name, name) != 0)
            continue;
        if (keys[i].kind == REFUSED) {
            const char *text = json_string_value(value);
            if (json_is_false(value) || (text && text[0] == '\0'))
                return 0;
            return err_set(err, -EINVAL, "%s: not supported by this version", keys[i].name);
        }
        return keys[i].kind == LIST || keys[i].kind == ZONES ? read_list(c, &keys[i], value, err)
                                                             : read_scalar(c, &keys[i], value, err);
    }
    return read_authentication(c, name, value, err);
}

int mesos_dns_config_read(const char *text, size_t len, struct mesos_dns_config *out, struct err *err)
{
    const char *name;
    json_t *value, *root = json_read(text, len, err);
    int result = root ? 0 : -EINVAL;
    if (root && !json_is_object(root))
        result = err_set(err, -EINVAL, "must be a JSON object");
    *out = (struct mesos_dns_config){xcalloc(dns_option_count, sizeof(char *))};
    /* What Mesos-DNS has as defaults and we do not. */
    set(out, "ip", "0.0.0.0");
    set(out, "http_ip", "0.0.0.0");
    set(out, "port", "53");
    if (result == 0)
        json_object_foreach(root, name, value)
        {
            result = read_key(out, name, value, err);
            if (result < 0)
                break;
        }
    json_decref(root);
    if (result < 0)
        mesos_dns_config_free(out);
    return result;
}

void mesos_dns_config_free(struct mesos_dns_config *c)
{
    for (size_t i = 0; c->values && i < dns_option_count; i++)
        free(c->values[i]);
    free(c->values);
    c->values = NULL;
}

/* -- writing ---------------------------------------------------------------------------------------------------- */

static void put_endpoints(struct json_writer *w, const struct dns_forward_zone *zone)
{
    json_begin_array(w);
    for (size_t i = 0; i < zone->resolver_count; i++) {
        const struct dns_endpoint *e = &zone->resolvers[i];
        char ip[64], text[80];
        (void)inet_ntop(e->ip.size == 4 ? AF_INET : AF_INET6, e->ip.bytes, ip, sizeof(ip)); /* cannot fail */
        if (e->port == 53)
            (void)snprintf(text, sizeof(text), "%s", ip);
        else
            (void)snprintf(text, sizeof(text), e->ip.size == 4 ? "%s:%u" : "[%s]:%u", ip, e->port);
        json_put_string(w, text);
    }
    json_end_array(w);
}

static void put_list(struct json_writer *w, const struct key *key, const struct dns_lists *lists)
{
    static const char *const sources[] = {"netinfo", "mesos", "docker", "host"};
    if (strcmp(key->name, "Resolvers") == 0) {
        put_endpoints(w, &lists->zones[0]);
        return;
    }
    json_begin_array(w);
    if (strcmp(key->name, "Masters") == 0)
        for (size_t i = 0; i < lists->masters.count; i++)
            json_put_string(w, lists->masters.items[i]);
    else
        for (size_t i = 0; i < lists->source_count; i++)
            json_put_string(w, sources[lists->sources[i]]);
    json_end_array(w);
}

static void put_value(struct json_writer *w, const struct key *key, const struct dns_options *o,
                      const struct dns_lists *lists)
{
    const struct option_def *def = key->option ? &dns_option_defs[option_index(key->option)] : NULL;
    const char *field = def ? (const char *)o + def->offset : NULL;
    if (key->kind == LIST) {
        put_list(w, key, lists);
    } else if (key->kind == ZONES) {
        json_begin_object(w);
        for (size_t i = 1; i < lists->zone_count; i++) {
            json_put_key(w, lists->zones[i].name);
            put_endpoints(w, &lists->zones[i]);
        }
        json_end_object(w);
    } else if (!def) {
        if (strcmp(key->name, "MesosHTTPSOn") == 0)
            json_put_bool(w, false);
        else
            json_put_string(w, "");
    } else if (def->type == OPTION_BOOL) {
        json_put_bool(w, *(const bool *)(const void *)field);
    } else if (def->type == OPTION_PORT) {
        json_put_int(w, *(const uint16_t *)(const void *)field);
    } else if (def->type == OPTION_STRING) {
        const char *text = *(char *const *)(const void *)field;
        json_put_string(w, text ? text : "");
    } else {
        json_put_int(w, *(const int64_t *)(const void *)field / (key->kind == SECONDS ? 1000 : 1));
    }
}

void mesos_dns_config_write(const struct dns_options *o, const struct dns_lists *lists, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_begin_object(&w);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_put_key(&w, keys[i].name);
        put_value(&w, &keys[i], o, lists);
    }
    json_kv_string(&w, "File", "");
    json_kv_string(&w, "MesosAuthentication", o->principal ? "basic" : "");
    json_put_key(&w, "MesosCredentials"); /* the secret is nobody's business */
    json_begin_object(&w);
    json_kv_string(&w, "Principal", o->principal ? o->principal : "");
    json_kv_string(&w, "Secret", o->secret ? "****" : "");
    json_end_object(&w);
    json_end_object(&w);
    json_writer_finish(&w);
}
