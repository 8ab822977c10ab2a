/* SPDX-License-Identifier: Apache-2.0
 * cluster.c - see cluster.h. Entities refer to each other by pointer: a task keeps its agent and framework alive as objects
 * even while the master has not told of them, so that whichever comes first, the names appear when both are known. */
#include "dns/cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "dns/cluster_private.h"

/* -- marks ------------------------------------------------------------------------------------------------------ */

static void mark(struct list *all, struct list *dirty)
{
    if (list_is_empty(dirty))
        list_push_back(all, dirty);
}

static void mark_task(struct dns_cluster *c, struct dns_cluster_task *t)
{
    mark(&c->dirty_tasks, &t->dirty);
}

static void mark_agent_tasks(struct dns_cluster *c, struct dns_cluster_agent *a)
{
    list_for_each(it, &a->tasks) mark_task(c, container_of(it, struct dns_cluster_task, in_agent));
}

static void mark_framework_tasks(struct dns_cluster *c, struct dns_cluster_framework *f)
{
    list_for_each(it, &f->tasks) mark_task(c, container_of(it, struct dns_cluster_task, in_framework));
}

/* -- hosts ------------------------------------------------------------------------------------------------------ */

static bool parse_ip(const char *text, struct dns_ip *ip)
{
    memset(ip, 0, sizeof(*ip));
    ip->size = 4;
    if (inet_pton(AF_INET, text, ip->bytes) == 1)
        return true;
    ip->size = 16;
    return inet_pton(AF_INET6, text, ip->bytes) == 1;
}

static struct dns_cluster_host *host_ref(struct dns_cluster *c, const char *name)
{
    struct dns_cluster_host *h = map_get(&c->hosts, name);
    struct dns_ip ip;
    if (!h) {
        h = xcalloc(1, sizeof(*h));
        h->name = xstrdup(name);
        list_init(&h->wanted);
        list_init(&h->agents);
        list_init(&h->frameworks);
        (void)map_put(&c->hosts, name, h);
        if (parse_ip(name, &ip)) {
            h->ips.v = xmemdup(&ip, sizeof(ip));
            h->ips.count = 1;
        } else {
            list_push_back(&c->wanted_hosts, &h->wanted);
        }
    }
    h->references++;
    return h;
}

static void host_unref(struct dns_cluster *c, struct dns_cluster_host *h)
{
    if (!h || --h->references > 0)
        return;
    (void)map_remove(&c->hosts, h->name);
    list_remove(&h->wanted);
    heap_remove(&c->looked_up, &h->again);
    free(h->ips.v);
    free(h->name);
    free(h);
}

/* Refers *at to another host; an empty name to none. True when that is a change, and then the user is in no host's list. */
static bool host_change(struct dns_cluster *c, struct dns_cluster_host **at, struct list *in_host, const char *name)
{
    struct dns_cluster_host *before = *at;
    *at = name && name[0] != '\0' ? host_ref(c, name) : NULL;
    if (*at != before)
        list_remove(in_host);
    host_unref(c, before);
    return *at != before;
}

static bool agent_host_change(struct dns_cluster *c, struct dns_cluster_agent *a, const char *name)
{
    if (!host_change(c, &a->host, &a->in_host, name))
        return false;
    if (a->host)
        list_push_back(&a->host->agents, &a->in_host);
    return true;
}

static void framework_host_change(struct dns_cluster *c, struct dns_cluster_framework *f, const char *name)
{
    if (host_change(c, &f->host, &f->in_host, name) && f->host)
        list_push_back(&f->host->frameworks, &f->in_host);
}

const char *dns_cluster_next_host(struct dns_cluster *c)
{
    struct list *node = list_pop_front(&c->wanted_hosts);
    return node ? container_of(node, struct dns_cluster_host, wanted)->name : NULL;
}

