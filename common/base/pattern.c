/* SPDX-License-Identifier: Apache-2.0
 * pattern.c - an expression is parsed into a tree in an arena, the tree is compiled into steps of a small machine (repeats
 * are written out), and all positions the machine can be in are moved on together, character by character. */
#include "common/base/pattern.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/arena.h"
#include "common/base/check.h"

#define REPEAT_MAX 1000
#define POINT_MAX 0x10ffff

struct range {
    uint32_t first, last;
};

struct set {
    uint32_t ascii[4];    /* bits of the first 128 points */
    struct range *ranges; /* once it is complete: of what is behind these, ascending, apart */
    size_t count, capacity;
    bool is_negated;
};

enum node_type { NODE_EMPTY, NODE_SET, NODE_CAT, NODE_OR, NODE_REPEAT, NODE_ASSERT };

struct node {
    enum node_type type;
    struct node *left, *right; /* REPEAT: left; CAT: the first, the rest */
    struct set *set;
    int min, max; /* REPEAT; max -1: no end */
    char assert;  /* '^' '$' 'b' 'B' */
};

enum step_type { STEP_SET, STEP_SPLIT, STEP_JUMP, STEP_ASSERT, STEP_MATCH };

struct step {
    enum step_type type;
    size_t x, y; /* SPLIT, JUMP */
    const struct set *set;
    char assert;
};

struct pattern {
    struct arena *arena;
    struct step *steps; /* NULL: they are only counted */
    size_t count, max;
};

/* -- parsing ---------------------------------------------------------------------------------------------------- */

struct parser {
    const char *at;
    struct arena *arena;
    struct err *err;
    int depth;
    bool failed;
};

static void *fail(struct parser *p, const char *why)
{
    if (!p->failed)
        err_set(p->err, -EINVAL, "regular expression: %s", why);
    p->failed = true;
    return NULL;
}

static struct node *node_new(struct parser *p, enum node_type type)
{
    struct node *n = arena_new_one(p->arena, struct node);
    n->type = type;
    return n;
}

/* One code point of well-formed UTF-8, else U+FFFD and one byte. Not at the end. */
static uint32_t next_point(const char **at)
{
    const uint8_t *s = (const uint8_t *)*at;
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;
    uint32_t point = n == 1 ? s[0] : n == 2 ? s[0] & 0x1fu : n == 3 ? s[0] & 0x0fu : s[0] & 0x07u;
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80) {
            n = 0;
            break;
        }
        point = point << 6 | (s[i] & 0x3fu);
    }
    if (n == 0 || point > POINT_MAX) {
        (*at)++;
        return 0xfffd;
    }
    *at += n;
    return point;
}

static void set_add(struct parser *p, struct set *s, uint32_t first, uint32_t last)
{
    for (uint32_t c = first; c <= last && c < 128; c++)
        s->ascii[c / 32] |= UINT32_C(1) << c % 32;
    if (last < 128)
        return;
    if (s->count == s->capacity) {
        const struct range *old = s->ranges;
        s->capacity = s->capacity ? 2 * s->capacity : 4;
        s->ranges = arena_new_array(p->arena, struct range, s->capacity);
        if (s->count > 0)
            memcpy(s->ranges, old, s->count * sizeof(*old));
    }
    s->ranges[s->count++] = (struct range){first, last};
}

static int compare_ranges(const void *left, const void *right)
{
    uint32_t a = ((const struct range *)left)->first, b = ((const struct range *)right)->first;
    return (a > b) - (a < b);
}

/* So that a character is looked up in few steps, whatever the expression lists. */
static void set_complete(struct set *s)
{
    if (s->count == 0)
        return;
    qsort(s->ranges, s->count, sizeof(s->ranges[0]), compare_ranges);
    size_t kept = 0;
    for (size_t i = 1; i < s->count; i++) {
        struct range *last = &s->ranges[kept];
        if (s->ranges[i].first > last->last)
            s->ranges[++kept] = s->ranges[i];
        else if (s->ranges[i].last > last->last)
            last->last = s->ranges[i].last;
    }
    s->count = kept + 1;
}

