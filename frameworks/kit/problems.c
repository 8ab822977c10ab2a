/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/kit/problems.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/check.h"

void problems_init(struct problems *p)
{
    *p = (struct problems){0};
}

void problems_deinit(struct problems *p)
{
    json_decref(p->details);
    p->details = NULL;
    p->count = 0;
}

static json_t *find_entry(const struct problems *p, const char *path)
{
    size_t i;
    json_t *entry;
    json_array_foreach(p->details, i, entry)
    {
        if (strcmp(json_string_value(json_object_get(entry, "path")), path) == 0)
            return entry;
    }
    return NULL;
}

void problems_add(struct problems *p, const char *path, const char *fmt, ...)
{
    if (p->count++ >= PROBLEMS_MAX)
        return;
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap); /* longer texts are cut */
    va_end(ap);
    if (p->details == NULL)
        p->details = json_array();
    json_t *message = json_string(text);
    if (message == NULL) /* cut inside a character */
        message = json_string("is not valid");
    CHECK(message != NULL);
    json_t *entry = find_entry(p, path);
    if (entry == NULL) {
        entry = json_pack("{s:s?, s:[]}", "path", path, "errors");
        if (entry == NULL) /* a path that is no UTF-8 */
            entry = json_pack("{s:s, s:[]}", "path", "/", "errors");
        CHECK(entry != NULL);
        CHECK(json_array_append_new(p->details, entry) == 0);
    }
    CHECK(json_array_append_new(json_object_get(entry, "errors"), message) == 0);
}

const char *problems_find(const struct problems *p, const char *path)
{
    json_t *entry = find_entry(p, path);
    return entry ? json_string_value(json_array_get(json_object_get(entry, "errors"), 0)) : NULL;
}

void problems_write(const struct problems *p, struct json_writer *w)
{
    json_begin_object(w);
    json_kv_string(w, "message", p->is_schema ? "Invalid JSON" : "Object is not valid");
    json_put_key(w, "details");
    if (p->details)
        json_put_value(w, p->details);
    else {
        json_begin_array(w);
        json_end_array(w);
    }
    json_end_object(w);
}