void dns_cluster_resolved(struct dns_cluster *c, const char *host, const struct dns_ip *ips, size_t count, int64_t now_ms)
{
    struct dns_cluster_host *h = map_get(&c->hosts, host);
    if (!h)
        return;
    h->failures = count > 0 ? 0 : h->failures + (h->failures < 8);
    int64_t wait_ms = count > 0 ? CLUSTER_LOOKUP_MS : 1000LL << h->failures;
    heap_set(&c->looked_up, &h->again, now_ms + (wait_ms < CLUSTER_LOOKUP_MS ? wait_ms : CLUSTER_LOOKUP_MS));
    if (count > CLUSTER_IPS_MAX)
        count = CLUSTER_IPS_MAX;
    if (count == 0 || (count == h->ips.count && memcmp(h->ips.v, ips, count * sizeof(*ips)) == 0))
        return;
    free(h->ips.v);
    h->ips.v = xmemdup(ips, count * sizeof(*ips));
    h->ips.count = (uint32_t)count;
    list_for_each(it, &h->agents)
    {
        struct dns_cluster_agent *a = container_of(it, struct dns_cluster_agent, in_host);
        mark(&c->dirty_agents, &a->dirty);
        mark_agent_tasks(c, a);
    }
    list_for_each(it, &h->frameworks)
        mark(&c->dirty_frameworks, &container_of(it, struct dns_cluster_framework, in_host)->dirty);
}

/* -- entities --------------------------------------------------------------------------------------------------- */

static struct dns_cluster_agent *agent_get(struct dns_cluster *c, const char *id)
{
    struct dns_cluster_agent *a = map_get(&c->agents, id);
    if (a)
        return a;
    a = xcalloc(1, sizeof(*a));
    a->id = xstrdup(id);
    list_init(&a->tasks);
    list_init(&a->dirty);
    list_init(&a->held);
    list_init(&a->in_host);
    (void)map_put(&c->agents, id, a);
    return a;
}

static struct dns_cluster_framework *framework_get(struct dns_cluster *c, const char *id)
{
    struct dns_cluster_framework *f = map_get(&c->frameworks, id);
    if (f)
        return f;
    f = xcalloc(1, sizeof(*f));
    f->id = xstrdup(id);
    list_init(&f->tasks);
    list_init(&f->dirty);
    list_init(&f->in_host);
    (void)map_put(&c->frameworks, id, f);
    return f;
}

static void agent_free(struct dns_cluster *c, struct dns_cluster_agent *a)
{
    list_remove(&a->dirty);
    list_remove(&a->held);
    dns_book_drop(c->book, a->records);
    (void)map_remove(&c->agents, a->id);
    free(a->id);
    free(a->hostname);
    list_remove(&a->in_host);
    host_unref(c, a->host);
    free(a);
}

static void framework_free(struct dns_cluster *c, struct dns_cluster_framework *f)
{
    list_remove(&f->dirty);
    dns_book_drop(c->book, f->records);
    (void)map_remove(&c->frameworks, f->id);
    free(f->id);
    free(f->name);
    list_remove(&f->in_host);
    host_unref(c, f->host);
    free(f);
}

static void agent_release(struct dns_cluster *c, struct dns_cluster_agent *a)
{
    if (!a->is_listed && !a->is_recovered && list_is_empty(&a->tasks))
        agent_free(c, a);
}

static void framework_release(struct dns_cluster *c, struct dns_cluster_framework *f)
{
    if (!f->is_listed && list_is_empty(&f->tasks))
        framework_free(c, f);
}

/* -- VIPs ------------------------------------------------------------------------------------------------------- */

static void on_vip_moved(void *ctx, const char *name, uint32_t address)
{
    struct dns_cluster *c = ctx;
    struct dns_cluster_vip *v = map_get(&c->vips, name);
    if (!v)
        return;
    v->address4 = address;
    mark(&c->dirty_vips, &v->dirty);
}