/* \d \w \s, and their opposites. */
static bool add_class(struct parser *p, struct set *s, char c)
{
    static const struct {
        char name;
        struct range ranges[5]; /* ends with one that is empty */
    } classes[] = {
        {'d', {{'0', '9'}, {1, 0}}},
        {'D', {{0, '0' - 1}, {'9' + 1, POINT_MAX}, {1, 0}}},
        {'w', {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {1, 0}}},
        {'s', {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}, {1, 0}}},
        {'S', {{0, '\t' - 1}, {'\v', '\v'}, {'\r' + 1, ' ' - 1}, {' ' + 1, POINT_MAX}, {1, 0}}},
    };
    if (c == 'W') {
        set_add(p, s, 0, '0' - 1);
        set_add(p, s, '9' + 1, 'A' - 1);
        set_add(p, s, 'Z' + 1, '_' - 1);
        set_add(p, s, '_' + 1, 'a' - 1);
        set_add(p, s, 'z' + 1, POINT_MAX);
        return true;
    }
    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        if (classes[i].name != c)
            continue;
        for (const struct range *r = classes[i].ranges; r->first <= r->last; r++)
            set_add(p, s, r->first, r->last);
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind \x: two digits, or any in braces. */
static uint32_t parse_hex(struct parser *p)
{
    bool braces = *p->at == '{';
    uint32_t point = 0;
    size_t n = 0;
    p->at += braces;
    for (; hex_digit(*p->at) >= 0 && n < (braces ? 6 : 2); n++)
        point = point * 16 + (uint32_t)hex_digit(*p->at++);
    bool is_ended = !braces || *p->at == '}';
    p->at += braces && is_ended;
    if (n == 0 || (!braces && n != 2) || !is_ended || point > POINT_MAX)
        (void)fail(p, "\\x without a code");
    return point;
}

/* Behind a backslash: one character that stands for itself or by its name. */
static uint32_t parse_escaped(struct parser *p)
{
    static const char names[] = "tnrfva", meant[] = "\t\n\r\f\v\a";
    char c = *p->at;
    const char *name = c != '\0' ? strchr(names, c) : NULL;
    if (name != NULL) {
        p->at++;
        return (uint32_t)meant[name - names];
    }
    if (c == 'x') {
        p->at++;
        return parse_hex(p);
    }
    if (c == '\0' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        (void)fail(p, "an unknown escape, or a back reference");
        return 0;
    }
    return next_point(&p->at);
}

/* [:alpha:] inside brackets; false when it is none. */
static bool parse_posix(struct parser *p, struct set *s)
{
    static const struct {
        const char *name;
        struct range ranges[5];
    } posix[] = {
        {"[:alpha:]", {{'A', 'Z'}, {'a', 'z'}, {1, 0}}},
        {"[:alnum:]", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}, {1, 0}}},
        {"[:digit:]", {{'0', '9'}, {1, 0}}},
        {"[:lower:]", {{'a', 'z'}, {1, 0}}},
        {"[:upper:]", {{'A', 'Z'}, {1, 0}}},
        {"[:space:]", {{'\t', '\r'}, {' ', ' '}, {1, 0}}},
        {"[:punct:]", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}, {1, 0}}},
        {"[:xdigit:]", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}, {1, 0}}},
        {"[:word:]", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}, {1, 0}}},
    };
    for (size_t i = 0; i < sizeof(posix) / sizeof(posix[0]); i++) {
        size_t len = strlen(posix[i].name);
        if (strncmp(p->at, posix[i].name, len) != 0)
            continue;
        for (const struct range *r = posix[i].ranges; r->first <= r->last; r++)
            set_add(p, s, r->first, r->last);
        p->at += len;
        return true;
    }
    return false;
}

static struct node *parse_brackets(struct parser *p)
{
    struct node *n = node_new(p, NODE_SET);
    n->set = arena_new_one(p->arena, struct set);
    if (*p->at == '^') {
        n->set->is_negated = true;
        p->at++;
    }
    for (bool first = true; *p->at != ']' || first; first = false) {
        if (*p->at == '\0' || p->failed)
            return fail(p, "a [ without ]");
        if (*p->at == '[' && p->at[1] == ':') {
            if (!parse_posix(p, n->set))
                return fail(p, "an unknown class");
            continue;
        }
        if (*p->at == '\\' && p->at[1] != '\0' && add_class(p, n->set, p->at[1])) {
            p->at += 2;
            continue;
        }
        bool is_escaped = *p->at == '\\';
        p->at += is_escaped;
        uint32_t from = is_escaped ? parse_escaped(p) : next_point(&p->at), to = from;
        if (*p->at == '-' && p->at[1] != ']' && p->at[1] != '\0') {
            p->at++;
            is_escaped = *p->at == '\\';
            p->at += is_escaped;
            to = is_escaped ? parse_escaped(p) : next_point(&p->at);
        }
        if (to < from)
            return fail(p, "a range that ends before it begins");
        set_add(p, n->set, from, to);
    }
    p->at++;
    set_complete(n->set);
    return n;
}

