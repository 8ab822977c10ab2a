/* SPDX-License-Identifier: Apache-2.0
 * resource_flag.c - the agent's --resources: `name(role):value;...` or a JSON array of Resource (facts: mesos 6.7). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/resource/set.h"
#include "common/wire/codec.h"

/* -- text ----------------------------------------------------------------------------------------------------- */

static char *without_spaces(const char *s)
{
    char *out = xmalloc(strlen(s) + 1), *at = out;
    for (; *s != '\0'; s++)
        if (strchr(" \t\r\n", *s) == NULL)
            *at++ = *s;
    *at = '\0';
    return out;
}

/* `inside` is the text between the brackets, cut at the commas. */
static int parse_ranges(char *inside, struct ranges *out, struct err *err)
{
    char *save = NULL;
    for (char *one = strtok_r(inside, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save)) {
        char *dash = strchr(one, '-');
        uint64_t begin, end;
        if (dash != NULL)
            *dash = '\0';
        if (dash == NULL || text_to_uint64(one, &begin) != 0 || text_to_uint64(dash + 1, &end) != 0 || begin > end)
            return err_set(err, -EINVAL, "'%.60s' is not the begin of a range begin-end", one);
        ranges_add_one(out, begin, end);
    }
    return 0;
}

/* Fills the value of e, whose kind has no type yet, and says which type it is. */
static int parse_value(char *value, Mesos__V1__Value__Type *type, struct resource_entry *e, struct err *err)
{
    size_t len = strlen(value);
    char last = len ? value[len - 1] : '\0';
    if (len >= 2 && value[0] == '[' && last == ']') {
        value[len - 1] = '\0';
        *type = MESOS__V1__VALUE__TYPE__RANGES;
        int rc = parse_ranges(value + 1, &e->ranges, err);
        if (rc != 0)
            ranges_deinit(&e->ranges);
        return rc;
    }
    if (len >= 2 && value[0] == '{' && last == '}') {
        value[len - 1] = '\0';
        *type = MESOS__V1__VALUE__TYPE__SET;
        char *save = NULL;
        for (char *one = strtok_r(value + 1, ",", &save); one != NULL; one = strtok_r(NULL, ",", &save))
            resource_items_add(&e->items, one);
        return 0;
    }
    double number;
    if (text_to_double(value, &number) != 0)
        return err_set(err, -EINVAL, "'%.60s' is not a number, [begin-end,...] or {item,...}", value);
    if (number < 0 || number > 1e12)
        return err_set(err, -EINVAL, "%.60s is out of range", value);
    *type = MESOS__V1__VALUE__TYPE__SCALAR;
    e->scalar = (struct resource_scalar){llround(number * 1000), 1};
    return 0;
}

static struct resource_kind *kind_for(const char *name, Mesos__V1__Value__Type type, const char *role)
{
    Mesos__V1__Resource r;
    mesos__v1__resource__init(&r);
    r.name = (char *)name;
    r.type = type;
    r.role = (char *)role;
    return resource_kind_from_wire(&r);
}

/* One name(role):value. */
static int parse_item(char *item, const char *default_role, struct resources *out, struct err *err)
{
    char *colon = strchr(item, ':');
    if (colon == NULL)
        return err_set(err, -EINVAL, "'%.60s' is not name:value", item);
    *colon = '\0';
    const char *role = default_role;
    char *open = strchr(item, '('), *close = open ? item + strlen(item) - 1 : NULL;
    if (open != NULL) {
        if (*close != ')' || close == open + 1)
            return err_set(err, -EINVAL, "'%.60s' is not name(role)", item);
        *open = *close = '\0';
        role = open + 1;
    }
    if (item[0] == '\0')
        return err_set(err, -EINVAL, "a resource has no name");
    if (!text_is_valid_role(role))
        return err_set(err, -EINVAL, "%.60s: role '%.60s' is not valid", item, role);
    struct resource_entry e = resource_entry_of(NULL);
    Mesos__V1__Value__Type type = MESOS__V1__VALUE__TYPE__TEXT;
    int rc = parse_value(colon + 1, &type, &e, err);
    if (rc != 0)
        return err_wrap(err, rc, "%.60s", item);
    e.kind = kind_for(item, type, role);
    if (strcmp(item, "gpus") == 0 && type == MESOS__V1__VALUE__TYPE__SCALAR && e.scalar.millis % 1000 != 0)
        rc = err_set(err, -EINVAL, "gpus: not a whole number");
    for (uint32_t i = 0; i < out->count && rc == 0; i++)
        if (out->entries[i].kind->type != type && strcmp(out->entries[i].kind->name, item) == 0)
            rc = err_set(err, -EINVAL, "%.60s: has two types", item);
    if (rc == 0) {
        resources_put(out, &e);
        return 0;
    }
    struct resources *drop = resources_new();
    resources_put(drop, &e);
    (void)resources_free(drop); /* always NULL */
    return rc;
}