static struct dns_cluster_vip *vip_get(struct dns_cluster *c, const char *name)
{
    struct dns_cluster_vip *v = map_get(&c->vips, name);
    if (v)
        return v;
    v = xcalloc(1, sizeof(*v));
    v->name = xstrdup(name);
    list_init(&v->dirty);
    (void)map_put(&c->vips, name, v);
    return v;
}

static void vip_count(struct dns_cluster *c, struct dns_cluster_vip *v, bool is_v4, bool is_v6)
{
    if (is_v4 && v->count4++ == 0)
        v->has_address4 = vip_names_add(c->vip_names, v->name, &v->address4) == 0;
    v->count6 += is_v6;
    mark(&c->dirty_vips, &v->dirty);
}

static void vip_uncount(struct dns_cluster *c, struct dns_cluster_vip *v, bool is_v4, bool is_v6)
{
    if (is_v4 && --v->count4 == 0 && v->has_address4) {
        v->has_address4 = false;
        vip_names_remove(c->vip_names, v->name);
    }
    v->count6 -= is_v6;
    mark(&c->dirty_vips, &v->dirty);
}

static void drop_uses(struct dns_cluster *c, struct dns_vip_use *uses, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        vip_uncount(c, uses[i].vip, uses[i].is_v4, uses[i].is_v6);
    free(uses);
}

/* Counts the task in the VIPs it backs: as long as it runs or is being killed (facts: net-cron C.2). */
static void use_vips(struct dns_cluster *c, struct dns_cluster_task *t)
{
    struct dns_vip_use *old = t->uses;
    uint32_t old_count = t->use_count;
    char name[VIP_NAME_MAX + 1];
    t->uses = NULL;
    t->use_count = 0;
    bool is_back_end = (t->is_running || t->is_killing) && t->agent->is_listed && t->framework->name && c->naming->has_dcos;
    for (uint32_t i = 0; is_back_end && i < t->vip_count; i++) {
        const struct dns_cluster_ips *host = dns_cluster_host_ips(t->agent->host), *own = &t->ips[CLUSTER_NETINFO];
        const struct dns_cluster_ips *ips = t->vips[i].is_host_port || own->count == 0 ? host : own;
        bool is_v4 = false, is_v6 = false;
        for (uint32_t n = 0; ips && n < ips->count; n++) {
            is_v4 = is_v4 || ips->v[n].size == 4;
            is_v6 = is_v6 || ips->v[n].size == 16;
        }
        if ((!is_v4 && !is_v6) || vip_name_clean(t->vips[i].label, t->framework->name, name) < 0)
            continue;
        struct dns_cluster_vip *v = vip_get(c, name);
        vip_count(c, v, is_v4, is_v6);
        t->uses = xrealloc(t->uses, (t->use_count + 1) * sizeof(*t->uses));
        t->uses[t->use_count++] = (struct dns_vip_use){v, is_v4, is_v6};
    }
    drop_uses(c, old, old_count); /* after the new ones, so that an address that stays in use stays the same */
}

/* -- tasks ------------------------------------------------------------------------------------------------------ */

static const void *task_key(struct arena *arena, const char *framework_id, const char *task_id, size_t *len)
{
    size_t framework_len = strlen(framework_id), task_len = strlen(task_id);
    char *key = arena_must_alloc(arena, framework_len + task_len + 1);
    memcpy(key, framework_id, framework_len + 1);
    memcpy(key + framework_len + 1, task_id, task_len);
    *len = framework_len + 1 + task_len;
    return key;
}

static void task_free(struct dns_cluster *c, struct dns_cluster_task *t, struct arena *arena)
{
    size_t len;
    const void *key = task_key(arena, t->framework->id, t->id, &len);
    (void)map_remove_n(&c->tasks, key, len);
    list_remove(&t->in_agent);
    list_remove(&t->in_framework);
    list_remove(&t->dirty);
    dns_book_drop(c->book, t->records);
    drop_uses(c, t->uses, t->use_count);
    agent_release(c, t->agent);
    framework_release(c, t->framework);
    dns_cluster_task_clear(t);
    free(t);
}