static struct node *parse_or(struct parser *p);

static struct node *parse_group(struct parser *p)
{
    if (p->at[0] == '?' && p->at[1] == ':') {
        p->at += 2;
    } else if (p->at[0] == '?' && p->at[1] == 'P' && p->at[2] == '<') {
        const char *end = strchr(p->at, '>');
        if (end == NULL)
            return fail(p, "a group whose name has no end");
        p->at = end + 1;
    } else if (p->at[0] == '?') {
        return fail(p, "flags and look-around are not supported");
    }
    if (++p->depth > PATTERN_DEPTH_MAX)
        return fail(p, "groups are nested too deep");
    struct node *n = parse_or(p);
    p->depth--;
    if (n == NULL || *p->at != ')')
        return fail(p, "a ( without )");
    p->at++;
    return n;
}

static struct node *assert_node(struct parser *p, char what)
{
    struct node *n = node_new(p, NODE_ASSERT);
    n->assert = what;
    return n;
}

static struct node *parse_atom(struct parser *p)
{
    char c = *p->at;
    if (c == '(' || c == '[') {
        p->at++;
        return c == '(' ? parse_group(p) : parse_brackets(p);
    }
    if (c == '*' || c == '+' || c == '?')
        return fail(p, "nothing to repeat");
    if (c == '^' || c == '$') {
        p->at++;
        return assert_node(p, c);
    }
    struct node *n = node_new(p, NODE_SET);
    n->set = arena_new_one(p->arena, struct set);
    if (c == '.') {
        p->at++;
        n->set->is_negated = true;
        set_add(p, n->set, '\n', '\n');
    } else if (c == '\\') {
        c = *++p->at;
        if (c == 'A' || c == 'z' || c == 'b' || c == 'B') {
            p->at++;
            return assert_node(p, c == 'A' ? '^' : c == 'z' ? '$' : c);
        }
        if (c != '\0' && add_class(p, n->set, c)) {
            p->at++;
        } else {
            uint32_t point = parse_escaped(p);
            set_add(p, n->set, point, point);
        }
    } else {
        uint32_t point = next_point(&p->at);
        set_add(p, n->set, point, point);
    }
    set_complete(n->set);
    return n;
}

/* A number, -1: none. */
static int parse_count(struct parser *p)
{
    int n = -1;
    for (; *p->at >= '0' && *p->at <= '9'; p->at++) {
        n = (n < 0 ? 0 : n) * 10 + (*p->at - '0');
        if (n > REPEAT_MAX) {
            (void)fail(p, "a repeat count above 1000");
            return 0;
        }
    }
    return n;
}

/* {n} {n,} {n,m}; anything else in braces is text. */
static bool parse_braces(struct parser *p, int *min, int *max)
{
    const char *start = p->at++;
    *min = *max = parse_count(p);
    if (*min >= 0 && *p->at == ',') {
        p->at++;
        *max = parse_count(p);
    }
    if (*min < 0 || *p->at != '}') {
        p->at = start;
        return false;
    }
    p->at++;
    if (*max >= 0 && *max < *min)
        (void)fail(p, "a repeat that ends before it begins");
    return true;
}

static struct node *parse_repeat(struct parser *p)
{
    struct node *n = parse_atom(p);
    while (n != NULL && !p->failed) {
        int min, max;
        char c = *p->at;
        if (c == '*' || c == '+' || c == '?') {
            p->at++;
            min = c == '+';
            max = c == '?' ? 1 : -1;
        } else if (c != '{' || !parse_braces(p, &min, &max)) {
            break;
        }
        if (*p->at == '?')
            p->at++; /* how greedy makes no difference for the whole text */
        bool is_repeated =
            *p->at == '*' || *p->at == '+' || *p->at == '?' || (*p->at == '{' && parse_braces(p, &(int){0}, &(int){0}));
        if (is_repeated)
            return fail(p, "a repeat of a repeat");
        struct node *repeat = node_new(p, NODE_REPEAT);
        repeat->left = n;
        repeat->min = min;
        repeat->max = max;
        n = repeat;
        break;
    }
    return n;
}

