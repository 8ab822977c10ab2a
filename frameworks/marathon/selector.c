/* SPDX-License-Identifier: Apache-2.0 */
#include "frameworks/marathon/selector.h"

#include <ctype.h>
#include <string.h>

#define TERM_MAX 512

struct cursor {
    const char *p;
    bool failed;
};

static void skip_spaces(struct cursor *c)
{
    while (*c->p == ' ')
        c->p++;
}

/* Letters, digits, '.', '_', '-', others after a backslash. */
static void read_term(struct cursor *c, char out[TERM_MAX])
{
    size_t n = 0;
    skip_spaces(c);
    for (; n + 1 < TERM_MAX; c->p++) {
        if (*c->p == '\\' && c->p[1] != '\0')
            out[n++] = *++c->p;
        else if (isalnum((unsigned char)*c->p) || (*c->p != '\0' && strchr("._-", *c->p)))
            out[n++] = *c->p;
        else
            break;
    }
    out[n] = '\0';
    c->failed = c->failed || n == 0 || n + 1 >= TERM_MAX;
    skip_spaces(c);
}

static const char *find(const struct pairs *labels, const char *key)
{
    for (size_t i = 0; labels && i < labels->count; i++) {
        if (strcmp(labels->items[i].key, key) == 0)
            return labels->items[i].value;
    }
    return NULL;
}

static bool read_char(struct cursor *c, char wanted)
{
    skip_spaces(c);
    bool found = *c->p == wanted;
    c->p += found;
    c->failed = c->failed || !found;
    return found;
}

/* (a, b, ...): is the value among them? */
static bool read_list(struct cursor *c, const char *value)
{
    bool found = false;
    char term[TERM_MAX];
    if (!read_char(c, '('))
        return false;
    do {
        read_term(c, term);
        found = found || (value && strcmp(term, value) == 0);
    } while (!c->failed && *c->p == ',' && c->p++);
    (void)read_char(c, ')'); /* says so in failed */
    return found;
}

static bool is_word_here(const struct cursor *c, const char *word)
{
    size_t n = strlen(word);
    return strncmp(c->p, word, n) == 0 && (c->p[n] == ' ' || c->p[n] == '(');
}

/* The key must be there for every operator, the negative ones included. */
static bool read_atom(struct cursor *c, const struct pairs *labels)
{
    char key[TERM_MAX], term[TERM_MAX];
    read_term(c, key);
    if (c->failed)
        return false;
    const char *value = find(labels, key);
    if (c->p[0] == '=' && c->p[1] == '=') {
        c->p += 2;
        read_term(c, term);
        return value && strcmp(value, term) == 0;
    }
    if (c->p[0] == '!' && c->p[1] == '=') {
        c->p += 2;
        read_term(c, term);
        return value && strcmp(value, term) != 0;
    }
    if (is_word_here(c, "in")) {
        c->p += 2;
        return read_list(c, value) && value;
    }
    if (is_word_here(c, "notin")) {
        c->p += 5;
        return !read_list(c, value) && value;
    }
    return value != NULL;
}

static bool evaluate(const char *text, const struct pairs *labels, bool *is_valid)
{
    struct cursor c = {.p = text};
    bool all = true;
    do {
        all = read_atom(&c, labels) && all;
        skip_spaces(&c);
    } while (!c.failed && *c.p == ',' && c.p++);
    *is_valid = !c.failed && *c.p == '\0';
    return all;
}

bool selector_is_valid(const char *text)
{
    bool is_valid;
    (void)evaluate(text, NULL, &is_valid);
    return is_valid;
}

bool selector_matches(const char *text, const struct pairs *labels)
{
    bool is_valid;
    return evaluate(text, labels, &is_valid) && is_valid;
}