static void task_told(struct dns_cluster *c, const Mesos__V1__Task *told, struct arena *arena)
{
    size_t len;
    const void *key = task_key(arena, told->framework_id->value, told->task_id->value, &len);
    struct dns_cluster_task *t = map_get_n(&c->tasks, key, len);
    if (dns_cluster_state_is_terminal(told->state)) {
        if (t)
            task_free(c, t, arena);
        return;
    }
    if (!t) {
        t = xcalloc(1, sizeof(*t));
        list_init(&t->in_agent);
        list_init(&t->in_framework);
        list_init(&t->dirty);
        t->framework = framework_get(c, told->framework_id->value);
        list_push_back(&t->framework->tasks, &t->in_framework);
        (void)map_put_n(&c->tasks, key, len, t);
    }
    struct dns_cluster_agent *before = t->agent, *agent = agent_get(c, told->agent_id->value);
    if (agent != before) {
        list_remove(&t->in_agent);
        t->agent = agent;
        list_push_back(&agent->tasks, &t->in_agent);
        if (before)
            agent_release(c, before);
    }
    dns_cluster_read_task(t, told);
    t->epoch = c->epoch;
    mark_task(c, t);
}

static void task_updated(struct dns_cluster *c, const Mesos__V1__Master__Event__TaskUpdated *update, struct arena *arena)
{
    size_t len;
    const void *key = task_key(arena, update->framework_id->value, update->status->task_id->value, &len);
    struct dns_cluster_task *t = map_get_n(&c->tasks, key, len);
    if (!t)
        return;
    if (dns_cluster_state_is_terminal(update->state)) {
        task_free(c, t, arena);
        return;
    }
    dns_cluster_read_state(t, update->state, update->status);
    t->epoch = c->epoch;
    mark_task(c, t);
}

/* -- agents and frameworks -------------------------------------------------------------------------------------- */

static void replace_text(char **text, const char *with)
{
    char *copy = with ? xstrdup(with) : NULL;
    free(*text);
    *text = copy;
}

/* The host and port of a process id, `slave(1)@10.0.0.1:5051` or `x@[fd00::1]:5051`. False: not of that form. */
static bool split_pid(const char *pid, char host[256], uint16_t *port)
{
    const char *at = pid ? strchr(pid, '@') : NULL, *colon = pid ? strrchr(pid, ':') : NULL;
    int64_t number;
    if (!at || !colon || colon < at || strchr(at + 1, '@'))
        return false;
    char text[16];
    size_t digits = strcspn(colon + 1, " \t");
    if (digits >= sizeof(text))
        return false;
    memcpy(text, colon + 1, digits);
    text[digits] = '\0';
    size_t len = (size_t)(colon - at - 1);
    if (text_to_int64(text, &number) < 0 || number < 0 || number > UINT16_MAX || len == 0 || len >= 256)
        return false;
    bool has_brackets = len > 2 && at[1] == '[' && colon[-1] == ']';
    memcpy(host, at + 1 + has_brackets, len - 2 * (size_t)has_brackets);
    host[len - 2 * (size_t)has_brackets] = '\0';
    *port = (uint16_t)number;
    return true;
}

static void hold(struct dns_cluster *c, struct dns_cluster_agent *a, int64_t until_ms)
{
    list_remove(&a->held);
    a->hold_until_ms = until_ms;
    struct list *at = &c->held;
    while (at->prev != &c->held && container_of(at->prev, struct dns_cluster_agent, held)->hold_until_ms > until_ms)
        at = at->prev;
    list_insert_before(at, &a->held);
}

