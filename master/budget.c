/* SPDX-License-Identifier: Apache-2.0 */
#include "master/budget.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "master/allocator.h"
#include "master/roles.h"
#include "master/send.h"

int64_t master_amounts_get(const struct master_amounts *a, const char *name, int64_t missing)
{
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->item[i].name, name) == 0)
            return a->item[i].millis;
    return missing;
}

int64_t master_budget_consumed(const struct master_quota *q, const char *name)
{
    return quantities_get(&q->role->node.allocated, name) + quantities_get(&q->reserved_free, name);
}

static int64_t shortage(const struct master_quota *q, const char *name)
{
    int64_t missing = master_amounts_get(&q->guarantees, name, 0) - master_budget_consumed(q, name);
    return missing > 0 ? missing : 0;
}

bool master_budget_is_short(const struct master_role *top)
{
    const struct master_quota *q = top->quota;
    for (size_t i = 0; q != NULL && i < q->guarantees.count; i++)
        if (shortage(q, q->guarantees.item[i].name) > 0)
            return true;
    return false;
}

bool master_budget_any_short(const struct master *m)
{
    for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e))
        if (master_budget_is_short(((const struct master_quota *)map_value(e))->role))
            return true;
    return false;
}

/* -- what may be offered ---------------------------------------------------------------------------------------- */

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t allowed(const struct master *m, const struct master_role *top, const char *name)
{
    int64_t required = 0, own = 0, limit = INT64_MAX;
    for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e))
        required += shortage(map_value(e), name);
    if (top->quota != NULL) {
        own = shortage(top->quota, name);
        int64_t most = master_amounts_get(&top->quota->limits, name, INT64_MAX);
        if (most != INT64_MAX)
            limit = most - master_budget_consumed(top->quota, name);
    }
    int64_t available = quantities_get(&m->total, name) - quantities_get(&m->share_root.allocated, name) -
                        quantities_get(&m->reserved_free, name);
    int64_t headroom = required == 0 ? INT64_MAX / 2 : available - required;
    int64_t most = least(limit, own + (headroom > 0 ? headroom : 0));
    return most > 0 ? most : 0;
}

/* All unreserved entries of the name; disks that are taken whole or not at all. */
static void drop_all(struct master *m, struct resources *part, const char *name)
{
    struct resources *open = resources_unreserved(part), *drop = resources_new();
    Mesos__V1__Resource **list;
    struct err err;
    size_t n = resources_to_wire(open, RESOURCE_POST_REFINEMENT, m->out->arena, &list);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i]->name, name) == 0)
            CHECK(resources_add_wire(drop, &list[i], 1, &err) == 0); /* it was valid */
    resources_subtract(part, drop);
    resources_free(open);
    resources_free(drop);
}

static void take_out(struct master *m, struct resources *part, const char *name, int64_t excess)
{
    struct resources *drop = resources_new();
    resources_add_scalar(drop, name, excess);
    if (resources_contains(part, drop))
        resources_subtract(part, drop);
    else
        drop_all(m, part, name);
    resources_free(drop);
}

void master_budget_cut(struct master *m, struct master_client *c, struct resources *part)
{
    struct master_role *top = c->role->top;
    struct resources *open = resources_unreserved(part);
    struct quantities amounts;
    CHECK(resources_quantities(open, &amounts) == 0); /* admission saw to the number of names */
    resources_free(open);
    bool is_cut = false;
    for (size_t i = 0; i < amounts.count; i++) {
        int64_t most = allowed(m, top, amounts.item[i].name);
        if (amounts.item[i].millis <= most)
            continue;
        take_out(m, part, amounts.item[i].name, amounts.item[i].millis - most);
        is_cut = true;
    }
    if (is_cut && top->blocked_node.next == &top->blocked_node)
        list_push_back(&m->blocked_roles, &top->blocked_node);
}

/* -- reservations that nobody uses ------------------------------------------------------------------------------ */

static void book(struct master *m, const struct master_reserved *r, bool add)
{
    struct master_quota *q = map_get(&m->quotas, r->role);
    (add ? quantities_add : quantities_subtract)(&m->reserved_free, &r->amounts);
    if (q != NULL)
        (add ? quantities_add : quantities_subtract)(&q->reserved_free, &r->amounts);
}

