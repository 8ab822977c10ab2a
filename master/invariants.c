/* SPDX-License-Identifier: Apache-2.0
 * invariants.c - what must hold between steps (design 10.1, 10.2). Linear in everything; for tests and the simulator. */
#include <string.h>

#include "common/base/check.h"
#include "master/budget.h"
#include "master/state.h"
#include "master/tasks.h"

static void add_plain(struct resources *to, const struct resources *allocated, bool with_shared)
{
    struct resources *plain = resources_copy(allocated);
    resources_unallocate(plain);
    if (!with_shared)
        resources_drop_shared(plain);
    resources_add(to, plain);
    resources_free(plain);
}

/* total = free + offered + used, to the thousandth; uses of shared volumes take nothing. */
static void check_agent_amounts(const struct master_agent *a)
{
    struct resources *sum = resources_copy(a->free);
    for (const struct list *it = a->offers.next; it != &a->offers; it = it->next)
        add_plain(sum, container_of(it, struct master_offer, agent_node)->resources, true);
    for (const struct list *it = a->tasks.next; it != &a->tasks; it = it->next) {
        const struct master_task *t = container_of(it, struct master_task, node);
        if (t->resources != NULL)
            add_plain(sum, t->resources, false);
    }
    for (const struct master_executor *e = a->executors; e != NULL; e = e->hh.next)
        if (e->resources != NULL)
            add_plain(sum, e->resources, false);
    CHECK(a->is_overcommitted || resources_equal(sum, a->total));
    resources_free(sum);
}

static void check_agent(const struct master *m, const struct master_agent *a)
{
    bool is_connected = a->state == MASTER_AGENT_CONNECTED;
    bool has_amounts = is_connected || a->state == MASTER_AGENT_DISCONNECTED;
    if (is_connected)
        CHECK(a->link != NULL && a->link->agent == a && heap_is_in(&a->timer));
    else
        CHECK(list_is_empty(&a->offers) && a->free_node.next == &a->free_node && a->dirty_node.next == &a->dirty_node);
    CHECK(a->is_counted == has_amounts);
    CHECK((a->unreachable_node.next != &a->unreachable_node) == (a->state == MASTER_AGENT_UNREACHABLE));
    if (a->state == MASTER_AGENT_UNREACHABLE)
        CHECK(list_is_empty(&a->tasks) && a->executors == NULL && a->total == NULL);
    if (has_amounts && a->total != NULL)
        check_agent_amounts(a);
    if (is_connected)
        CHECK((a->free_node.next != &a->free_node) ==
              (!a->is_overcommitted && !a->is_deactivated && !resources_is_empty(a->free)));
    for (const struct list *it = a->offers.next; it != &a->offers; it = it->next) {
        const struct master_offer *o = container_of(it, struct master_offer, agent_node);
        CHECK(!a->is_deactivated && o->agent == a && o->client->framework->state == MASTER_FRAMEWORK_CONNECTED);
    }
    for (const struct list *it = a->tasks.next; it != &a->tasks; it = it->next) {
        const struct master_task *t = container_of(it, struct master_task, node);
        CHECK(t->agent == a && master_task_find(t->framework, t->id) == t);
    }
    (void)m;
}

static void add_charge(struct quantities *sum, size_t *held, const struct master_client *c, const struct master_client *of,
                       const struct resources *resources)
{
    struct quantities amounts;
    if (c != of)
        return;
    CHECK(resources_quantities(resources, &amounts) == 0);
    quantities_add(sum, &amounts);
    (*held)++;
}

/* What a client is charged is what its offers, tasks and executors hold. */
static void check_client(const struct master_client *c)
{
    const struct master_framework *f = c->framework;
    struct quantities sum = {0};
    size_t held = 0;
    for (const struct list *it = f->offers.next; it != &f->offers; it = it->next) {
        const struct master_offer *o = container_of(it, struct master_offer, framework_node);
        add_charge(&sum, &held, o->client, c, o->resources);
    }
    for (const struct master_task *t = f->tasks; t != NULL; t = t->hh.next)
        if (t->resources != NULL)
            add_charge(&sum, &held, t->client, c, t->resources);
    for (const struct list *it = f->executors.next; it != &f->executors; it = it->next) {
        const struct master_executor *e = container_of(it, struct master_executor, framework_node);
        if (e->resources != NULL)
            add_charge(&sum, &held, e->client, c, e->resources);
    }
    CHECK(held == c->held);
    CHECK(quantities_contains(&sum, &c->node.allocated) && quantities_contains(&c->node.allocated, &sum));
    CHECK(c->node.active ==
          (f->state == MASTER_FRAMEWORK_CONNECTED && !f->under_pressure && c->is_subscribed && !c->is_suppressed));
    CHECK(c->held > 0 || c->is_subscribed);
}