static int parse_text(const char *text, const char *default_role, struct resources *out, struct err *err)
{
    cleanup_free char *copy = without_spaces(text);
    char *save = NULL;
    for (char *item = strtok_r(copy, ";", &save); item != NULL; item = strtok_r(NULL, ";", &save)) {
        int rc = parse_item(item, default_role, out, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* -- JSON ----------------------------------------------------------------------------------------------------- */

/* What an operator cannot give an agent on the command line. */
static int check_static(const Mesos__V1__Resource *r, struct err *err)
{
    if (r->reservation != NULL || r->n_reservations > 1 ||
        (r->n_reservations == 1 && r->reservations[0]->type != MESOS__V1__RESOURCE__RESERVATION_INFO__TYPE__STATIC))
        return err_set(err, -EINVAL, "%s: dynamic reservations cannot be given in a flag", r->name);
    if (r->disk != NULL && (r->disk->persistence != NULL || r->disk->volume != NULL))
        return err_set(err, -EINVAL, "%s: persistent volumes cannot be given in a flag", r->name);
    if (r->revocable != NULL)
        return err_set(err, -EINVAL, "%s: revocable resources cannot be given in a flag", r->name);
    if (r->allocation_info != NULL)
        return err_set(err, -EINVAL, "%s: allocation_info cannot be given in a flag", r->name);
    return 0;
}

static int parse_json_item(const json_t *item, const char *default_role, struct resources *out, struct arena *a,
                           struct err *err)
{
    ProtobufCMessage *message = wire_from_json(&mesos__v1__resource__descriptor, item, a, err);
    if (message == NULL)
        return -EINVAL;
    Mesos__V1__Resource *r = (Mesos__V1__Resource *)message;
    if (!json_object_get(item, "role") && r->n_reservations == 0)
        r->role = (char *)default_role;
    int rc = check_static(r, err);
    for (uint32_t i = 0; i < out->count && rc == 0; i++)
        if (out->entries[i].kind->type != r->type && strcmp(out->entries[i].kind->name, r->name) == 0)
            rc = err_set(err, -EINVAL, "%.60s: has two types", r->name);
    return rc ? rc : resources_add_wire(out, &r, 1, err);
}

static int parse_json(const char *text, const char *default_role, struct resources *out, struct err *err)
{
    json_t *list = json_read(text, strlen(text), err);
    if (list == NULL)
        return -EINVAL;
    struct arena *a = arena_new(0);
    int rc = json_is_array(list) ? 0 : err_set(err, -EINVAL, "not a JSON array");
    for (size_t i = 0; i < json_array_size(list) && rc == 0; i++) {
        rc = parse_json_item(json_array_get(list, i), default_role, out, a, err);
        if (rc != 0)
            (void)err_wrap(err, rc, "entry %zu", i);
    }
    arena_free(a);
    json_decref(list);
    return rc;
}

int resources_parse_flag(const char *text, const char *default_role, struct resources *out, struct err *err)
{
    if (default_role == NULL)
        default_role = "*";
    if (!text_is_valid_role(default_role))
        return err_set(err, -EINVAL, "default role '%.60s' is not valid", default_role);
    const char *start = text + strspn(text, " \t\r\n");
    struct resources *parsed = resources_new();
    int rc = start[0] == '[' || start[0] == '{' ? parse_json(start, default_role, parsed, err)
                                                : parse_text(start, default_role, parsed, err);
    if (rc == 0)
        resources_add(out, parsed);
    parsed = resources_free(parsed);
    return rc;
}
