/* SPDX-License-Identifier: Apache-2.0
 * maintenance.c - each change replaces the one record of schedule and machines that are down. What follows from it is done
 * when it is durable. */
#include "master/maintenance.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/wire/codec.h"
#include "master/agents.h"
#include "master/inverse.h"
#include "master/offers.h"
#include "master/registry.h"
#include "master/send.h"

typedef Mesos__V1__Maintenance__Schedule Schedule; /* long names of generated code, short ones here */
typedef Mesos__V1__Maintenance__Window Window;
typedef Mesos__V1__MachineID MachineId;

#define MACHINES_MAX 100000
#define KEY_SIZE 400 /* a host name of 255 bytes and an address */

/* -- machines --------------------------------------------------------------------------------------------------- */

/* "host|ip", host in lower case; false when it is longer than any can be. */
static bool key_of(const char *hostname, const char *ip, char out[KEY_SIZE])
{
    size_t n = hostname != NULL ? strlen(hostname) : 0, k = ip != NULL ? strlen(ip) : 0;
    if (n + k + 2 > KEY_SIZE)
        return false;
    for (size_t i = 0; i < n; i++)
        out[i] = (char)tolower((unsigned char)hostname[i]);
    out[n] = '|';
    memcpy(out + n + 1, k > 0 ? ip : "", k + 1);
    return true;
}

static struct master_machine *find(const struct master *m, const MachineId *id)
{
    char key[KEY_SIZE];
    return key_of(id->hostname, id->ip, key) ? map_get(&m->machines, key) : NULL;
}

const struct master_machine *master_machine_find(const struct master *m, const char *hostname, const char *ip)
{
    char key[KEY_SIZE];
    if (map_count(&m->machines) == 0 || !key_of(hostname, ip, key))
        return NULL;
    return map_get(&m->machines, key);
}

const struct master_machine *master_machine_of(const struct master *m, const struct master_agent *a)
{
    return master_machine_find(m, a->info->hostname, a->ip);
}

Mesos__V1__Unavailability *master_machine_unavailability(const struct master_machine *machine, struct arena *arena)
{
    Mesos__V1__Unavailability *u = arena_new_one(arena, Mesos__V1__Unavailability);
    mesos__v1__unavailability__init(u);
    u->start = arena_new_one(arena, Mesos__V1__TimeInfo);
    mesos__v1__time_info__init(u->start);
    u->start->nanoseconds = machine->start_ns;
    if (machine->has_duration) {
        u->duration = arena_new_one(arena, Mesos__V1__DurationInfo);
        mesos__v1__duration_info__init(u->duration);
        u->duration->nanoseconds = machine->duration_ns;
    }
    return u;
}

static const char *text_of(struct arena *arena, const MachineId *id)
{
    return arena_printf(arena, "%.255s%s%.64s", id->hostname != NULL ? id->hostname : "",
                        id->hostname != NULL && id->ip != NULL ? " " : "", id->ip != NULL ? id->ip : "");
}

/* -- checks ----------------------------------------------------------------------------------------------------- */

/* One machine of a list; `seen` keeps those before it. 0 or 400. */
static int check_machine(struct master *m, const MachineId *id, struct map *seen, struct err *err)
{
    char key[KEY_SIZE];
    unsigned char address[16];
    bool has_host = id->hostname != NULL && id->hostname[0] != '\0', has_ip = id->ip != NULL && id->ip[0] != '\0';
    if (!has_host && !has_ip)
        return err_set(err, 400, "Both 'hostname' and 'ip' for a machine are empty");
    if (has_ip && inet_pton(AF_INET, id->ip, address) != 1 && inet_pton(AF_INET6, id->ip, address) != 1)
        return err_set(err, 400, "Failed to parse the IP: '%.64s'", id->ip);
    if (!key_of(id->hostname, id->ip, key))
        return err_set(err, 400, "The name of a machine is too long");
    if (map_get(seen, key) != NULL)
        return err_set(err, 400, "Machine '%s' appears more than once in the schedule", text_of(m->out->arena, id));
    (void)map_put(seen, key, m); /* only whether it is there counts */
    if (map_count(seen) > MACHINES_MAX)
        return err_set(err, 400, "More than %d machines", MACHINES_MAX);
    return 0;
}

