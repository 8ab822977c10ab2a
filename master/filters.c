/* SPDX-License-Identifier: Apache-2.0
 * filters.c - refusals: what a framework in one role does not want from one agent for a while. A pair without filter costs
 * nothing; looking one up costs the same however many there are. */
#include <math.h>
#include <stdlib.h>

#include "common/base/check.h"
#include "master/offers.h"

#define REFUSE_DEFAULT_MS 5000
#define REFUSE_MAX_MS (365LL * 24 * 3600 * 1000)
#define FILTERS_PER_PAIR_MAX 8

int64_t master_filter_timeout_ms(const struct master *m, const Mesos__V1__Filters *filters)
{
    double seconds = filters != NULL && filters->has_refuse_seconds ? filters->refuse_seconds : 5.0;
    if (!isfinite(seconds) || seconds < 0)
        return REFUSE_DEFAULT_MS;
    if (seconds == 0)
        return 0;
    int64_t ms = seconds >= (double)REFUSE_MAX_MS / 1000 ? REFUSE_MAX_MS : (int64_t)(seconds * 1000);
    return ms > m->config.allocation_interval_ms ? ms : m->config.allocation_interval_ms;
}

static struct master_filter *find(const struct master *m, const struct master_client *c, const struct master_agent *a)
{
    struct master_filter *found = NULL, key = {.key = {.client = c->serial, .agent = a->serial}};
    HASH_FIND(hh, m->filters, &key.key, sizeof(key.key), found);
    return found;
}

/* Takes the filter out of everything and frees it. */
static void remove_filter(struct master *m, struct master_filter *f)
{
    struct master_filter *head = find(m, f->client, f->agent);
    CHECK(head != NULL);
    if (head == f) {
        HASH_DEL(m->filters, f);
        if (f->next != NULL)
            HASH_ADD(hh, m->filters, key, sizeof(f->key), f->next);
    } else {
        while (head->next != f)
            head = head->next;
        head->next = f->next;
    }
    list_remove(&f->agent_node);
    list_remove(&f->client_node);
    f->agent->filter_count--;
    heap_remove(&m->filter_timers, &f->timer);
    resources_free(f->refused);
    free(f);
}

/* A filter that the new one makes pointless, or the oldest when there are too many. */
static struct master_filter *find_pointless(struct master_filter *head, const struct resources *refused, int64_t end_ms)
{
    size_t count = 0;
    struct master_filter *first = head;
    for (struct master_filter *f = head; f != NULL; f = f->next, count++) {
        if (f->timer.key_ms <= end_ms && resources_contains(refused, f->refused))
            return f;
        if (f->timer.key_ms < first->timer.key_ms)
            first = f;
    }
    return count >= FILTERS_PER_PAIR_MAX ? first : NULL;
}

void master_filter_add(struct master *m, struct master_client *c, struct master_agent *a, struct resources *refused,
                       int64_t timeout_ms)
{
    int64_t end_ms = m->now_ms + timeout_ms;
    struct master_filter *pointless;
    while ((pointless = find_pointless(find(m, c, a), refused, end_ms)) != NULL)
        remove_filter(m, pointless);
    struct master_filter *f = xcalloc(1, sizeof(*f)), *head = find(m, c, a);
    f->key.client = c->serial;
    f->key.agent = a->serial;
    f->client = c;
    f->agent = a;
    f->refused = refused;
    list_push_back(&a->filters, &f->agent_node);
    list_push_back(&c->filters, &f->client_node);
    a->filter_count++;
    heap_set(&m->filter_timers, &f->timer, end_ms);
    if (head != NULL) {
        f->next = head->next;
        head->next = f;
    } else {
        HASH_ADD(hh, m->filters, key, sizeof(f->key), f);
    }
}

bool master_filter_blocks(const struct master *m, const struct master_client *c, const struct master_agent *a,
                          const struct resources *what)
{
    if (a->filter_count == 0)
        return false;
    for (struct master_filter *f = find(m, c, a); f != NULL; f = f->next)
        if (resources_contains(f->refused, what))
            return true;
    return false;
}

void master_filters_remove_of_client(struct master *m, struct master_client *c)
{
    while (!list_is_empty(&c->filters))
        remove_filter(m, container_of(c->filters.next, struct master_filter, client_node));
}

void master_filters_remove_of_agent(struct master *m, struct master_agent *a)
{
    while (!list_is_empty(&a->filters))
        remove_filter(m, container_of(a->filters.next, struct master_filter, agent_node));
}

void master_filters_on_timers(struct master *m, size_t max,
                              void (*expired)(struct master *, struct master_client *, struct master_agent *))
{
    struct heap_node *node;
    while (max-- > 0 && (node = heap_peek(&m->filter_timers)) != NULL && node->key_ms <= m->now_ms) {
        struct master_filter *f = container_of(node, struct master_filter, timer);
        struct master_client *c = f->client;
        struct master_agent *a = f->agent;
        remove_filter(m, f);
        expired(m, c, a);
    }
}
