/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/constraints.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/map.h"
#include "common/base/text.h"
#include "common/resource/resource.h"
#include "frameworks/kit/agent_value.h"
#include "frameworks/kit/pattern.h"

struct group {    /* instances that share a value */
    size_t index; /* order of first appearance */
    size_t count;
};

struct dimension {      /* one constraint */
    struct map groups;  /* value -> struct group; those that became empty stay, with count 0 */
    size_t group_count; /* with instances */
    struct pattern *pattern;
    int64_t number; /* of GROUP_BY and MAX_PER, 0 if none */
    char *wanted;   /* of IS */
};

struct spread {
    const struct app *app;
    struct dimension *dimensions;
};

const char **constraint_values(const struct app *app, const Mesos__V1__Offer *offer, struct arena *arena)
{
    const char **values = arena_new_array(arena, const char *, app->constraint_count + 1);
    for (size_t i = 0; i < app->constraint_count; i++)
        values[i] = agent_value(offer, app->constraints[i].field, arena);
    return values;
}

bool constraints_name_region(const struct app *app)
{
    for (size_t i = 0; i < app->constraint_count; i++) {
        const char *field = app->constraints[i].field;
        if (strcmp(field, "@region") == 0 || strcmp(field, "@zone") == 0)
            return true;
    }
    return false;
}

struct spread *spread_new(const struct app *app)
{
    struct spread *s = xcalloc(1, sizeof(*s));
    s->app = app;
    s->dimensions = xcalloc(app->constraint_count + 1, sizeof(s->dimensions[0]));
    for (size_t i = 0; i < app->constraint_count; i++) {
        const struct app_constraint *c = &app->constraints[i];
        struct dimension *d = &s->dimensions[i];
        map_init(&d->groups);
        if (c->op == APP_LIKE || c->op == APP_UNLIKE)
            d->pattern = kit_pattern_new(c->value, NULL); /* validated; matches nothing otherwise */
        if (c->op == APP_IS)
            d->wanted = agent_value_canonical(c->value);
        if (c->value && text_to_int64(c->value, &d->number) != 0)
            d->number = 0;
    }
    return s;
}

struct spread *spread_free(struct spread *s)
{
    if (s == NULL)
        return NULL;
    for (size_t i = 0; i < s->app->constraint_count; i++) {
        struct dimension *d = &s->dimensions[i];
        for (struct map_entry *e = map_first(&d->groups); e; e = map_next(e))
            free(map_value(e));
        map_deinit(&d->groups);
        (void)pattern_free(d->pattern);
        free(d->wanted);
    }
    free(s->dimensions);
    free(s);
    return NULL;
}

void spread_add(struct spread *s, const char *const *values)
{
    for (size_t i = 0; i < s->app->constraint_count; i++) {
        struct dimension *d = &s->dimensions[i];
        if (values[i] == NULL)
            continue;
        struct group *g = map_get(&d->groups, values[i]);
        if (g == NULL) {
            g = xcalloc(1, sizeof(*g));
            g->index = map_count(&d->groups);
            (void)map_put(&d->groups, values[i], g); /* was not there */
        }
        d->group_count += g->count++ == 0;
    }
}

void spread_remove(struct spread *s, const char *const *values)
{
    for (size_t i = 0; i < s->app->constraint_count; i++) {
        struct group *g = values[i] ? map_get(&s->dimensions[i].groups, values[i]) : NULL;
        if (g != NULL && g->count > 0 && --g->count == 0)
            s->dimensions[i].group_count--;
    }
}

static size_t smallest_group(const struct dimension *d)
{
    size_t smallest = SIZE_MAX;
    for (const struct map_entry *e = map_first(&d->groups); e; e = map_next(e)) {
        const struct group *g = map_value(e);
        if (g->count > 0 && g->count < smallest)
            smallest = g->count;
    }
    return smallest;
}

static bool accepts_group(const struct spread *s, const struct dimension *d, const struct group *g)
{
    size_t count = g ? g->count : 0;
    if (d->number <= 0)
        return count == 0 || count == smallest_group(d);
    size_t groups = (size_t)d->number, wanted = (size_t)s->app->instances;
    if (count == 0)
        return d->group_count < groups;
    size_t target = wanted / groups + (g->index < wanted % groups ? 1 : 0);
    return count < target;
}

static bool accepts(const struct spread *s, size_t i, const char *value)
{
    const struct app_constraint *c = &s->app->constraints[i];
    const struct dimension *d = &s->dimensions[i];
    if (value == NULL)
        return c->op == APP_UNLIKE;
    const struct group *g = map_get(&d->groups, value);
    switch (c->op) {
    case APP_UNIQUE:
        return g == NULL || g->count == 0;
    case APP_CLUSTER:
        if (c->value && c->value[0])
            return strcmp(value, c->value) == 0;
        return d->group_count == 0 || (g != NULL && g->count > 0);
    case APP_GROUP_BY:
        return accepts_group(s, d, g);
    case APP_LIKE:
        return d->pattern && pattern_matches(d->pattern, value);
    case APP_UNLIKE:
        return d->pattern && !pattern_matches(d->pattern, value);
    case APP_MAX_PER:
        return (int64_t)(g ? g->count : 0) < d->number;
    case APP_IS:
        return strcmp(value, d->wanted) == 0;
    }
    CHECK(!"operator of a constraint");
}

bool spread_accepts(const struct spread *s, const char *const *values)
{
    for (size_t i = 0; i < s->app->constraint_count; i++) {
        if (!accepts(s, i, values[i]))
            return false;
    }
    return true;
}

size_t spread_crowd(const struct spread *s, const char *const *values)
{
    size_t most = 0;
    for (size_t i = 0; i < s->app->constraint_count; i++) {
        if (s->app->constraints[i].op != APP_GROUP_BY || values[i] == NULL)
            continue;
        const struct group *g = map_get(&s->dimensions[i].groups, values[i]);
        if (g && g->count > most)
            most = g->count;
    }
    return most;
}
