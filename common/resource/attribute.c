/* SPDX-License-Identifier: Apache-2.0
 * attribute.c - what an operator says about a host: name and a number, ranges or text (facts: mesos 6.7). */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "common/resource/ranges.h"
#include "common/resource/resource.h"

static char *trim(char *s)
{
    s += strspn(s, " \t\r\n");
    size_t len = strlen(s);
    while (len > 0 && strchr(" \t\r\n", s[len - 1]) != NULL)
        s[--len] = '\0';
    return s;
}

static void put_ranges(const struct ranges *from, struct arena *a, Mesos__V1__Attribute *out)
{
    size_t n = from->count;
    out->type = MESOS__V1__VALUE__TYPE__RANGES;
    out->ranges = arena_new_one(a, Mesos__V1__Value__Ranges);
    mesos__v1__value__ranges__init(out->ranges);
    out->ranges->n_range = n;
    out->ranges->range = arena_new_array(a, Mesos__V1__Value__Range *, n);
    for (size_t i = 0; i < n; i++) {
        out->ranges->range[i] = arena_new_one(a, Mesos__V1__Value__Range);
        mesos__v1__value__range__init(out->ranges->range[i]);
        out->ranges->range[i]->begin = ranges_items(from)[i].begin;
        out->ranges->range[i]->end = ranges_items(from)[i].end;
    }
}

/* [b-e,...]; whatever is not quite that is text, as "[x]" is a fine rack name. */
static bool try_ranges(const char *value, struct arena *a, Mesos__V1__Attribute *out)
{
    size_t len = strlen(value);
    if (len < 2 || value[0] != '[' || value[len - 1] != ']')
        return false;
    cleanup_free char *inside = xstrndup(value + 1, len - 2);
    struct ranges ranges;
    ranges_init(&ranges);
    char *save = NULL;
    bool is_good = true;
    for (char *one = strtok_r(inside, ",", &save); one != NULL && is_good; one = strtok_r(NULL, ",", &save)) {
        char *dash = strchr(one, '-');
        uint64_t begin, end;
        if (dash != NULL)
            *dash = '\0';
        is_good = dash != NULL && text_to_uint64(trim(one), &begin) == 0 && text_to_uint64(trim(dash + 1), &end) == 0 &&
                  begin <= end;
        if (is_good)
            ranges_add_one(&ranges, begin, end);
    }
    is_good = is_good && ranges.count > 0;
    if (is_good)
        put_ranges(&ranges, a, out);
    ranges_deinit(&ranges);
    return is_good;
}

static int parse_value(const char *value, struct arena *a, Mesos__V1__Attribute *out, struct err *err)
{
    size_t len = strlen(value);
    if (len >= 2 && value[0] == '{' && value[len - 1] == '}')
        return err_set(err, -EINVAL, "attribute %.60s: sets are not possible", out->name);
    if (try_ranges(value, a, out))
        return 0;
    double number;
    if (text_to_double(value, &number) == 0) {
        out->type = MESOS__V1__VALUE__TYPE__SCALAR;
        out->scalar = arena_new_one(a, Mesos__V1__Value__Scalar);
        mesos__v1__value__scalar__init(out->scalar);
        out->scalar->value = number;
        return 0;
    }
    out->type = MESOS__V1__VALUE__TYPE__TEXT;
    out->text = arena_new_one(a, Mesos__V1__Value__Text);
    mesos__v1__value__text__init(out->text);
    out->text->value = arena_strdup(a, value);
    return 0;
}

int attributes_parse_flag(const char *text, struct arena *a, Mesos__V1__Attribute ***out, size_t *n, struct err *err)
{
    size_t most = 1, count = 0;
    for (const char *s = text; *s != '\0'; s++)
        most += *s == ';';
    cleanup_free char *copy = xstrdup(text);
    Mesos__V1__Attribute **list = arena_new_array(a, Mesos__V1__Attribute *, most);
    char *save = NULL;
    for (char *item = strtok_r(copy, ";", &save); item != NULL; item = strtok_r(NULL, ";", &save)) {
        item = trim(item);
        if (item[0] == '\0')
            continue;
        char *colon = strchr(item, ':');
        if (colon == NULL || colon == item)
            return err_set(err, -EINVAL, "attribute '%.60s' is not name:value", item);
        *colon = '\0';
        Mesos__V1__Attribute *one = arena_new_one(a, Mesos__V1__Attribute);
        mesos__v1__attribute__init(one);
        one->name = arena_strdup(a, trim(item));
        char *value = trim(colon + 1);
        if (one->name[0] == '\0' || value[0] == '\0')
            return err_set(err, -EINVAL, "attribute '%.60s' has no %s", item, value[0] ? "name" : "value");
        int rc = parse_value(value, a, one, err);
        if (rc != 0)
            return rc;
        list[count++] = one;
    }
    *out = list;
    *n = count;
    return 0;
}

static void write_ranges(const Mesos__V1__Value__Ranges *ranges, const char *separator, struct buf *out)
{
    (void)buf_append_char(out, '[');
    for (size_t i = 0; i < ranges->n_range; i++)
        (void)buf_printf(out, "%s%llu-%llu", i ? separator : "", (unsigned long long)ranges->range[i]->begin,
                         (unsigned long long)ranges->range[i]->end);
    (void)buf_append_char(out, ']');
}

static void write_set(const Mesos__V1__Value__Set *set, const char *separator, struct buf *out)
{
    (void)buf_append_char(out, '{');
    for (size_t i = 0; i < set->n_item; i++) {
        (void)buf_append_str(out, i ? separator : "");
        (void)buf_append_str(out, set->item[i]);
    }
    (void)buf_append_char(out, '}');
}

void attribute_format(const Mesos__V1__Attribute *attribute, struct buf *out)
{
    if (attribute->scalar != NULL) {
        char text[400]; /* %.3f of any double */
        int len = snprintf(text, sizeof(text), "%.3f", attribute->scalar->value);
        if (strchr(text, '.') != NULL)
            while (text[len - 1] == '0' || text[len - 1] == '.')
                if (text[--len] == '.')
                    break;
        (void)buf_append(out, text, (size_t)len); /* a full buffer shows in its overflowed, as below */
    } else if (attribute->ranges != NULL) {
        write_ranges(attribute->ranges, ",", out);
    } else if (attribute->set != NULL) {
        write_set(attribute->set, ",", out);
    } else if (attribute->text != NULL) {
        (void)buf_append_str(out, attribute->text->value);
    }
}

void attributes_write_legacy(Mesos__V1__Attribute *const *list, size_t n, struct json_writer *w)
{
    struct buf text;
    buf_init(&text, 0);
    json_begin_object(w);
    for (size_t i = 0; i < n; i++) {
        const Mesos__V1__Attribute *one = list[i];
        json_put_key(w, one->name);
        if (one->scalar != NULL) {
            json_put_double(w, one->scalar->value);
            continue;
        }
        if (one->ranges != NULL)
            write_ranges(one->ranges, ", ", &text);
        else if (one->set != NULL)
            write_set(one->set, ", ", &text);
        else if (one->text != NULL)
            (void)buf_append_str(&text, one->text->value);
        json_put_string_n(w, (const char *)buf_data(&text), buf_len(&text));
        buf_clear(&text);
    }
    json_end_object(w);
    buf_deinit(&text);
}
