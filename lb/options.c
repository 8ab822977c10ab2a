/* SPDX-License-Identifier: Apache-2.0
 * options.c - see options.h. */
#include "lb/options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "common/base/log.h"
#include "lb/plane.h"
#include "lb/proxy.h"

#define AT(field) offsetof(struct lb_options, field)
#define INSTANCE_MAX 32

const struct option_def lb_option_defs[] = {
    {"master", OPTION_STRING, AT(master), NULL, "Masters, host:port with commas between; the leader among them is found.",
     0, 0, 0},
    {"ip", OPTION_STRING, AT(ip), "127.0.0.1", "Address of the HTTP API.", 0, 0, 0},
    {"port", OPTION_PORT, AT(port), "62080", "Port of the HTTP API; 0: any free one.", 0, 0, 0},
    {"vip_range", OPTION_STRING, AT(vip_range), "11.0.0.0/8",
     "Addresses of named VIPs; the same for dns and lb, on one machine 127.64.0.0/10.", 0, 0, 0},
    {"ipv6", OPTION_BOOL, AT(ipv6), "false", "Named VIPs get an address in fd01:c::/64 too.", 0, 0, 0},
    {"plane", OPTION_STRING, AT(plane), "auto",
     "What carries connections: ebpf, nft, proxy, or auto: the first of these that this machine allows.", 0, 0, 0},
    {"instance", OPTION_STRING, AT(instance), "lb",
     "Name of what is made in the kernel, [a-z0-9_]; several lbs on one machine need different ones.", 0, 0, 0},
    {"cgroup", OPTION_STRING, AT(cgroup), NULL,
     "Folder of the control group whose processes see the VIPs, for --plane=ebpf; otherwise all of this machine.", 0, 0, 0},
    {"local_route", OPTION_STRING, AT(local_route), "auto",
     "Make the VIP range local by a route: on, off, or auto: if that is allowed.", 0, 0, 0},
    {"keep_on_exit", OPTION_BOOL, AT(keep_on_exit), "false",
     "Leave what is in the kernel at an ordinary end too, so that VIPs work through a restart; --clean removes it.", 0, 0,
     0},
    {"clean", OPTION_BOOL, AT(clean), "false", "Remove what an lb of this instance left in the kernel, and end.", 0, 0, 0},
    /* Off: the master tells of health already, and every node would check every back end. */
    {"check_interval", OPTION_DURATION, AT(check_interval_ms), "0secs",
     "Between TCP checks of each back end by this node; 0secs: none, the master's word on health is taken.", 0, 0, 3600000},
    {"check_timeout", OPTION_DURATION, AT(check_timeout_ms), "1secs", "Until a check has failed.", 0, 10, 60000},
    {"check_failures", OPTION_INT, AT(check_failures), "2", "Failed checks in a row until a back end is left out.", 0, 1,
     1000},
    {"proxy_threads", OPTION_INT, AT(proxy_threads), "0", "Threads of --plane=proxy; 0: one for each processor, at most 8.",
     0, 0, PROXY_THREADS_MAX},
    {"proxy_connect_timeout", OPTION_DURATION, AT(proxy_connect_timeout_ms), "1secs",
     "Until the next back end is tried, for --plane=proxy.", 0, 10, 60000},
    {"proxy_eject_time", OPTION_DURATION, AT(proxy_eject_ms), "10secs",
     "How long a back end that cannot be connected is left out, for --plane=proxy.", 0, 100, 3600000},
    {"proxy_eject_failures", OPTION_INT, AT(proxy_eject_failures), "3",
     "Failed connects in a row until it is, for --plane=proxy.", 0, 1, 1000000},
    {"udp_timeout", OPTION_DURATION, AT(udp_timeout_ms), "60secs", "Until a silent UDP flow ends.", 0, 1000, 3600000},
    {"principal", OPTION_STRING, AT(principal), NULL, "Principal to authenticate to the master with.", 0, 0, 0},
    {"secret", OPTION_STRING, AT(secret), NULL, "Its secret.", OPTION_FROM_FILE | OPTION_SECRET, 0, 0},
    {"logging_level", OPTION_STRING, AT(logging_level), "info", "debug, info, warning or error.", 0, 0, 0},
};
const size_t lb_option_count = sizeof(lb_option_defs) / sizeof(lb_option_defs[0]);

static int check_plane(const struct lb_options *o, struct err *err)
{
    static const char *const known[] = {"auto", "ebpf", "nft", "proxy"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(o->plane, known[i]) == 0)
            return 0;
    return err_set(err, -EINVAL, "--plane=%s is none of auto, ebpf, nft, proxy", o->plane);
}

static int read_route(struct lb_options *o, struct err *err)
{
    static const char *const names[] = {"auto", "on", "off"}; /* enum lb_local_route */
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(o->local_route, names[i]) == 0) {
            o->route = (enum lb_local_route)i;
            return 0;
        }
    return err_set(err, -EINVAL, "--local_route=%s is none of auto, on, off", o->local_route);
}

static int check_instance(const char *name, struct err *err)
{
    size_t len = strlen(name);
    if (len == 0 || len > INSTANCE_MAX || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != len)
        return err_set(err, -EINVAL, "--instance=%.64s is not 1 to %d of [a-z0-9_]", name, INSTANCE_MAX);
    return 0;
}

/* Named VIPs at addresses that are not for unicast would never work, and nobody would see why. */
static int read_range(struct lb_options *o, struct err *err)
{
    if (vip_range_parse(o->vip_range, &o->range) < 0)
        return err_set(err, -EINVAL, "--vip_range=%s is not a.b.c.d/bits or a.b.c.d-a.b.c.d", o->vip_range);
    if (o->range.first >> 24 == 0 || o->range.last >> 28 >= 0xe)
        return err_set(err, -EINVAL, "--vip_range=%s has addresses that no service can have", o->vip_range);
    if (o->range.first <= 0x7f000001 && o->range.last >= 0x7f000001)
        return err_set(err, -EINVAL, "--vip_range=%s has 127.0.0.1 in it", o->vip_range);
    return 0;
}

static int read_masters(struct lb_options *o, struct err *err)
{
    if (!o->master || o->master[0] == '\0')
        return err_set(err, -EINVAL, "--master is missing: host:port of the cluster's masters");
    if (strncmp(o->master, "zk://", 5) == 0)
        return err_set(err, -EINVAL, "--master: finding masters by ZooKeeper is not supported; name them host:port");
    return master_list_parse(o->master, &o->masters, err);
}

int lb_options_check(struct lb_options *o, struct err *err)
{
    enum log_level level;
    struct lb_endpoint ip;
    if (lb_endpoint_parse_ip(o->ip, &ip) < 0)
        return err_set(err, -EINVAL, "--ip=%s is not an address", o->ip);
    if (o->check_interval_ms != 0 && o->check_interval_ms < 100)
        return err_set(err, -EINVAL, "--check_interval is less than 100ms");
    int result = check_plane(o, err);
    result = result < 0 ? result : read_route(o, err);
    result = result < 0 ? result : check_instance(o->instance, err);
    result = result < 0 ? result : read_range(o, err);
    if (result == 0 && !o->clean)
        result = read_masters(o, err);
    if (result == 0 && log_parse_level(o->logging_level, &level) < 0)
        return err_set(err, -EINVAL, "--logging_level=%s is none of debug, info, warning, error", o->logging_level);
    return result;
}