static void agent_told(struct dns_cluster *c, const Mesos__V1__Master__Response__GetAgents__Agent *told, int64_t now_ms)
{
    const Mesos__V1__AgentInfo *info = told->agent_info;
    char host[256];
    uint16_t port;
    if (!info->id)
        return;
    struct dns_cluster_agent *a = agent_get(c, info->id->value);
    if (!split_pid(told->pid, host, &port)) {
        port = info->has_port && info->port > 0 && info->port <= UINT16_MAX ? (uint16_t)info->port : 0;
        size_t len = strnlen(info->hostname, sizeof(host) - 1);
        memcpy(host, info->hostname, len);
        host[len] = '\0';
    }
    bool is_changed = !a->is_listed || a->port != port;
    is_changed = agent_host_change(c, a, host) || is_changed;
    replace_text(&a->hostname, info->hostname);
    a->port = port;
    a->is_listed = true;
    a->epoch = c->epoch;
    if (a->is_recovered) { /* its tasks follow */
        a->is_recovered = false;
        hold(c, a, now_ms + CLUSTER_SETTLE_MS);
    }
    if (!is_changed)
        return;
    mark(&c->dirty_agents, &a->dirty);
    mark_agent_tasks(c, a);
}

static void agent_removed(struct dns_cluster *c, const char *id, struct arena *arena)
{
    struct dns_cluster_agent *a = map_get(&c->agents, id);
    if (!a)
        return;
    a->is_listed = true; /* keeps it through the loop */
    while (!list_is_empty(&a->tasks))
        task_free(c, container_of(a->tasks.next, struct dns_cluster_task, in_agent), arena);
    agent_free(c, a);
}

static void framework_told(struct dns_cluster *c, const Mesos__V1__FrameworkInfo *info)
{
    if (!info->id)
        return;
    struct dns_cluster_framework *f = framework_get(c, info->id->value);
    bool is_renamed = !f->name || strcmp(f->name, info->name) != 0;
    replace_text(&f->name, info->name);
    framework_host_change(c, f, info->hostname); /* marked below in any case */
    f->is_listed = true;
    f->epoch = c->epoch;
    mark(&c->dirty_frameworks, &f->dirty);
    if (is_renamed)
        mark_framework_tasks(c, f);
}

static void framework_removed(struct dns_cluster *c, const Mesos__V1__FrameworkInfo *info, struct arena *arena)
{
    struct dns_cluster_framework *f = info->id ? map_get(&c->frameworks, info->id->value) : NULL;
    if (!f)
        return;
    f->is_listed = true; /* keeps it through the loop */
    while (!list_is_empty(&f->tasks))
        task_free(c, container_of(f->tasks.next, struct dns_cluster_task, in_framework), arena);
    framework_free(c, f);
}

/* -- snapshots -------------------------------------------------------------------------------------------------- */

static void agent_recovered(struct dns_cluster *c, const Mesos__V1__AgentInfo *info, int64_t now_ms)
{
    struct dns_cluster_agent *a = info->id ? map_get(&c->agents, info->id->value) : NULL;
    if (!a || a->epoch == c->epoch)
        return;
    a->is_recovered = true;
    a->epoch = c->epoch;
    hold(c, a, now_ms + CLUSTER_RECOVERY_MS);
}

/* Ends the hold of an agent: what no snapshot or event of this epoch told of is gone. */
static void release_hold(struct dns_cluster *c, struct dns_cluster_agent *a, struct arena *arena)
{
    list_remove(&a->held);
    a->hold_until_ms = 0;
    if (a->is_recovered) { /* it never came back */
        agent_removed(c, a->id, arena);
        return;
    }
    bool was_listed = a->is_listed;
    a->is_listed = true; /* keeps it through the loop */
    list_for_each(it, &a->tasks)
    {
        struct dns_cluster_task *t = container_of(it, struct dns_cluster_task, in_agent);
        if (t->epoch != c->epoch)
            task_free(c, t, arena);
    }
    a->is_listed = was_listed;
    agent_release(c, a);
}

