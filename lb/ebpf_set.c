/* SPDX-License-Identifier: Apache-2.0
 * ebpf_set.c - see ebpf_set.h. */
#include "lb/ebpf_set.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "common/base/check.h"

struct ebpf_place ebpf_place_of(const struct lb_endpoint *at)
{
    struct ebpf_place place = {
        .port = htons(at->port), .protocol = at->protocol == LB_UDP ? IPPROTO_UDP : IPPROTO_TCP, .is_ipv6 = at->is_ipv6};
    memcpy(place.ip, at->ip, sizeof(place.ip));
    return place;
}

bool ebpf_place_read(const struct ebpf_place *place, struct lb_endpoint *out)
{
    *out = (struct lb_endpoint){.protocol = place->protocol == IPPROTO_UDP ? LB_UDP : LB_TCP,
                                .is_ipv6 = place->is_ipv6,
                                .port = ntohs(place->port)};
    memcpy(out->ip, place->ip, sizeof(out->ip));
    struct ebpf_place again = ebpf_place_of(out);
    return place->is_ipv6 <= 1 && memcmp(&again, place, sizeof(again)) == 0;
}

static int compare_members(const void *a, const void *b)
{
    return lb_endpoint_compare(&((const struct ebpf_member *)a)->at, &((const struct ebpf_member *)b)->at);
}

const struct ebpf_member *ebpf_set_find(const struct ebpf_set *s, const struct lb_endpoint *at)
{
    struct ebpf_member wanted = {.at = *at};
    return s != NULL ? bsearch(&wanted, s->members, s->count, sizeof(s->members[0]), compare_members) : NULL;
}

static struct ebpf_set *set_of(size_t count)
{
    struct ebpf_set *s = xcalloc(1, sizeof(*s) + count * sizeof(s->members[0]));
    s->count = (uint32_t)count;
    return s;
}

struct ebpf_set *ebpf_set_new(const struct lb_backend *backends, size_t count, const struct ebpf_set *former,
                              uint64_t *next_counter)
{
    struct ebpf_set *s = set_of(count);
    for (size_t i = 0; i < count; i++) {
        const struct ebpf_member *known = ebpf_set_find(former, &backends[i].at);
        s->members[i] = (struct ebpf_member){.at = backends[i].at,
                                             .is_draining = backends[i].is_draining,
                                             .counter = known != NULL ? known->counter : (*next_counter)++};
        s->open += !backends[i].is_draining;
    }
    return s;
}

struct ebpf_set *ebpf_set_read(const struct ebpf_vip *vip, const struct ebpf_backend_key *keys,
                               const struct ebpf_backend *values, size_t count)
{
    if (vip->total != count || vip->open > vip->total)
        return NULL;
    struct ebpf_set *s = set_of(count);
    s->block = vip->block;
    s->revision = vip->revision;
    s->open = vip->open;
    bool is_good = true;
    for (size_t i = 0; i < count; i++) {
        struct ebpf_member *m = &s->members[i];
        is_good = is_good && keys[i].index == i && ebpf_place_read(&values[i].at, &m->at);
        m->is_draining = i >= vip->open;
        m->counter = values[i].counter;
    }
    qsort(s->members, count, sizeof(s->members[0]), compare_members);
    for (size_t i = 1; i < count; i++)
        is_good = is_good && compare_members(&s->members[i - 1], &s->members[i]) < 0;
    if (is_good)
        return s;
    free(s);
    return NULL;
}

bool ebpf_set_is_same(const struct ebpf_set *a, const struct ebpf_set *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->count != b->count || a->open != b->open)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (compare_members(&a->members[i], &b->members[i]) != 0 ||
            a->members[i].is_draining != b->members[i].is_draining || a->members[i].counter != b->members[i].counter)
            return false;
    return true;
}

static bool has_lost(const struct ebpf_set *s, const struct ebpf_set *former)
{
    for (uint32_t i = 0; i < former->count; i++)
        if (ebpf_set_find(s, &former->members[i].at) == NULL)
            return true;
    return false;
}

void ebpf_set_write(struct ebpf_set *s, uint64_t block, const struct ebpf_set *former, struct ebpf_backend_key *keys,
                    struct ebpf_backend *values)
{
    uint32_t open = 0, draining = s->open;
    s->block = block;
    s->revision = former == NULL || has_lost(s, former) ? block : former->revision;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct ebpf_member *m = &s->members[i];
        uint32_t index = m->is_draining ? draining++ : open++;
        keys[index] = (struct ebpf_backend_key){.block = block, .index = index};
        values[index] = (struct ebpf_backend){.at = ebpf_place_of(&m->at), .counter = m->counter};
    }
}