static void check_framework(const struct master_framework *f)
{
    uint64_t counts[MASTER_TASK_STATE_COUNT] = {0};
    size_t completed = 0;
    CHECK((f->state == MASTER_FRAMEWORK_CONNECTED) <= (f->stream != 0));
    if (f->state != MASTER_FRAMEWORK_CONNECTED)
        CHECK(list_is_empty(&f->offers) && f->reconcile_next == NULL);
    CHECK((f->reconcile_node.next != &f->reconcile_node) ==
          (f->reconcile_next != NULL || f->question_at < f->question_count));
    for (size_t i = 0; i < f->client_count; i++)
        check_client(f->clients[i]);
    for (const struct master_task *t = f->tasks; t != NULL; t = t->hh.next) {
        CHECK(t->framework == f && t->agent != NULL);
        CHECK(!master_task_state_is_terminal(t->state) || t->resources == NULL);
        counts[t->state]++;
    }
    for (const struct master_task *t = f->unreachable; t != NULL; t = t->hh.next) {
        CHECK(t->agent == NULL && t->resources == NULL);
        counts[t->state]++;
    }
    for (const struct list *it = f->completed.next; it != &f->completed; it = it->next, completed++)
        counts[container_of(it, struct master_task, node)->state]++;
    CHECK(completed == f->completed_count);
    CHECK(memcmp(counts, f->state_counts, sizeof(counts)) == 0);
}

/* What is reserved and free is booked once, while there are quotas. */
static void check_reserved(const struct master *m)
{
    struct quantities sum = {0};
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        CHECK(a->is_counted || a->reserved_count == 0);
        for (size_t i = 0; i < a->reserved_count; i++)
            quantities_add(&sum, &a->reserved[i].amounts);
    }
    CHECK(quantities_contains(&sum, &m->reserved_free) && quantities_contains(&m->reserved_free, &sum));
    for (struct map_entry *e = map_first(&m->quotas); e != NULL; e = map_next(e)) {
        const struct master_quota *q = map_value(e);
        CHECK(q->role->quota == q && q->role->top == q->role && strcmp(q->role->name, map_key(e)) == 0);
        struct quantities fresh = master_budget_reserved_free(m, q->role->name);
        CHECK(quantities_contains(&fresh, &q->reserved_free) && quantities_contains(&q->reserved_free, &fresh));
    }
}

static void check_operations(const struct master *m)
{
    size_t count = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        size_t of_agent = 0;
        for (const struct list *it = a->operations.next; it != &a->operations; it = it->next, of_agent++) {
            const struct master_operation *o = container_of(it, struct master_operation, agent_node);
            CHECK(o->agent == a && (o->id == NULL || o->framework != NULL) && o->status != NULL);
            CHECK((o->framework_node.next != &o->framework_node) == (o->framework != NULL));
        }
        CHECK(of_agent == a->operation_count);
        count += of_agent;
    }
    CHECK(count == HASH_COUNT(m->operations));
}

static void check_filters(const struct master *m)
{
    size_t count = 0;
    for (const struct master_filter *head = m->filters; head != NULL; head = head->hh.next)
        for (const struct master_filter *f = head; f != NULL; f = f->next, count++)
            CHECK(heap_is_in(&f->timer) && f->key.client == f->client->serial && f->key.agent == f->agent->serial);
    CHECK(count == m->filter_timers.count);
}

void master_check_invariants(const struct master *m)
{
    struct quantities total = {0};
    size_t offers = 0, connected = 0, recovered = 0;
    for (const struct master_agent *a = m->agents; a != NULL; a = a->hh.next) {
        check_agent(m, a);
        if (a->is_counted)
            quantities_add(&total, &a->total_amounts);
        for (const struct list *it = a->offers.next; it != &a->offers; it = it->next)
            offers++;
        connected += a->state == MASTER_AGENT_CONNECTED;
        recovered += a->state == MASTER_AGENT_RECOVERED;
    }
    CHECK(offers == HASH_COUNT(m->offers));
    CHECK(connected == m->connected_count && recovered == m->recovered_count);
    CHECK(quantities_contains(&total, &m->total) && quantities_contains(&m->total, &total));
    for (const struct master_framework *f = m->frameworks; f != NULL; f = f->hh.next)
        check_framework(f);
    for (const struct master_framework *f = m->completed_frameworks; f != NULL; f = f->hh.next) {
        check_framework(f);
        CHECK(f->tasks == NULL && f->client_count == 0);
    }
    check_operations(m);
    check_filters(m);
    check_reserved(m);
}