/* After a snapshot: everything that it did not have, and that is not held, goes. */
static void sweep(struct dns_cluster *c, struct arena *arena)
{
    for (struct map_entry *e = map_first(&c->tasks), *next; e; e = next) {
        struct dns_cluster_task *t = map_value(e);
        next = map_next(e);
        if (t->epoch != c->epoch && t->agent->hold_until_ms == 0)
            task_free(c, t, arena);
        arena_reset(arena);
    }
    for (struct map_entry *e = map_first(&c->agents), *next; e; e = next) {
        struct dns_cluster_agent *a = map_value(e);
        next = map_next(e);
        if (a->epoch == c->epoch)
            continue;
        if (a->is_listed) {
            a->is_listed = false;
            mark(&c->dirty_agents, &a->dirty);
            mark_agent_tasks(c, a);
        }
        agent_release(c, a);
    }
    for (struct map_entry *e = map_first(&c->frameworks), *next; e; e = next) {
        struct dns_cluster_framework *f = map_value(e);
        next = map_next(e);
        if (f->epoch == c->epoch)
            continue;
        f->is_listed = false;
        mark(&c->dirty_frameworks, &f->dirty);
        framework_release(c, f);
    }
}

/* -- reading events --------------------------------------------------------------------------------------------- */

struct reading {
    struct dns_cluster *c;
    struct arena *arena;
    int64_t now_ms;
};

static void apply_event(struct reading *r, const Mesos__V1__Master__Event *event)
{
    struct dns_cluster *c = r->c;
    if (event->task_added)
        task_told(c, event->task_added->task, r->arena);
    else if (event->task_updated)
        task_updated(c, event->task_updated, r->arena);
    else if (event->agent_added)
        agent_told(c, event->agent_added->agent, r->now_ms);
    else if (event->agent_removed)
        agent_removed(c, event->agent_removed->agent_id->value, r->arena);
    else if (event->framework_added)
        framework_told(c, event->framework_added->framework->framework_info);
    else if (event->framework_updated)
        framework_told(c, event->framework_updated->framework->framework_info);
    else if (event->framework_removed)
        framework_removed(c, event->framework_removed->framework_info, r->arena);
}

static void apply_part(void *ctx, const struct picture_part *part)
{
    struct reading *r = ctx;
    switch (part->type) {
    case PICTURE_BEGIN:
        r->c->epoch++;
        break;
    case PICTURE_AGENT:
        agent_told(r->c, part->agent, r->now_ms);
        break;
    case PICTURE_RECOVERED_AGENT:
        agent_recovered(r->c, part->recovered_agent, r->now_ms);
        break;
    case PICTURE_FRAMEWORK:
        framework_told(r->c, part->framework);
        break;
    case PICTURE_TASK:
        task_told(r->c, part->task, r->arena);
        break;
    case PICTURE_END:
        sweep(r->c, r->arena);
        break;
    case PICTURE_EVENT:
        apply_event(r, part->event);
        break;
    }
}

int dns_cluster_apply(struct dns_cluster *c, enum wire_format format, const void *event, size_t len, int64_t now_ms,
                      struct arena *arena, struct picture_told *told, struct err *err)
{
    struct reading r = {c, arena, now_ms};
    return picture_read(format, event, len, arena, apply_part, &r, told, err);
}

/* -- masters, time, flushing ------------------------------------------------------------------------------------ */