static int check_windows(struct master *m, const Schedule *s, struct map *seen, struct err *err)
{
    for (size_t i = 0; i < s->n_windows; i++) {
        const Window *w = s->windows[i];
        if (w->n_machine_ids == 0)
            return err_set(err, 400, "List of machines in the maintenance window is empty");
        if (w->unavailability->duration != NULL && w->unavailability->duration->nanoseconds < 0)
            return err_set(err, 400, "Unavailability 'duration' is negative");
        for (size_t j = 0; j < w->n_machine_ids; j++)
            if (check_machine(m, w->machine_ids[j], seen, err) != 0)
                return 400;
    }
    for (struct map_entry *e = map_first(&m->machines); e != NULL; e = map_next(e)) {
        const struct master_machine *machine = map_value(e);
        if (machine->is_down && map_get(seen, map_key(e)) == NULL)
            return err_set(err, 400, "Machine '%s' is deactivated and cannot be removed from the schedule", map_key(e));
    }
    return 0;
}

static int check_schedule(struct master *m, const Schedule *s, struct err *err)
{
    struct map seen;
    map_init(&seen);
    int status = check_windows(m, s, &seen, err);
    map_deinit(&seen);
    return status;
}

static int check_list(struct master *m, MachineId *const *ids, size_t n, bool is_down, struct err *err)
{
    struct map seen;
    int status = n == 0 ? err_set(err, 400, "List of machines is empty") : 0;
    map_init(&seen);
    for (size_t i = 0; status == 0 && i < n; i++) {
        status = check_machine(m, ids[i], &seen, err);
        const struct master_machine *machine = find(m, ids[i]);
        if (status == 0 && machine == NULL)
            status =
                err_set(err, 400, "Machine '%s' is not part of a maintenance schedule", text_of(m->out->arena, ids[i]));
        else if (status == 0 && machine->is_down != is_down)
            status = err_set(err, 400, "Machine '%s' is not in %s mode and cannot be brought %s",
                             text_of(m->out->arena, ids[i]), is_down ? "DOWN" : "DRAINING", is_down ? "up" : "down");
    }
    map_deinit(&seen);
    return status;
}

/* -- calls ------------------------------------------------------------------------------------------------------ */

/* The ids of what is down, as strings that live as long as the machines. */
static MachineId **list_down(const struct master *m, struct arena *arena, size_t *count)
{
    MachineId **ids = arena_new_array(arena, MachineId *, map_count(&m->machines));
    *count = 0;
    for (struct map_entry *e = map_first(&m->machines); e != NULL; e = map_next(e)) {
        const struct master_machine *machine = map_value(e);
        if (machine->is_down)
            ids[(*count)++] = machine->id;
    }
    return ids;
}

static bool is_among(MachineId *const *ids, size_t n, const MachineId *id)
{
    char one[KEY_SIZE], other[KEY_SIZE];
    if (!key_of(id->hostname, id->ip, one))
        return false;
    for (size_t i = 0; i < n; i++)
        if (key_of(ids[i]->hostname, ids[i]->ip, other) && strcmp(one, other) == 0)
            return true;
    return false;
}

static void store(struct master *m, request_id request, const Schedule *schedule, MachineId **down, size_t n_down)
{
    struct master_write *w = master_registry_begin(m, MASTER_WRITE_MAINTENANCE, "");
    w->request = request;
    master_registry_put_maintenance(m, w, schedule, down, n_down);
}

void master_maintenance_on_schedule(struct master *m, const struct master_event *in)
{
    const Schedule *schedule = in->operator_call.call->update_maintenance_schedule->schedule;
    struct err err;
    size_t n_down;
    if (check_schedule(m, schedule, &err) != 0) {
        master_reply(m, in->operator_call.request, 400, "%s", err.text);
        return;
    }
    MachineId **down = list_down(m, m->out->arena, &n_down);
    store(m, in->operator_call.request, schedule, down, n_down);
}

