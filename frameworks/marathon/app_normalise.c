/* SPDX-License-Identifier: Apache-2.0
 * app_normalise.c - legacy keys of a definition turned into canonical ones (facts: marathon 2.10). Works on JSON whose
 * types are checked, in place. */
#include <string.h>

#include "common/base/check.h"
#include "frameworks/marathon/app.h"

static bool is_archive(const char *uri)
{
    static const char *const extensions[] = {".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz",
                                             ".tgz", ".tbz2",   ".txz",     ".zip"};
    size_t len = strcspn(uri, "?#");
    for (size_t i = 0; i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        size_t n = strlen(extensions[i]);
        if (len >= n && strncmp(uri + len - n, extensions[i], n) == 0)
            return true;
    }
    return false;
}

static void normalise_uris(json_t *app, struct problems *problems)
{
    json_t *uris = json_object_get(app, "uris");
    if (uris == NULL)
        return;
    if (json_array_size(json_object_get(app, "fetch")) > 0 && json_array_size(uris) > 0) {
        problems_add(problems, "/uris", "may not be set in conjunction with fetch");
        return;
    }
    if (json_array_size(uris) > 0 || json_object_get(app, "fetch") == NULL) {
        json_t *fetch = json_array();
        size_t i;
        json_t *uri;
        json_array_foreach(uris, i, uri)
        {
            const char *text = json_string_value(uri);
            CHECK(json_array_append_new(fetch, json_pack("{s:s, s:b}", "uri", text, "extract", is_archive(text))) == 0);
        }
        CHECK(json_object_set_new(app, "fetch", fetch) == 0);
    }
    (void)json_object_del(app, "uris"); /* present, see above */
}

static bool are_same_numbers(const json_t *ports, const json_t *definitions)
{
    if (json_array_size(ports) != json_array_size(definitions))
        return false;
    for (size_t i = 0; i < json_array_size(ports); i++) {
        const json_t *port = json_object_get(json_array_get(definitions, i), "port");
        if (json_number_value(json_array_get(ports, i)) != json_number_value(port))
            return false;
    }
    return true;
}

static void normalise_ports(json_t *app, struct problems *problems)
{
    json_t *ports = json_object_get(app, "ports");
    if (ports == NULL)
        return;
    const json_t *definitions = json_object_get(app, "portDefinitions");
    if (definitions != NULL) {
        if (!are_same_numbers(ports, definitions))
            problems_add(problems, "/ports", "cannot specify both ports and port definitions");
    } else {
        json_t *fresh = json_array();
        size_t i;
        json_t *port;
        json_array_foreach(ports, i, port)
        {
            json_int_t number = (json_int_t)json_number_value(port);
            CHECK(json_array_append_new(fresh, json_pack("{s:I, s:s}", "port", number, "protocol", "tcp")) == 0);
        }
        CHECK(json_object_set_new(app, "portDefinitions", fresh) == 0);
    }
    (void)json_object_del(app, "ports"); /* present, see above */
}

void app_normalise(json_t *app, struct problems *problems)
{
    normalise_uris(app, problems);
    normalise_ports(app, problems);
    /* set by the server; a body may carry what an earlier answer said */
    (void)json_object_del(app, "version");
    (void)json_object_del(app, "versionInfo");
}
