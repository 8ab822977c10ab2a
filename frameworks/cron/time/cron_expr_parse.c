/* SPDX-License-Identifier: Apache-2.0
 * cron_expr_parse.c - text to fields and to normalised text. One walk does both: what is understood is what is written. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "frameworks/cron/time/cron_expr.h"

#define FIELDS_MIN 5
#define FIELDS_MAX 6
#define VALUES_MAX 192 /* bits of a field while it is read, from its minimum on: years are the most */

enum field { FIELD_MINUTE, FIELD_HOUR, FIELD_DAY, FIELD_MONTH, FIELD_WEEKDAY, FIELD_YEAR };

static const struct field_def {
    const char *name;
    int min, max;
    const char *names; /* of values from names_from on, three letters each */
    int names_from;
} field_defs[FIELDS_MAX] = {
    {"minute", 0, 59, NULL, 0},
    {"hour", 0, 23, NULL, 0},
    {"day of month", 1, 31, NULL, 0},
    {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", 1},
    {"day of week", 0, 7, "SUNMONTUEWEDTHUFRISAT", 0},
    {"year", CRON_EXPR_YEAR_MIN, CRON_EXPR_YEAR_MAX, NULL, 0},
};

/* One field at a time: the text between blanks. */
struct reader {
    const char *at, *end;
    enum field field;
    const struct field_def *def;
    struct cron_expr *expr;
    struct buf *out; /* normalised text, may be NULL */
    struct err *err;
};

static int fail(struct reader *r, const char *what)
{
    return err_set(r->err, -EINVAL, "%s: %s", r->def->name, what);
}

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || toupper((unsigned char)*r->at) != c)
        return false;
    r->at++;
    return true;
}

static void put(struct reader *r, const char *text)
{
    if (r->out != NULL)
        (void)buf_append_str(r->out, text); /* a full buffer says so itself */
}

static void put_number(struct reader *r, int v)
{
    if (r->out != NULL)
        (void)buf_printf(r->out, "%d", v);
}

static void set_value(struct reader *r, int v)
{
    struct cron_expr *e = r->expr;
    switch (r->field) {
    case FIELD_MINUTE:
        e->minutes |= UINT64_C(1) << v;
        break;
    case FIELD_HOUR:
        e->hours |= UINT32_C(1) << v;
        break;
    case FIELD_DAY:
        e->days |= UINT32_C(1) << v;
        break;
    case FIELD_MONTH:
        e->months |= (uint16_t)(1u << v);
        break;
    case FIELD_WEEKDAY:
        e->weekdays |= (uint8_t)(1u << v % 7);
        break;
    case FIELD_YEAR:
        e->years[(v - CRON_EXPR_YEAR_MIN) / 64] |= UINT64_C(1) << (v - CRON_EXPR_YEAR_MIN) % 64;
        break;
    }
}

/* Digits, at most five of them. */
static int read_number(struct reader *r, int *out)
{
    int v = 0;
    const char *begin = r->at;
    while (r->at != r->end && *r->at >= '0' && *r->at <= '9') {
        if (r->at - begin == 5)
            return fail(r, "number too large");
        v = v * 10 + (*r->at++ - '0');
    }
    if (r->at == begin)
        return fail(r, r->at == r->end ? "a value is missing" : "unexpected character");
    *out = v;
    return 0;
}

/* A number in the field's range, or a name. */
static int read_value(struct reader *r, int *out)
{
    const struct field_def *def = r->def;
    if (def->names != NULL && r->end - r->at >= 3 && isalpha((unsigned char)*r->at)) {
        for (int i = 0; def->names[3 * i] != '\0'; i++) {
            if (strncasecmp(def->names + 3 * i, r->at, 3) == 0) {
                r->at += 3;
                *out = def->names_from + i;
                return 0;
            }
        }
        return fail(r, "unknown name");
    }
    int v, rc = read_number(r, &v);
    if (rc != 0)
        return rc;
    if (v < def->min || v > def->max)
        return err_set(r->err, -EINVAL, "%s: %d is not within %d-%d", def->name, v, def->min, def->max);
    *out = v;
    return 0;
}

/* "/n", if it is there. *step is 1 without it. */
static int read_step(struct reader *r, int *step, bool *has_step)
{
    *has_step = take(r, '/');
    *step = 1;
    if (!*has_step)
        return 0;
    int rc = read_number(r, step);
    if (rc != 0)
        return rc;
    int size = r->field == FIELD_WEEKDAY ? 7 : r->def->max - r->def->min + 1;
    if (*step < 1 || *step > size)
        return err_set(r->err, -EINVAL, "%s: a step of %d is not within 1-%d", r->def->name, *step, size);
    return 0;
}

static int set_range(struct reader *r, int from, int to, int step)
{
    for (int v = from; v <= to; v += step)
        set_value(r, v);
    return 0;
}

static int read_star(struct reader *r)
{
    int step, rc;
    bool has_step;
    rc = read_step(r, &step, &has_step);
    if (rc != 0)
        return rc;
    put(r, "*");
    if (step != 1) {
        put(r, "/");
        put_number(r, step);
    }
    return set_range(r, r->def->min, r->field == FIELD_WEEKDAY ? 6 : r->def->max, step);
}

/* L and L-n of the day of month. */
static int read_end_day(struct reader *r)
{
    int before = 0;
    put(r, "L");
    if (take(r, '-')) {
        int rc = read_number(r, &before);
        if (rc != 0)
            return rc;
        if (before < 1 || before > 30)
            return fail(r, "L-n counts back by 1 to 30 days");
        put(r, "-");
        put_number(r, before);
    }
    if (r->at != r->end && *r->at != ',')
        return fail(r, take(r, 'W') ? "LW is not supported" : "unexpected character behind L");
    r->expr->end_days |= UINT32_C(1) << before;
    return 0;
}