void master_maintenance_on_start(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__StartMaintenance *call = in->operator_call.call->start_maintenance;
    struct err err;
    size_t n_down;
    if (check_list(m, call->machines, call->n_machines, false, &err) != 0) {
        master_reply(m, in->operator_call.request, 400, "%s", err.text);
        return;
    }
    MachineId **before = list_down(m, m->out->arena, &n_down);
    MachineId **down = arena_new_array(m->out->arena, MachineId *, n_down + call->n_machines);
    memcpy(down, before, n_down * sizeof(*down));
    memcpy(down + n_down, call->machines, call->n_machines * sizeof(*down));
    store(m, in->operator_call.request, master_maintenance_schedule(m, m->out->arena), down, n_down + call->n_machines);
}

/* The schedule without these machines; windows that are empty then go. */
static Schedule *without(struct master *m, MachineId *const *ids, size_t n)
{
    const Schedule *old = master_maintenance_schedule(m, m->out->arena);
    MASTER_WIRE(m, Schedule, schedule, mesos__v1__maintenance__schedule);
    schedule->windows = arena_new_array(m->out->arena, Window *, old->n_windows);
    for (size_t i = 0; i < old->n_windows; i++) {
        Window *w = arena_memdup(m->out->arena, old->windows[i], sizeof(*w));
        w->machine_ids = arena_new_array(m->out->arena, MachineId *, w->n_machine_ids);
        w->n_machine_ids = 0;
        for (size_t j = 0; j < old->windows[i]->n_machine_ids; j++)
            if (!is_among(ids, n, old->windows[i]->machine_ids[j]))
                w->machine_ids[w->n_machine_ids++] = old->windows[i]->machine_ids[j];
        if (w->n_machine_ids > 0)
            schedule->windows[schedule->n_windows++] = w;
    }
    return schedule;
}

void master_maintenance_on_stop(struct master *m, const struct master_event *in)
{
    const Mesos__V1__Master__Call__StopMaintenance *call = in->operator_call.call->stop_maintenance;
    struct err err;
    size_t n_before, n = 0;
    if (check_list(m, call->machines, call->n_machines, true, &err) != 0) {
        master_reply(m, in->operator_call.request, 400, "%s", err.text);
        return;
    }
    MachineId **before = list_down(m, m->out->arena, &n_before);
    MachineId **down = arena_new_array(m->out->arena, MachineId *, n_before);
    for (size_t i = 0; i < n_before; i++)
        if (!is_among(call->machines, call->n_machines, before[i]))
            down[n++] = before[i];
    store(m, in->operator_call.request, without(m, call->machines, call->n_machines), down, n);
}

/* -- consequences ----------------------------------------------------------------------------------------------- */

static void clear(struct master *m)
{
    for (struct map_entry *e = map_first(&m->machines); e != NULL; e = map_next(e)) {
        struct master_machine *machine = map_value(e);
        mesos__v1__machine_id__free_unpacked(machine->id, NULL);
        free(machine);
    }
    map_deinit(&m->machines);
    map_init(&m->machines);
    free(m->schedule);
    m->schedule = NULL;
    m->schedule_len = 0;
}

static void add_machine(struct master *m, const MachineId *id, const Mesos__V1__Unavailability *u)
{
    char key[KEY_SIZE];
    if (!key_of(id->hostname, id->ip, key) || map_get(&m->machines, key) != NULL)
        return; /* was checked before it was stored */
    struct master_machine *machine = xcalloc(1, sizeof(*machine));
    size_t len;
    uint8_t *packed = wire_pack(&id->base, &len);
    machine->id = mesos__v1__machine_id__unpack(NULL, len, packed);
    free(packed);
    CHECK(machine->id != NULL); /* just packed */
    machine->start_ns = u->start->nanoseconds;
    machine->has_duration = u->duration != NULL;
    machine->duration_ns = machine->has_duration ? u->duration->nanoseconds : 0;
    (void)map_put(&m->machines, key, machine); /* there was none */
}

