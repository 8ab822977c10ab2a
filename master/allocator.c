/* SPDX-License-Identifier: Apache-2.0 */
#include "master/allocator.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/cleanup.h"
#include "common/base/text.h"
#include "master/agents.h"
#include "master/budget.h"
#include "master/constraints.h"
#include "master/inverse.h"
#include "master/offers.h"
#include "master/send.h"

/* One turn stays short, and an event stays far below the largest message. */
#define OFFERS_PER_PASS_MAX 1000
#define TRIES_PER_PASS_MAX 50000

/* -- marks ------------------------------------------------------------------------------------------------------ */

static bool is_in_list(const struct list *node)
{
    return node->next != node;
}

static bool may_be_offered(const struct master_agent *a)
{
    return a->state == MASTER_AGENT_CONNECTED && !a->is_overcommitted && !a->is_deactivated && !resources_is_empty(a->free);
}

void master_allocator_refresh_agent(struct master *m, struct master_agent *a)
{
    bool counts = a->state == MASTER_AGENT_CONNECTED || a->state == MASTER_AGENT_DISCONNECTED;
    if (counts != a->is_counted) {
        if (counts)
            quantities_add(&m->total, &a->total_amounts);
        else
            quantities_subtract(&m->total, &a->total_amounts);
        a->is_counted = counts;
        master_budget_came_back(m);
        m->total_changed = true;
    }
    master_budget_agent_changed(m, a);
    master_inverse_mark(m, a);
    if (!may_be_offered(a)) {
        list_remove(&a->free_node);
        list_remove(&a->dirty_node);
    } else if (!is_in_list(&a->free_node)) {
        list_push_back(&m->free_agents, &a->free_node);
    }
}

void master_allocator_give_back(struct master *m, struct master_agent *a, struct resources *resources, bool at_once)
{
    if (a->is_overcommitted)
        master_agent_recount(a); /* whose resources they are has already been forgotten */
    else
        resources_add(a->free, resources);
    master_allocator_refresh_agent(m, a);
    master_budget_came_back(m);
    resources_free(resources);
    if (!may_be_offered(a))
        return;
    if (at_once) {
        list_remove(&a->dirty_node);
        list_push_back(&m->dirty_agents, &a->dirty_node);
    } else if (!is_in_list(&a->dirty_node)) {
        if (list_is_empty(&m->returned_agents))
            m->returned_due_ms = m->now_ms + m->config.allocation_interval_ms;
        list_push_back(&m->returned_agents, &a->dirty_node);
    }
}

void master_allocator_refresh_client(struct master *m, struct master_client *c, bool retry)
{
    const struct master_framework *f = c->framework;
    bool active = f->state == MASTER_FRAMEWORK_CONNECTED && !f->under_pressure && c->is_subscribed && !c->is_suppressed;
    bool was_active = c->node.active > 0;
    share_set_active(&c->node, active);
    if (!active) {
        list_remove(&c->fresh_node);
    } else if (!was_active || retry) {
        m->fresh_pass++; /* agents visited for others are visited for this one, too */
        if (!is_in_list(&c->fresh_node))
            list_push_back(&m->fresh_clients, &c->fresh_node);
    }
}

/* Whether too few agents are back for guarantees to be seen to. */
static bool is_held(const struct master *m)
{
    return m->now_ms < m->hold_until_ms && m->connected_count < m->hold_agents;
}

int64_t master_allocator_next_deadline(const struct master *m)
{
    if (is_held(m))
        return m->hold_until_ms;
    if (!list_is_empty(&m->dirty_agents) || !list_is_empty(&m->fresh_clients))
        return m->now_ms;
    int64_t next = m->blocked_due_ms;
    if (!list_is_empty(&m->returned_agents) && m->returned_due_ms < next)
        next = m->returned_due_ms;
    const struct heap_node *filter = heap_peek(&m->filter_timers);
    return filter != NULL && filter->key_ms < next ? filter->key_ms : next;
}

/* -- one agent -------------------------------------------------------------------------------------------------- */

/* The caller has seen that there is something at all. */
static bool is_enough(const struct master_minimums *minimums, const struct quantities *amounts)
{
    bool fits = minimums->count == 0;
    for (size_t i = 0; i < minimums->count; i++) {
        bool has = quantities_get(amounts, minimums->item[i].name) >= minimums->item[i].millis;
        if (!minimums->item[i].with_previous && fits)
            return true;
        fits = minimums->item[i].with_previous ? fits && has : has;
    }
    return fits;
}