static bool is_same_ip(const struct dns_ip *a, const struct dns_ip *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

void dns_cluster_set_masters(struct dns_cluster *c, const struct dns_cluster_master *leader,
                             const struct dns_cluster_master *masters, size_t count)
{
    c->master_count = 0;
    for (size_t i = 0; i < count + (leader != NULL) && c->master_count < CLUSTER_MASTERS_MAX; i++) {
        const struct dns_cluster_master *m = i < count ? &masters[i] : leader;
        bool is_known = false;
        for (size_t k = 0; k < c->master_count; k++)
            is_known = is_known || is_same_ip(&c->masters[k].ip, &m->ip);
        if (!is_known)
            c->masters[c->master_count++] = *m;
    }
    c->has_leader = leader != NULL;
    if (leader)
        c->leader = *leader;
    c->masters_changed = true;
}

void dns_cluster_tick(struct dns_cluster *c, int64_t now_ms)
{
    struct arena *arena = arena_new(0);
    while (!list_is_empty(&c->held)) {
        struct dns_cluster_agent *a = container_of(c->held.next, struct dns_cluster_agent, held);
        if (a->hold_until_ms > now_ms)
            break;
        release_hold(c, a, arena);
    }
    arena_free(arena);
    struct heap_node *node;
    while ((node = heap_pop_due(&c->looked_up, now_ms)) != NULL) {
        struct dns_cluster_host *h = container_of(node, struct dns_cluster_host, again);
        list_push_back(&c->wanted_hosts, &h->wanted);
    }
}

int64_t dns_cluster_next_deadline(const struct dns_cluster *c)
{
    const struct heap_node *node = heap_peek(&c->looked_up);
    int64_t look_up_ms = node ? node->key_ms : INT64_MAX;
    int64_t hold_ms =
        list_is_empty(&c->held) ? INT64_MAX : container_of(c->held.next, struct dns_cluster_agent, held)->hold_until_ms;
    return look_up_ms < hold_ms ? look_up_ms : hold_ms;
}

static void flush_vips(struct dns_cluster *c)
{
    struct list *node;
    while ((node = list_pop_front(&c->dirty_vips)) != NULL) {
        struct dns_cluster_vip *v = container_of(node, struct dns_cluster_vip, dirty);
        dns_book_begin(c->book);
        dns_build_vip(c, v);
        v->records = dns_book_commit(c->book, v->records);
        if (v->count4 > 0 || v->count6 > 0)
            continue;
        dns_book_drop(c->book, v->records);
        (void)map_remove(&c->vips, v->name);
        free(v->name);
        free(v);
    }
}

void dns_cluster_flush(struct dns_cluster *c)
{
    struct list *node;
    if (c->masters_changed) {
        c->masters_changed = false;
        dns_book_begin(c->book);
        dns_build_static(c);
        c->static_records = dns_book_commit(c->book, c->static_records);
    }
    while ((node = list_pop_front(&c->dirty_agents)) != NULL) {
        struct dns_cluster_agent *a = container_of(node, struct dns_cluster_agent, dirty);
        dns_book_begin(c->book);
        dns_build_agent(c, a);
        a->records = dns_book_commit(c->book, a->records);
    }
    while ((node = list_pop_front(&c->dirty_frameworks)) != NULL) {
        struct dns_cluster_framework *f = container_of(node, struct dns_cluster_framework, dirty);
        dns_book_begin(c->book);
        dns_build_framework(c, f);
        f->records = dns_book_commit(c->book, f->records);
    }
    while ((node = list_pop_front(&c->dirty_tasks)) != NULL) {
        struct dns_cluster_task *t = container_of(node, struct dns_cluster_task, dirty);
        dns_book_begin(c->book);
        dns_build_task(c, t);
        t->records = dns_book_commit(c->book, t->records);
        use_vips(c, t);
    }
    flush_vips(c);
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

struct dns_cluster *dns_cluster_new(const struct dns_cluster_naming *naming, struct dns_book *book)
{
    struct dns_cluster *c = xcalloc(1, sizeof(*c));
    c->naming = naming;
    c->book = book;
    map_init(&c->agents);
    map_init(&c->frameworks);
    map_init(&c->tasks);
    map_init(&c->vips);
    map_init(&c->hosts);
    list_init(&c->wanted_hosts);
    heap_init(&c->looked_up);
    c->vip_names = vip_names_new(naming->vip_range, on_vip_moved, c);
    list_init(&c->dirty_tasks);
    list_init(&c->dirty_agents);
    list_init(&c->dirty_frameworks);
    list_init(&c->dirty_vips);
    list_init(&c->held);
    c->masters_changed = true;
    return c;
}

struct dns_cluster *dns_cluster_free(struct dns_cluster *c)
{
    if (!c)
        return NULL;
    struct arena *arena = arena_new(0);
    c->epoch++;
    for (struct map_entry *e = map_first(&c->agents); e; e = map_next(e))
        ((struct dns_cluster_agent *)map_value(e))->hold_until_ms = 0;
    sweep(c, arena);
    flush_vips(c);
    dns_book_drop(c->book, c->static_records);
    for (struct map_entry *e = map_first(&c->agents), *next; e; e = next) {
        next = map_next(e);
        agent_free(c, map_value(e)); /* recovered ones without tasks */
    }
    CHECK(map_count(&c->tasks) == 0 && map_count(&c->frameworks) == 0 && map_count(&c->vips) == 0 &&
          map_count(&c->hosts) == 0);
    map_deinit(&c->agents);
    map_deinit(&c->frameworks);
    map_deinit(&c->tasks);
    map_deinit(&c->vips);
    map_deinit(&c->hosts);
    heap_deinit(&c->looked_up);
    vip_names_free(c->vip_names);
    arena_free(arena);
    free(c);
    return NULL;
}

size_t dns_cluster_task_count(const struct dns_cluster *c)
{
    return map_count(&c->tasks);
}

size_t dns_cluster_agent_count(const struct dns_cluster *c)
{
    return map_count(&c->agents);
}

size_t dns_cluster_framework_count(const struct dns_cluster *c)
{
    return map_count(&c->frameworks);
}

const struct dns_cluster_agent *dns_cluster_agent_at(struct dns_cluster *c, struct map_entry **iterator)
{
    *iterator = *iterator ? map_next(*iterator) : map_first(&c->agents);
    return *iterator ? map_value(*iterator) : NULL;
}

const struct dns_cluster_master *dns_cluster_masters(const struct dns_cluster *c, size_t *count)
{
    *count = c->master_count;
    return c->masters;
}

struct dns_cluster_framework *dns_cluster_framework_at(struct dns_cluster *c, struct map_entry **iterator)
{
    *iterator = *iterator ? map_next(*iterator) : map_first(&c->frameworks);
    return *iterator ? map_value(*iterator) : NULL;
}

void dns_cluster_check_invariants(const struct dns_cluster *c)
{
    size_t by_agent = 0, by_framework = 0;
    for (struct map_entry *e = map_first(&c->agents); e; e = map_next(e)) {
        const struct dns_cluster_agent *a = map_value(e);
        CHECK(a->is_listed || a->is_recovered || !list_is_empty(&a->tasks));
        CHECK((a->hold_until_ms != 0) == !list_is_empty(&a->held));
        list_for_each(it, &a->tasks)
        {
            CHECK(container_of(it, struct dns_cluster_task, in_agent)->agent == a);
            by_agent++;
        }
    }
    for (struct map_entry *e = map_first(&c->frameworks); e; e = map_next(e)) {
        const struct dns_cluster_framework *f = map_value(e);
        CHECK(f->is_listed || !list_is_empty(&f->tasks));
        list_for_each(it, &f->tasks)
        {
            CHECK(container_of(it, struct dns_cluster_task, in_framework)->framework == f);
            by_framework++;
        }
    }
    CHECK(by_agent == map_count(&c->tasks) && by_framework == map_count(&c->tasks));
    for (struct map_entry *e = map_first(&c->vips); e; e = map_next(e)) {
        const struct dns_cluster_vip *v = map_value(e);
        CHECK(v->count4 > 0 || v->count6 > 0 || !list_is_empty(&v->dirty));
    }
}
