/* SPDX-License-Identifier: Apache-2.0 */
#include "master/roles.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "master/allocator.h"
#include "master/constraints.h"
#include "master/offers.h"
#include "master/weights.h"

const char *master_role_check(const struct master *m, const char *name)
{
    size_t depth = 1;
    for (const char *c = name; *c != '\0'; c++)
        depth += *c == '/';
    if (strlen(name) > MASTER_ROLE_BYTES_MAX || depth > MASTER_ROLE_DEPTH_MAX)
        return "is longer or deeper than this master allows";
    if (!text_is_valid_role(name))
        return "is not a valid role name";
    if (map_count(&m->role_white_list) > 0 && strcmp(name, "*") != 0 && map_get(&m->role_white_list, name) == NULL)
        return "is not among the roles of this master";
    return NULL;
}

/* -- roles ------------------------------------------------------------------------------------------------------ */

struct master_role *master_role_find(const struct master *m, const char *name)
{
    struct master_role *r = NULL;
    HASH_FIND_STR(m->roles, name, r);
    return r;
}

/* Recursion is bounded by MASTER_ROLE_DEPTH_MAX. */
static struct master_role *get_role(struct master *m, const char *name)
{
    struct master_role *r = master_role_find(m, name);
    if (r != NULL)
        return r;
    r = xcalloc(1, sizeof(*r));
    r->name = xstrdup(name);
    list_init(&r->clients);
    const double *weight = map_get(&m->weights, name);
    share_init(&r->node, r->name, weight != NULL ? *weight : 1.0, false);
    share_init(&r->own, ".", 1.0, false);
    const char *slash = strrchr(name, '/');
    if (slash != NULL) {
        cleanup_free char *parent = xstrndup(name, (size_t)(slash - name));
        r->parent = get_role(m, parent);
        r->parent->uses++;
    }
    r->top = r->parent != NULL ? r->parent->top : r;
    list_init(&r->blocked_node);
    share_attach(r->parent != NULL ? &r->parent->node : &m->share_root, &r->node);
    share_attach(&r->node, &r->own);
    HASH_ADD_KEYPTR(hh, m->roles, r->name, strlen(r->name), r);
    return r;
}

static void unuse_role(struct master *m, struct master_role *r)
{
    while (r != NULL && --r->uses == 0) {
        struct master_role *parent = r->parent;
        HASH_DEL(m->roles, r);
        list_remove(&r->blocked_node);
        share_detach(&r->own);
        share_detach(&r->node);
        share_deinit(&r->own);
        share_deinit(&r->node);
        free(r->name);
        free(r);
        r = parent;
    }
}

struct master_role *master_role_hold(struct master *m, const char *name)
{
    struct master_role *r = get_role(m, name);
    r->uses++;
    return r;
}

void master_role_unhold(struct master *m, struct master_role *r)
{
    unuse_role(m, r);
}

void master_role_each_client(struct master *m, const struct master_role *top,
                             void (*fn)(struct master *m, struct master_client *c))
{
    for (struct master_role *r = m->roles; r != NULL; r = r->hh.next) {
        if (r->top != top)
            continue;
        list_for_each(it, &r->clients) fn(m, container_of(it, struct master_client, role_node));
    }
}

/* -- clients ---------------------------------------------------------------------------------------------------- */

struct master_client *master_client_find(const struct master_framework *f, const char *role)
{
    for (size_t i = 0; i < f->client_count; i++)
        if (strcmp(f->clients[i]->role->name, role) == 0)
            return f->clients[i];
    return NULL;
}

struct master_client *master_client_get(struct master *m, struct master_framework *f, const char *role)
{
    struct master_client *c = master_client_find(f, role);
    if (c != NULL)
        return c;
    c = xcalloc(1, sizeof(*c));
    c->framework = f;
    c->role = get_role(m, role);
    c->role->uses++;
    c->serial = ++m->next_serial;
    list_init(&c->filters);
    list_init(&c->fresh_node);
    list_push_back(&c->role->clients, &c->role_node);
    share_init(&c->node, f->id, 1.0, true);
    share_attach(&c->role->own, &c->node);
    f->clients = xrealloc(f->clients, (f->client_count + 1) * sizeof(*f->clients));
    f->clients[f->client_count++] = c;
    return c;
}

static void free_client_if_unused(struct master *m, struct master_client *c)
{
    if (c->held > 0 || c->is_subscribed)
        return;
    struct master_framework *f = c->framework;
    size_t i = 0;
    while (f->clients[i] != c)
        i++;
    memmove(&f->clients[i], &f->clients[i + 1], (f->client_count - i - 1) * sizeof(*f->clients));
    f->client_count--;
    master_filters_remove_of_client(m, c);
    share_set_active(&c->node, false);
    list_remove(&c->fresh_node);
    list_remove(&c->role_node);
    share_detach(&c->node);
    share_deinit(&c->node);
    unuse_role(m, c->role);
    free(c->minimums);
    (void)master_constraints_free(c->constraints);
    free(c);
}

void master_client_unhold(struct master *m, struct master_client *c)
{
    CHECK(c->held > 0);
    c->held--;
    free_client_if_unused(m, c);
}

bool master_framework_info_can(const Mesos__V1__FrameworkInfo *info, Mesos__V1__FrameworkInfo__Capability__Type capability)
{
    for (size_t i = 0; i < info->n_capabilities; i++)
        if (info->capabilities[i]->has_type && info->capabilities[i]->type == capability)
            return true;
    return false;
}