struct
try {
    struct master *m;
    struct master_agent *agent;
};

static void remember_for_event(struct master *m, struct master_offer *o)
{
    struct master_framework *f = o->client->framework;
    list_push_back(&f->pass_offers, &o->pass_node);
    f->pass_offer_count++;
    if (!is_in_list(&f->pass_node))
        list_push_back(&m->offered_frameworks, &f->pass_node);
}

/* Of an agent with reservations: reserved to the client's role or above it, and of a kind that its framework understands.
 */
static struct resources *may_have(const struct resources *free, const struct master_client *c)
{
    struct resources *part = resources_allocatable_to(free, c->role->name);
    if (!(c->framework->capabilities & MASTER_CAN_REFINEMENT))
        resources_drop_refined(part);
    if (!(c->framework->capabilities & MASTER_CAN_SHARED))
        resources_drop_shared(part);
    return part;
}

/* Offers the client whatever of the agent's free resources it may have. Returns whether nothing is left. */
static bool try_client(struct master *m, struct master_agent *a, struct master_client *c)
{
    const struct master_framework *f = c->framework;
    m->counters.allocation_tries++;
    if (!may_be_offered(a))
        return true;
    if (a->has_gpus && !(f->capabilities & MASTER_CAN_GPU))
        return false;
    if (!master_constraints_allow(c->constraints, a->info))
        return false;
    struct resources *part = a->has_reservations ? may_have(a->free, c) : NULL;
    if (map_count(&m->quotas) > 0) {
        part = part != NULL ? part : resources_copy(a->free);
        master_budget_cut(m, c, part);
    }
    const struct resources *candidate = part != NULL ? part : a->free;
    struct quantities amounts;
    CHECK(resources_quantities(candidate, &amounts) == 0);
    if (resources_is_empty(candidate) || !is_enough(c->minimums != NULL ? c->minimums : &m->minimums, &amounts) ||
        master_filter_blocks(m, c, a, candidate)) {
        resources_free(part);
        return false;
    }
    if (part != NULL) {
        resources_subtract(a->free, part);
    } else {
        part = a->free;
        a->free = resources_new();
    }
    remember_for_event(m, master_offer_new(m, c, a, part));
    master_allocator_refresh_agent(m, a);
    return resources_is_empty(a->free);
}

static bool try_leaf(void *ctx, struct share_node *leaf)
{
    struct try *t = ctx;
    return try_client(t->m, t->agent, container_of(leaf, struct master_client, node));
}

/* Roles that lack something of their guarantee. */
static bool try_short_leaf(void *ctx, struct share_node *leaf)
{
    struct try *t = ctx;
    struct master_client *c = container_of(leaf, struct master_client, node);
    return master_budget_is_short(c->role->top) && try_client(t->m, t->agent, c);
}

static void walk_all(struct master *m, struct master_agent *a)
{
    struct try t = {.m = m, .agent = a};
    if (map_count(&m->quotas) > 0 && master_budget_any_short(m) && share_walk(&m->share_root, try_short_leaf, &t))
        return;
    (void)share_walk(&m->share_root, try_leaf, &t); /* ends early when nothing is left */
}

static void try_pair(struct master *m, struct master_client *c, struct master_agent *a)
{
    if (c->node.active > 0 && may_be_offered(a))
        (void)try_client(m, a, c); /* what is left was refused by the others before */
}

/* -- the pass --------------------------------------------------------------------------------------------------- */

struct budget {
    uint64_t offers_end, tries_end;
};

static bool is_spent(const struct master *m, const struct budget *b)
{
    return m->next_offer >= b->offers_end || m->counters.allocation_tries >= b->tries_end;
}

static void serve_dirty_agents(struct master *m, const struct budget *b)
{
    while (!is_spent(m, b) && !list_is_empty(&m->dirty_agents)) {
        struct master_agent *a = container_of(m->dirty_agents.next, struct master_agent, dirty_node);
        list_remove(&a->dirty_node);
        walk_all(m, a);
    }
}

/* All fresh clients for one agent. The usual case is one client; for many, all of the tree is walked instead. */
static void try_fresh(struct master *m, struct master_agent *a)
{
    struct list *first = m->fresh_clients.next;
    if (first->next == &m->fresh_clients) {
        (void)try_client(m, a, container_of(first, struct master_client, fresh_node));
        return;
    }
    walk_all(m, a);
}

