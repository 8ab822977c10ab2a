/* SPDX-License-Identifier: Apache-2.0
 * render.c - aligned tables and indented JSON for people. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "common/base/check.h"

struct table {
    size_t columns, count, capacity;
    char **cells;
};

static void push(struct table *t, char *cell)
{
    if (t->count == t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->cells = xrealloc(t->cells, t->capacity * sizeof(*t->cells));
    }
    /* What tasks and frameworks call themselves must not steer the terminal. */
    for (char *p = cell; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    t->cells[t->count++] = cell;
}

struct table *table_new(const char *const *titles, size_t columns)
{
    struct table *t = xcalloc(1, sizeof(*t));
    t->columns = columns;
    for (size_t i = 0; i < columns; i++)
        push(t, xstrdup(titles[i]));
    return t;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char *cell;
    va_list ap;
    va_start(ap, fmt);
    CHECK(vasprintf(&cell, fmt, ap) >= 0);
    va_end(ap);
    push(t, cell);
}

void table_print(struct table *t, FILE *to)
{
    size_t *widths = xcalloc(t->columns, sizeof(*widths));
    for (size_t i = 0; i < t->count; i++) {
        size_t len = strlen(t->cells[i]);
        if (len > widths[i % t->columns])
            widths[i % t->columns] = len;
    }
    for (size_t i = 0; i < t->count; i++) {
        bool last = (i + 1) % t->columns == 0;
        if (last)
            fprintf(to, "%s\n", t->cells[i]);
        else
            fprintf(to, "%-*s  ", (int)widths[i % t->columns], t->cells[i]);
        free(t->cells[i]);
    }
    free(widths);
    free(t->cells);
    free(t);
}

void print_json(const json_t *value)
{
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    CHECK(text != NULL);
    puts(text);
    free(text);
}