size_t master_framework_info_roles(const Mesos__V1__FrameworkInfo *info, char *const **roles, char **single)
{
    if (master_framework_info_can(info, MESOS__V1__FRAMEWORK_INFO__CAPABILITY__TYPE__MULTI_ROLE)) {
        *roles = info->roles;
        return info->n_roles;
    }
    *single = info->role != NULL ? info->role : (char *)"*";
    *roles = single;
    return 1;
}

static void add_minimum(struct master_minimums *min, const char *name, double value, bool with_previous)
{
    if (min->count == MASTER_MINIMUMS_MAX || strlen(name) >= MASTER_MINIMUM_NAME_SIZE)
        return; /* master_framework_info_check refused these */
    strcpy(min->item[min->count].name, name);
    min->item[min->count].millis = (int64_t)(value * 1000 + 0.5);
    min->item[min->count].with_previous = with_previous;
    min->count++;
}

/* offer_filters of this role (facts: mesos 1.5). */
static void set_minimums(struct master_client *c, const Mesos__V1__FrameworkInfo *info)
{
    free(c->minimums);
    c->minimums = NULL;
    for (size_t i = 0; i < info->n_offer_filters; i++) {
        const Mesos__V1__FrameworkInfo__OfferFiltersEntry *entry = info->offer_filters[i];
        if (entry->key == NULL || strcmp(entry->key, c->role->name) != 0 || entry->value == NULL ||
            entry->value->min_allocatable_resources == NULL || c->minimums != NULL)
            continue;
        const Mesos__V1__OfferFilters__MinAllocatableResources *min = entry->value->min_allocatable_resources;
        c->minimums = xcalloc(1, sizeof(*c->minimums));
        for (size_t j = 0; j < min->n_quantities; j++)
            for (size_t k = 0; k < min->quantities[j]->n_quantities; k++)
                if (min->quantities[j]->quantities[k]->key != NULL && min->quantities[j]->quantities[k]->value != NULL)
                    add_minimum(c->minimums, min->quantities[j]->quantities[k]->key,
                                min->quantities[j]->quantities[k]->value->value, k > 0);
    }
}

static bool is_among(char *const *list, size_t n, const char *s)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i], s) == 0)
            return true;
    return false;
}

void master_clients_subscribe(struct master *m, struct master_framework *f, char *const *suppressed, size_t n_suppressed,
                              const Mesos__V1__Scheduler__OfferConstraints *constraints)
{
    char *const *roles, *single;
    size_t count = master_framework_info_roles(f->info, &roles, &single);
    for (size_t i = f->client_count; i-- > 0;) {
        struct master_client *c = f->clients[i];
        if (is_among(roles, count, c->role->name))
            continue;
        c->is_subscribed = false;
        master_filters_remove_of_client(m, c);
        master_allocator_refresh_client(m, c, false);
        free_client_if_unused(m, c);
    }
    for (size_t i = 0; i < count; i++) {
        struct master_client *c = master_client_get(m, f, roles[i]);
        c->is_subscribed = true;
        c->is_suppressed = is_among(suppressed, n_suppressed, roles[i]);
        set_minimums(c, f->info);
        bool had_constraints = c->constraints != NULL;
        (void)master_constraints_free(c->constraints);
        c->constraints = master_constraints_new(constraints, roles[i]);
        master_allocator_refresh_client(m, c, had_constraints); /* others may fit now */
    }
}

void master_clients_unsubscribe(struct master *m, struct master_framework *f)
{
    for (size_t i = f->client_count; i-- > 0;) {
        struct master_client *c = f->clients[i];
        c->is_subscribed = false;
        master_filters_remove_of_client(m, c);
        master_allocator_refresh_client(m, c, false);
        free_client_if_unused(m, c);
    }
}

void master_clients_refresh(struct master *m, struct master_framework *f)
{
    for (size_t i = 0; i < f->client_count; i++)
        master_allocator_refresh_client(m, f->clients[i], false);
}

/* -- configuration ---------------------------------------------------------------------------------------------- */

static int add_weight(struct master *m, char *word, struct err *err)
{
    char *equals = strchr(word, '=');
    double weight;
    if (equals == NULL)
        return err_set(err, -EINVAL, "--weights: '%s' is not role=weight", word);
    *equals = '\0';
    if (!text_is_valid_role(word) || text_to_double(equals + 1, &weight) < 0 || weight <= 0)
        return err_set(err, -EINVAL, "--weights: '%s=%s' needs a role and a number above 0", word, equals + 1);
    master_weight_set(m, word, weight);
    return 0;
}

int master_roles_configure(struct master *m, const char *weights, const char *roles, struct err *err)
{
    cleanup_free char *weight_text = xstrdup(weights != NULL ? weights : ""),
                      *role_text = xstrdup(roles != NULL ? roles : "");
    char *rest = NULL;
    for (char *word = strtok_r(weight_text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        int r = add_weight(m, word, err);
        if (r < 0)
            return r;
    }
    for (char *word = strtok_r(role_text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        if (!text_is_valid_role(word))
            return err_set(err, -EINVAL, "--roles: '%s' is not a role", word);
        (void)map_put(&m->role_white_list, word, m); /* only whether it is there counts */
    }
    return 0;
}

void master_roles_deinit(struct master *m)
{
    map_deinit(&m->role_white_list);
}