static struct node *parse_cat(struct parser *p)
{
    struct node *first = node_new(p, NODE_EMPTY), *last = first;
    while (*p->at != '\0' && *p->at != '|' && *p->at != ')' && !p->failed) {
        const char *before = p->at;
        last->type = NODE_CAT;
        last->left = parse_repeat(p);
        if (last->left == NULL)
            return NULL;
        CHECK(p->at > before);
        last = last->right = node_new(p, NODE_EMPTY);
    }
    return first;
}

static struct node *parse_or(struct parser *p)
{
    struct node *n = parse_cat(p);
    while (n != NULL && *p->at == '|' && !p->failed) {
        p->at++;
        struct node * or = node_new(p, NODE_OR);
        or->left = n;
        or->right = parse_cat(p);
        if (or->right == NULL)
            return NULL;
        n = or ;
    }
    return n;
}

/* -- compiling -------------------------------------------------------------------------------------------------- */

/* Where the step was put; the program may be full, then nothing more is put. */
static size_t put(struct pattern *p, struct step step)
{
    if (p->count < p->max && p->steps != NULL)
        p->steps[p->count] = step;
    return p->count++;
}

static bool is_full(const struct pattern *p)
{
    return p->count >= p->max;
}

static void point_at(struct pattern *p, size_t step, size_t x, size_t y)
{
    if (step < p->max && p->steps != NULL) {
        p->steps[step].x = x;
        p->steps[step].y = y;
    }
}

/* Recursion is as deep as groups are nested, and as alternatives fit into the program. */
static void compile(struct pattern *p, const struct node *n);

static void compile_repeat(struct pattern *p, const struct node *n)
{
    for (int i = 0; i < n->min && !is_full(p); i++) {
        size_t before = p->count;
        compile(p, n->left);
        if (p->count == before)
            break; /* nothing, however often */
    }
    if (n->max < 0) {
        size_t split = put(p, (struct step){.type = STEP_SPLIT});
        compile(p, n->left);
        (void)put(p, (struct step){.type = STEP_JUMP, .x = split});
        point_at(p, split, split + 1, p->count);
        return;
    }
    for (int i = n->min; i < n->max && !is_full(p); i++) {
        size_t split = put(p, (struct step){.type = STEP_SPLIT});
        compile(p, n->left);
        point_at(p, split, split + 1, p->count); /* each may end it: the next split follows */
    }
}

static void compile_or(struct pattern *p, const struct node *n)
{
    size_t split = put(p, (struct step){.type = STEP_SPLIT});
    compile(p, n->left);
    size_t jump = put(p, (struct step){.type = STEP_JUMP});
    point_at(p, split, split + 1, p->count);
    compile(p, n->right);
    point_at(p, jump, p->count, 0);
}

static void compile(struct pattern *p, const struct node *n)
{
    for (; n->type == NODE_CAT && !is_full(p); n = n->right)
        compile(p, n->left);
    if (is_full(p))
        return;
    switch (n->type) {
    case NODE_CAT:
    case NODE_EMPTY:
        break;
    case NODE_SET:
        (void)put(p, (struct step){.type = STEP_SET, .set = n->set});
        break;
    case NODE_ASSERT:
        (void)put(p, (struct step){.type = STEP_ASSERT, .assert = n->assert});
        break;
    case NODE_OR:
        compile_or(p, n);
        break;
    case NODE_REPEAT:
        compile_repeat(p, n);
        break;
    }
}

struct pattern *pattern_new(const char *expression, size_t program_max, struct err *err)
{
    if (strlen(expression) > PATTERN_BYTES_MAX) {
        err_set(err, -EINVAL, "regular expression: longer than %d bytes", PATTERN_BYTES_MAX);
        return NULL;
    }
    CHECK(program_max > 0 && program_max <= PATTERN_PROGRAM_MAX);
    struct pattern *p = xcalloc(1, sizeof(*p));
    p->arena = arena_new((size_t)1 << 30);
    struct parser parser = {.at = expression, .arena = p->arena, .err = err};
    struct node *tree = parse_or(&parser);
    if (tree != NULL && *parser.at == ')')
        tree = fail(&parser, "a ) without (");
    if (tree == NULL || parser.failed)
        return pattern_free(p);
    p->max = program_max;
    compile(p, tree);
    if (is_full(p)) { /* no room for the last one */
        err_set(err, -EINVAL, "regular expression: larger than %zu steps", program_max);
        return pattern_free(p);
    }
    p->steps = arena_new_array(p->arena, struct step, p->count + 1);
    p->count = 0;
    compile(p, tree);
    (void)put(p, (struct step){.type = STEP_MATCH});
    return p;
}