static void free_list(struct master_agent *a)
{
    for (size_t i = 0; i < a->reserved_count; i++)
        free(a->reserved[i].role);
    free(a->reserved);
    a->reserved = NULL;
    a->reserved_count = 0;
}

void master_budget_forget_agent(struct master *m, struct master_agent *a)
{
    for (size_t i = 0; i < a->reserved_count; i++)
        book(m, &a->reserved[i], false);
    free_list(a);
}

static void add_reserved(struct master_agent *a, const Mesos__V1__Resource *r)
{
    const char *role = r->reservations[r->n_reservations - 1]->role;
    size_t len = strcspn(role, "/"), i = 0;
    struct resources *one = resources_new();
    struct quantities amounts;
    resources_add_scalar(one, r->name, (int64_t)(r->scalar->value * 1000 + 0.5));
    CHECK(resources_quantities(one, &amounts) == 0); /* the agent has it */
    resources_free(one);
    while (i < a->reserved_count && (strncmp(a->reserved[i].role, role, len) != 0 || a->reserved[i].role[len] != '\0'))
        i++;
    if (i == a->reserved_count) {
        a->reserved = xrealloc(a->reserved, (i + 1) * sizeof(*a->reserved));
        a->reserved[i] = (struct master_reserved){.role = xstrndup(role, len)};
        a->reserved_count++;
    }
    quantities_add(&a->reserved[i].amounts, &amounts);
}

/* Makes the agent's list of what of its free resources is reserved. */
static void list_reserved(const struct master *m, struct master_agent *a)
{
    Mesos__V1__Resource **list;
    struct resources *reserved = resources_reserved_to(a->free, NULL);
    size_t n = resources_to_wire(reserved, RESOURCE_POST_REFINEMENT, m->out->arena, &list);
    for (size_t i = 0; i < n; i++)
        if (list[i]->scalar != NULL && list[i]->n_reservations > 0)
            add_reserved(a, list[i]);
    resources_free(reserved);
}

static bool may_hold_reserved(const struct master_agent *a)
{
    return a->is_counted && a->has_reservations && a->free != NULL;
}

void master_budget_agent_changed(struct master *m, struct master_agent *a)
{
    if (map_count(&m->quotas) == 0 || (!a->has_reservations && a->reserved == NULL))
        return;
    master_budget_forget_agent(m, a);
    if (!may_hold_reserved(a))
        return;
    list_reserved(m, a);
    for (size_t i = 0; i < a->reserved_count; i++)
        book(m, &a->reserved[i], true);
}

void master_budget_start(struct master *m)
{
    for (struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        master_budget_agent_changed(m, a);
}

void master_budget_stop(struct master *m)
{
    for (struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        master_budget_forget_agent(m, a);
    while (list_pop_front(&m->blocked_roles) != NULL)
        ;
    m->blocked_due_ms = INT64_MAX;
}

struct quantities master_budget_reserved_free(const struct master *m, const char *role)
{
    struct quantities sum = {0};
    for (struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        struct master_agent copy = *a; /* without quotas its list is not kept */
        if (map_count(&m->quotas) == 0 && may_hold_reserved(a))
            list_reserved(m, &copy);
        for (size_t i = 0; i < copy.reserved_count; i++)
            if (strcmp(copy.reserved[i].role, role) == 0)
                quantities_add(&sum, &copy.reserved[i].amounts);
        if (copy.reserved != a->reserved)
            free_list(&copy);
    }
    return sum;
}

/* -- trying again ----------------------------------------------------------------------------------------------- */

void master_budget_came_back(struct master *m)
{
    if (!list_is_empty(&m->blocked_roles) && m->blocked_due_ms == INT64_MAX)
        m->blocked_due_ms = m->now_ms + m->config.allocation_interval_ms;
}

static void retry(struct master *m, struct master_client *c)
{
    master_allocator_refresh_client(m, c, true);
}

void master_budget_on_timer(struct master *m)
{
    if (m->blocked_due_ms > m->now_ms)
        return;
    m->blocked_due_ms = INT64_MAX;
    struct list *node;
    while ((node = list_pop_front(&m->blocked_roles)) != NULL)
        master_role_each_client(m, container_of(node, struct master_role, blocked_node), retry);
}