bool master_maintenance_recover(struct master *m, const Schedule *schedule, MachineId *const *down, size_t n_down)
{
    clear(m);
    for (size_t i = 0; i < schedule->n_windows; i++)
        for (size_t j = 0; j < schedule->windows[i]->n_machine_ids; j++)
            add_machine(m, schedule->windows[i]->machine_ids[j], schedule->windows[i]->unavailability);
    for (size_t i = 0; i < n_down; i++) {
        struct master_machine *machine = find(m, down[i]);
        if (machine != NULL)
            machine->is_down = true;
    }
    m->schedule = wire_pack(&schedule->base, &m->schedule_len);
    return true;
}

/* An agent hears what is new of its machine: its offers end, and it goes when the machine is down. */
static void refresh_agent(struct master *m, struct master_agent *a, bool was_named)
{
    const struct master_machine *machine = master_machine_of(m, a);
    if (machine == NULL && !was_named)
        return;
    master_inverse_withdraw(m, a);
    if (machine != NULL && machine->is_down) {
        master_agent_shut_down(m, a, "its machine is down for maintenance");
        return;
    }
    master_offers_rescind_of_agent(m, a);
    master_inverse_mark(m, a);
}

void master_maintenance_on_stored(struct master *m, const struct master_write *w)
{
    struct err err;
    const Mesos__V1__Maintenance__Schedule *schedule;
    MachineId **down;
    size_t n_down;
    CHECK(master_registry_read_maintenance(m, w, &schedule, &down, &n_down, &err) == 0); /* our own bytes */
    struct map named;
    map_init(&named);
    for (struct master_agent *a = m->agents; a != NULL; a = a->hh.next)
        if (master_machine_of(m, a) != NULL)
            (void)map_put(&named, a->id, a);
    (void)master_maintenance_recover(m, schedule, down, n_down);
    struct master_agent *a, *next;
    HASH_ITER(hh, m->agents, a, next)
    refresh_agent(m, a, map_get(&named, a->id) != NULL);
    map_deinit(&named);
    master_reply(m, w->request, 200, NULL);
}

void master_maintenance_deinit(struct master *m)
{
    clear(m);
    map_deinit(&m->machines);
}

/* -- wire ------------------------------------------------------------------------------------------------------- */

const Schedule *master_maintenance_schedule(const struct master *m, struct arena *arena)
{
    struct err err;
    const Schedule *schedule =
        (const void *)wire_unpack(&mesos__v1__maintenance__schedule__descriptor, m->schedule, m->schedule_len, arena, &err);
    CHECK(schedule != NULL); /* our own bytes */
    return schedule;
}

Mesos__V1__Maintenance__ClusterStatus *master_maintenance_status(const struct master *m, struct arena *arena)
{
    typedef Mesos__V1__Maintenance__ClusterStatus__DrainingMachine Draining;
    Mesos__V1__Maintenance__ClusterStatus *out = arena_new_one(arena, Mesos__V1__Maintenance__ClusterStatus);
    mesos__v1__maintenance__cluster_status__init(out);
    out->draining_machines = arena_new_array(arena, Draining *, map_count(&m->machines));
    out->down_machines = list_down(m, arena, &out->n_down_machines);
    for (struct map_entry *e = map_first(&m->machines); e != NULL; e = map_next(e)) {
        const struct master_machine *machine = map_value(e);
        if (machine->is_down)
            continue;
        Draining *d = arena_new_one(arena, Draining);
        mesos__v1__maintenance__cluster_status__draining_machine__init(d);
        d->id = machine->id;
        d->n_statuses = master_inverse_statuses(m, machine, arena, &d->statuses);
        out->draining_machines[out->n_draining_machines++] = d;
    }
    return out;
}
