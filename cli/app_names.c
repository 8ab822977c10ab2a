/* SPDX-License-Identifier: Apache-2.0
 * app_names.c - see app_names.h (facts: net-cron A.3, C.1, C.3). */
#include "cli/app_names.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/vip_name.h"

#define ZONE ".l4lb.thisdcos.directory"

/* "/a/b" is task "b.a", whose dots DNS makes dashes. */
static void task_label(const char *id, char out[VIP_LABEL_MAX + 1])
{
    char text[VIP_NAME_MAX + 1];
    size_t len = 0;
    for (const char *end = id + strlen(id); end > id;) {
        const char *start = end;
        while (start > id && start[-1] != '/')
            start--;
        if (start < end && len + (size_t)(end - start) + 1 < sizeof(text)) {
            if (len > 0)
                text[len++] = '.';
            memcpy(text + len, start, (size_t)(end - start));
            len += (size_t)(end - start);
        }
        end = start > id ? start - 1 : id;
    }
    (void)vip_label(text, len, out);
}

static void add_name(json_t *names, const json_t *app, const char *framework)
{
    char label[VIP_LABEL_MAX + 1], fragment[VIP_NAME_MAX + 1], text[2 * VIP_NAME_MAX];
    const char *id = json_string_value(json_object_get(app, "id"));
    task_label(id ? id : "", label);
    (void)vip_domain_fragment(framework, strlen(framework), fragment);
    (void)snprintf(text, sizeof(text), "%s.%s.mesos", label, fragment); /* fits */
    (void)json_array_append_new(names, json_string(text));              /* fails only without memory */
}

static const json_t *find_vip(const json_t *known, const char *text, const char *protocol)
{
    size_t i;
    const json_t *vip;
    json_array_foreach(known, i, vip)
    {
        const char *name = json_string_value(json_object_get(vip, "vip"));
        const char *is = json_string_value(json_object_get(vip, "protocol"));
        if (name && is && strcmp(name, text) == 0 && strcmp(is, protocol) == 0)
            return vip;
    }
    return NULL;
}

static void add_vip(json_t *vips, const json_t *known, const char *label, const char *framework, const char *protocol)
{
    struct vip_value value;
    char name[VIP_NAME_MAX + 1], raw[VIP_NAME_MAX + 1], text[VIP_NAME_MAX + 64], ip[INET6_ADDRSTRLEN];
    if (vip_value_parse(label, &value) < 0)
        return; /* the balancer leaves it out too */
    if (value.is_ip) {
        (void)inet_ntop(value.is_ipv6 ? AF_INET6 : AF_INET, value.ip, ip, sizeof(ip)); /* cannot fail */
        (void)snprintf(name, sizeof(name), "%s", ip);
    } else {
        (void)snprintf(raw, sizeof(raw), "%.*s", (int)value.name_len, value.name);
        if (vip_name_clean(raw, framework, name) < 0)
            return;
    }
    (void)snprintf(text, sizeof(text), "%s%s:%u", name, value.is_ip ? "" : ZONE, value.port); /* fits */
    const json_t *found = find_vip(known, text, protocol);
    text[strlen(text) - strlen(strrchr(text, ':'))] = '\0';
    json_t *vip = json_pack("{s:s, s:i, s:s}", "name", text, "port", (int)value.port, "protocol", protocol);
    /* These fail only without memory; then the output lacks a field. */
    if (found != NULL)
        (void)json_object_set(vip, "address", json_object_get(found, "ip"));
    if (json_object_get(found, "problem") != NULL)
        (void)json_object_set(vip, "problem", json_object_get(found, "problem"));
    (void)json_array_append_new(vips, vip);
}

static void add_port(json_t *vips, const json_t *known, const json_t *port, const char *framework)
{
    const char *protocol = json_string_value(json_object_get(port, "protocol")), *key;
    const json_t *value;
    if (protocol == NULL)
        protocol = "tcp";
    json_object_foreach((json_t *)json_object_get(port, "labels"), key, value)
    {
        if (!vip_is_port_label(key) || json_string_value(value) == NULL)
            continue;
        if (strstr(protocol, "tcp") != NULL)
            add_vip(vips, known, json_string_value(value), framework, "tcp");
        if (strstr(protocol, "udp") != NULL)
            add_vip(vips, known, json_string_value(value), framework, "udp");
    }
}

/* NULL when it cannot be had. */
static json_t *get(const struct cli_target *t, const char *part, const char *target)
{
    char address[64];
    struct cli_answer a = {0};
    struct err err;
    if (cli_address(t, part, address, &err) < 0 || cli_request(address, "GET", target, NULL, &a, &err) < 0)
        return NULL;
    json_t *json = a.status == 200 ? json_incref(a.json) : NULL;
    cli_answer_free(&a);
    return json;
}

json_t *app_names(const struct cli_target *t, const json_t *app)
{
    json_t *names = json_array(), *vips = json_array();
    json_t *info = get(t, "marathon", "/v2/info"), *known = get(t, "lb", "/v1/vips?verbose");
    const char *framework = json_string_value(json_object_get(info, "name"));
    if (framework == NULL)
        framework = "marathon";
    add_name(names, app, framework);
    const json_t *container = json_object_get(app, "container");
    const json_t *lists[] = {json_object_get(app, "portDefinitions"), json_object_get(container, "portMappings"),
                             json_object_get(json_object_get(container, "docker"), "portMappings"),
                             json_object_get(json_object_get(json_object_get(app, "ipAddress"), "discovery"), "ports")};
    for (size_t l = 0; l < sizeof(lists) / sizeof(lists[0]); l++) {
        size_t i;
        const json_t *port;
        json_array_foreach(lists[l], i, port) add_port(vips, known, port, framework);
    }
    json_decref(info);
    json_decref(known);
    return json_pack("{s:o, s:o}", "names", names, "vips", vips);
}

void app_names_print(const json_t *names)
{
    size_t i;
    const json_t *item;
    json_array_foreach(json_object_get(names, "names"), i, item) printf("\nname: %s\n", json_string_value(item));
    const json_t *vips = json_object_get(names, "vips");
    if (json_array_size(vips) == 0)
        return;
    static const char *const titles[] = {"VIP", "ADDRESS", "PORT", "PROTOCOL", "PROBLEM"};
    struct table *table = table_new(titles, 5);
    json_array_foreach(vips, i, item)
    {
        const char *address = json_string_value(json_object_get(item, "address"));
        const char *problem = json_string_value(json_object_get(item, "problem"));
        table_cell(table, "%s", json_string_value(json_object_get(item, "name")));
        table_cell(table, "%s", address ? address : "-");
        table_cell(table, "%lld", (long long)json_integer_value(json_object_get(item, "port")));
        table_cell(table, "%s", json_string_value(json_object_get(item, "protocol")));
        table_cell(table, "%s", problem ? problem : address ? "" : "no instance serves it, or the balancer refuses it");
    }
    putchar('\n');
    table_print(table, stdout);
}