static void serve_fresh_clients(struct master *m, const struct budget *b)
{
    while (!is_spent(m, b) && !list_is_empty(&m->fresh_clients)) {
        struct list *first = m->free_agents.next;
        struct master_agent *a = first == &m->free_agents ? NULL : container_of(first, struct master_agent, free_node);
        if (a == NULL || a->fresh_pass == m->fresh_pass) { /* all agents were visited */
            while (list_pop_front(&m->fresh_clients) != NULL)
                ;
            return;
        }
        a->fresh_pass = m->fresh_pass;
        list_remove(&a->free_node);
        list_push_back(&m->free_agents, &a->free_node);
        try_fresh(m, a);
    }
}

static void send_offers(struct master *m)
{
    struct list *node;
    while ((node = list_pop_front(&m->offered_frameworks)) != NULL) {
        struct master_framework *f = container_of(node, struct master_framework, pass_node);
        size_t count = f->pass_offer_count;
        f->pass_offer_count = 0;
        if (count == 0)
            continue;
        MASTER_WIRE(m, Mesos__V1__Scheduler__Event__Offers, body, mesos__v1__scheduler__event__offers);
        body->offers = arena_new_array(m->out->arena, Mesos__V1__Offer *, count);
        struct list *it;
        while ((it = list_pop_front(&f->pass_offers)) != NULL)
            body->offers[body->n_offers++] =
                master_offer_wire(m, container_of(it, struct master_offer, pass_node), m->out->arena);
        m->counters.offers_sent += body->n_offers;
        Mesos__V1__Scheduler__Event *event = master_send_framework(m, f, MESOS__V1__SCHEDULER__EVENT__TYPE__OFFERS);
        CHECK(event != NULL); /* only active clients get offers */
        event->offers = body;
    }
}

void master_allocator_pass(struct master *m)
{
    struct budget budget = {.offers_end = m->next_offer + OFFERS_PER_PASS_MAX,
                            .tries_end = m->counters.allocation_tries + TRIES_PER_PASS_MAX};
    if (is_held(m))
        return;
    m->counters.allocation_passes++;
    master_budget_on_timer(m);
    if (m->total_changed) {
        share_recompute(&m->share_root, &m->total);
        m->total_changed = false;
    }
    if (!list_is_empty(&m->returned_agents) && m->returned_due_ms <= m->now_ms) {
        struct list *node;
        while ((node = list_pop_front(&m->returned_agents)) != NULL)
            list_push_back(&m->dirty_agents, node);
    }
    master_filters_on_timers(m, OFFERS_PER_PASS_MAX, try_pair);
    serve_dirty_agents(m, &budget);
    serve_fresh_clients(m, &budget);
    send_offers(m);
}

/* -- configuration ---------------------------------------------------------------------------------------------- */

static int parse_minimum(char *word, bool with_previous, struct master_minimums *out, struct err *err)
{
    char *colon = strchr(word, ':');
    double value;
    if (colon != NULL)
        *colon = '\0';
    if (colon == NULL || colon == word || text_to_double(colon + 1, &value) < 0 || value < 0 || value > 1e12)
        return err_set(err, -EINVAL, "--min_allocatable_resources: '%s' is not name:amount", word);
    if (out->count == MASTER_MINIMUMS_MAX)
        return err_set(err, -EINVAL, "--min_allocatable_resources: more than %d amounts", MASTER_MINIMUMS_MAX);
    if (strlen(word) >= MASTER_MINIMUM_NAME_SIZE)
        return err_set(err, -EINVAL, "--min_allocatable_resources: the name '%s' is too long", word);
    strcpy(out->item[out->count].name, word);
    out->item[out->count].millis = (int64_t)(value * 1000 + 0.5);
    out->item[out->count].with_previous = with_previous;
    out->count++;
    return 0;
}

int master_minimums_parse(const char *text, struct master_minimums *out, struct err *err)
{
    cleanup_free char *copy = xstrdup(text);
    struct master_minimums parsed = {0};
    char *rest_any = NULL;
    for (char *any = strtok_r(copy, "|", &rest_any); any != NULL; any = strtok_r(NULL, "|", &rest_any)) {
        bool with_previous = false;
        char *rest_all = NULL;
        for (char *all = strtok_r(any, ";", &rest_all); all != NULL; all = strtok_r(NULL, ";", &rest_all)) {
            int r = parse_minimum(all, with_previous, &parsed, err);
            if (r < 0)
                return r;
            with_previous = true;
        }
    }
    *out = parsed;
    return 0;
}