struct pattern *pattern_free(struct pattern *p)
{
    if (p == NULL)
        return NULL;
    (void)arena_free(p->arena);
    free(p);
    return NULL;
}

/* -- matching --------------------------------------------------------------------------------------------------- */

struct positions {
    size_t *list;
    size_t count;
    uint32_t *seen; /* by step: the round it was added in */
    uint32_t round;
    size_t *stack;
};

static bool is_word(uint32_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= 'a' && c <= 'z');
}

static bool set_has(const struct set *s, uint32_t c)
{
    if (c < 128)
        return ((s->ascii[c / 32] >> c % 32 & 1) != 0) != s->is_negated;
    size_t low = 0, high = s->count; /* the first range that ends at c or behind it */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return (low < s->count && s->ranges[low].first <= c) != s->is_negated;
}

struct place {
    bool at_start, at_end;
    uint32_t before, after;
};

static bool holds(char assert, const struct place *w)
{
    bool edge = (!w->at_start && is_word(w->before)) != (!w->at_end && is_word(w->after));
    return assert == '^' ? w->at_start : assert == '$' ? w->at_end : assert == 'b' ? edge : !edge;
}

/* Adds a step and all that can be come to from it without reading. Each step goes onto the stack at most once a round. */
static void add(const struct pattern *p, struct positions *to, size_t step, const struct place *w)
{
    size_t depth = 0;
    if (to->seen[step] != to->round) {
        to->seen[step] = to->round;
        to->stack[depth++] = step;
    }
    while (depth > 0) {
        size_t at = to->stack[--depth];
        const struct step *s = &p->steps[at];
        size_t next[2], n = 0;
        if (s->type == STEP_SPLIT) {
            next[n++] = s->y;
            next[n++] = s->x;
        } else if (s->type == STEP_JUMP) {
            next[n++] = s->x;
        } else if (s->type == STEP_ASSERT) {
            if (holds(s->assert, w))
                next[n++] = at + 1;
        } else {
            to->list[to->count++] = at;
        }
        for (size_t i = 0; i < n; i++) {
            if (to->seen[next[i]] == to->round)
                continue;
            to->seen[next[i]] = to->round;
            to->stack[depth++] = next[i];
        }
    }
}

static bool run(const struct pattern *p, const char *text, struct positions *now, struct positions *then)
{
    struct place w = {.at_start = true};
    const char *at = text, *ahead = text;
    w.at_end = *at == '\0';
    w.after = w.at_end ? 0 : next_point(&ahead);
    now->round = 1;
    add(p, now, 0, &w);
    while (*at != '\0' && now->count > 0) {
        uint32_t c = next_point(&at);
        w = (struct place){.at_end = *at == '\0', .before = c};
        ahead = at;
        w.after = w.at_end ? 0 : next_point(&ahead);
        then->count = 0;
        then->round++;
        for (size_t i = 0; i < now->count; i++) {
            const struct step *s = &p->steps[now->list[i]];
            if (s->type == STEP_SET && set_has(s->set, c))
                add(p, then, now->list[i] + 1, &w);
        }
        struct positions swap = *now;
        *now = *then;
        *then = swap;
    }
    for (size_t i = 0; i < now->count; i++)
        if (p->steps[now->list[i]].type == STEP_MATCH)
            return *at == '\0';
    return false;
}

bool pattern_matches(const struct pattern *p, const char *text)
{
    struct positions sets[2] = {0};
    size_t *numbers = xcalloc(p->count * 4, sizeof(*numbers));
    uint32_t *seen = xcalloc(p->count * 2, sizeof(*seen));
    for (size_t i = 0; i < 2; i++) {
        sets[i].list = numbers + i * 2 * p->count;
        sets[i].stack = sets[i].list + p->count;
        sets[i].seen = seen + i * p->count;
    }
    bool is_match = run(p, text, &sets[0], &sets[1]);
    free(numbers);
    free(seen);
    return is_match;
}