/* What may follow a single value: L or #k behind a weekday, W behind a day. 1: it did, and is done with. */
static int read_special(struct reader *r, int value)
{
    if (take(r, 'L')) {
        if (r->field != FIELD_WEEKDAY)
            return fail(r, "L goes behind a weekday only (5L), or stands alone as a day of the month");
        r->expr->last_weekdays |= (uint8_t)(1u << value % 7);
        put_number(r, value % 7);
        put(r, "L");
        return 1;
    }
    if (take(r, 'W')) {
        if (r->field != FIELD_DAY)
            return fail(r, "W goes behind a day of the month only (15W)");
        r->expr->near_days |= UINT32_C(1) << value;
        put_number(r, value);
        put(r, "W");
        return 1;
    }
    if (take(r, '#')) {
        int nth, rc;
        if (r->field != FIELD_WEEKDAY)
            return fail(r, "# goes behind a weekday only (1#2)");
        rc = read_number(r, &nth);
        if (rc != 0)
            return rc;
        if (nth < 1 || nth > 5)
            return fail(r, "the number behind # is not within 1-5");
        r->expr->nth_weekdays[nth - 1] |= (uint8_t)(1u << value % 7);
        put_number(r, value % 7);
        put(r, "#");
        put_number(r, nth);
        return 1;
    }
    return 0;
}

/* a, a/n, a-b, a-b/n and the specials. */
static int read_values(struct reader *r)
{
    int from, to, step, rc;
    bool has_step;
    rc = read_value(r, &from);
    if (rc != 0)
        return rc;
    rc = read_special(r, from);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    bool is_range = take(r, '-');
    if (is_range) {
        rc = read_value(r, &to);
        if (rc != 0)
            return rc;
        if (to < from)
            return err_set(r->err, -EINVAL, "%s: the range %d-%d runs backwards; write it as two, with a comma",
                           r->def->name, from, to);
    }
    rc = read_step(r, &step, &has_step);
    if (rc != 0)
        return rc;
    put_number(r, is_range || r->field != FIELD_WEEKDAY ? from : from % 7);
    if (is_range) {
        put(r, "-");
        put_number(r, to);
    } else {
        to = has_step ? (r->field == FIELD_WEEKDAY ? 6 : r->def->max) : from;
        if (r->field == FIELD_WEEKDAY && from == 7)
            from = 0; /* 7/2 counts from Sunday */
        if (!has_step)
            to = from;
    }
    if (has_step && (!is_range || step != 1)) { /* a/1 is not a */
        put(r, "/");
        put_number(r, step);
    }
    return set_range(r, from, to, step);
}

static int read_field(struct reader *r)
{
    for (;;) {
        int rc;
        if (take(r, '*'))
            rc = read_star(r);
        else if (r->field == FIELD_DAY && take(r, 'L'))
            rc = read_end_day(r);
        else if (r->field == FIELD_WEEKDAY && r->at != r->end && toupper((unsigned char)*r->at) == 'L')
            rc = fail(r, "L needs a weekday before it (5L)");
        else
            rc = read_values(r);
        if (rc != 0)
            return rc;
        if (r->at == r->end)
            return 0;
        if (!take(r, ','))
            return fail(r, "unexpected character");
        put(r, ",");
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static int read_fields(const char *text, struct cron_expr *expr, struct buf *out, struct err *err)
{
    int count = 0;
    if (strlen(text) > CRON_EXPR_TEXT_MAX)
        return err_set(err, -EINVAL, "a cron expression has at most %d characters", CRON_EXPR_TEXT_MAX);
    for (const char *at = text;;) {
        while (is_blank(*at))
            at++;
        if (*at == '\0')
            break;
        const char *end = at;
        while (*end != '\0' && !is_blank(*end))
            end++;
        if (count == FIELDS_MAX)
            return err_set(err, -EINVAL, "a cron expression has 5 or 6 fields, this one has more");
        struct reader r = {at, end, (enum field)count, &field_defs[count], expr, out, err};
        if (count > 0)
            put(&r, " ");
        int rc = read_field(&r);
        if (rc != 0)
            return rc;
        count++;
        at = end;
    }
    if (count < FIELDS_MIN)
        return err_set(err, -EINVAL,
                       "a cron expression has 5 or 6 fields (minute hour day month weekday [year]), this one has %d",
                       count);
    if (count == FIELDS_MIN)
        memset(expr->years, 0xff, sizeof(expr->years));
    return 0;
}

static int parse(const char *text, struct cron_expr *out, struct buf *normalised, struct err *err)
{
    struct cron_expr e;
    memset(&e, 0, sizeof(e));
    int rc = read_fields(text, &e, normalised, err);
    if (rc != 0)
        return rc;
    if (!cron_expr_can_be_due(&e))
        return err_set(
            err, -EINVAL,
            "it is never due: no day of the month fits the months, days of the week and years that are asked for");
    *out = e;
    return 0;
}

int cron_expr_parse(const char *text, struct cron_expr *out, struct err *err)
{
    return parse(text, out, NULL, err);
}

int cron_expr_normalise(const char *text, struct buf *out, struct err *err)
{
    struct cron_expr ignored;
    struct buf part;
    buf_init(&part, 4 * CRON_EXPR_TEXT_MAX);
    int rc = parse(text, &ignored, &part, err);
    if (rc == 0)
        rc = buf_append(out, buf_data(&part), buf_len(&part));
    buf_deinit(&part);
    return rc;
}
