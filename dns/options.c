/* SPDX-License-Identifier: Apache-2.0
 * options.c - see options.h. */
#include "dns/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"
#include "common/base/log.h"
#include "common/base/text.h"

#define AT(field) offsetof(struct dns_options, field)
#define ALLOW_DEFAULT                                                                                                      \
    "127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,100.64.0.0/10,9.0.0.0/8,198.51.100.0/24,"  \
    "fc00::/7,fe80::/10"

const struct option_def dns_option_defs[] = {
    {"master", OPTION_STRING, AT(master), NULL, "Masters, host:port with commas between; the leader among them is found.",
     0, 0, 0},
    {"zk", OPTION_STRING, AT(zk), NULL, "ZooKeeper of the masters; not supported by this version, name them by --master.",
     0, 0, 0},
    {"ip", OPTION_STRING, AT(ip), "127.0.0.1", "Address to answer questions at; 0.0.0.0 and :: are all of this machine.", 0,
     0, 0},
    {"port", OPTION_PORT, AT(port), "8053", "Port for questions, UDP and TCP; 0: any free one.", 0, 0, 0},
    {"http_ip", OPTION_STRING, AT(http_ip), NULL, "Address of the HTTP API; the same as --ip when it is not given.", 0, 0,
     0},
    {"http_port", OPTION_PORT, AT(http_port), "8123", "Port of the HTTP API.", 0, 0, 0},
    {"dcos_http_port", OPTION_INT, AT(dcos_http_port), "-1",
     "One more port that answers as DC/OS's network service does; -1: none, 0: any free one.", 0, -1, 65535},
    {"domain", OPTION_STRING, AT(domain), "mesos", "Domain of the cluster's names.", 0, 0, 0},
    {"ttl", OPTION_INT, AT(ttl), "60", "Seconds that answers about the cluster's domain may be kept.", 0, 0, INT32_MAX},
    {"dcos", OPTION_BOOL, AT(dcos), "true",
     "Serve the zones of DC/OS as well (thisdcos.directory, spartan, zk, localhost).", 0, 0, 0},
    {"vip_range", OPTION_STRING, AT(vip_range), "11.0.0.0/8",
     "Addresses of named VIPs; the same for dns and lb, on one machine 127.64.0.0/10.", 0, 0, 0},
    {"ip_sources", OPTION_STRING, AT(ip_sources), "netinfo,mesos,host",
     "Where the addresses of tasks come from, first that has one: netinfo, mesos, docker, host.", 0, 0, 0},
    {"enforce_rfc952", OPTION_BOOL, AT(enforce_rfc952), "false",
     "Labels of at most 24 characters that start with a letter.", 0, 0, 0},
    {"serve_unhealthy", OPTION_BOOL, AT(serve_unhealthy), "false", "Keep the names of tasks that fail their health check.",
     0, 0, 0},
    {"srv_weight", OPTION_INT, AT(srv_weight), "1", "Weight in service records.", 0, 0, 65535},
    {"soa_mname", OPTION_STRING, AT(soa_mname), "ns1.mesos", "Name of this server in the zone's SOA and NS records.", 0, 0,
     0},
    {"soa_rname", OPTION_STRING, AT(soa_rname), "root.ns1.mesos", "Mailbox in the SOA record.", 0, 0, 0},
    {"soa_refresh", OPTION_INT, AT(soa_refresh), "60", "Seconds in the SOA record.", 0, 0, INT32_MAX},
    {"soa_retry", OPTION_INT, AT(soa_retry), "600", "Seconds in the SOA record.", 0, 0, INT32_MAX},
    {"soa_expire", OPTION_INT, AT(soa_expire), "86400", "Seconds in the SOA record.", 0, 0, INT32_MAX},
    {"soa_minimum", OPTION_INT, AT(soa_minimum), "60", "Accepted for Mesos-DNS's sake; the record carries --ttl.", 0, 0,
     INT32_MAX},
    {"external_on", OPTION_BOOL, AT(external_on), "true", "Forward questions about other names.", 0, 0, 0},
    {"resolvers", OPTION_STRING, AT(resolvers), NULL,
     "Name servers for other names, ip or ip:port with commas; those of /etc/resolv.conf when it is not given.", 0, 0, 0},
    {"zone_resolvers", OPTION_STRING, AT(zone_resolvers), NULL,
     "Name servers for single zones, zone=ip:port,ip;zone=ip and so on. As with Mesos-DNS they must not overlap.", 0, 0, 0},
    {"forward_zones", OPTION_STRING, AT(forward_zones), NULL,
     "More of the same; as in DC/OS one zone may lie in another, then the longer one decides.", 0, 0, 0},
    {"timeout", OPTION_DURATION, AT(timeout_ms), "5secs", "Until a forwarded question is given up.", 0, 100, 60000},
    {"cache_entries", OPTION_INT, AT(cache_entries), "4096", "Forwarded answers to keep; 0: none.", 0, 0, 1 << 20},
    {"cache_ttl_max", OPTION_DURATION, AT(cache_ttl_max_ms), "60secs", "Longest time to keep a forwarded answer.", 0, 0,
     86400000},
    {"recurse_on", OPTION_BOOL, AT(recurse_on), "true", "Tell clients that recursion is available.", 0, 0, 0},
    {"allow", OPTION_STRING, AT(allow), ALLOW_DEFAULT, "Networks whose questions are answered; others are refused.", 0, 0,
     0},
    {"rate_limit", OPTION_INT, AT(rate_limit), "20000",
     "UDP answers a second and thread for one client address outside loopback, beyond that it is sent to TCP; 0: no limit.",
     0, 0, 1000000000},
    {"udp_size", OPTION_INT, AT(udp_size), "1232",
     "Largest UDP answer for clients that allow it by EDNS; more than 1232 bytes may come in pieces, and these are lost.",
     0, 512, 4096},
    {"threads", OPTION_INT, AT(threads), "0", "Threads that answer by UDP; 0: one for each processor.", 0, 0,
     ZONE_READERS_MAX - 1},
    {"tcp_connections", OPTION_INT, AT(tcp_connections), "1024", "Connections by TCP at a time.", 0, 1, 65536},
    {"tcp_idle", OPTION_DURATION, AT(tcp_idle_ms), "10secs", "Until a silent TCP connection is closed.", 0, 100, 3600000},
    {"node_ip", OPTION_STRING, AT(node_ip), NULL, "Address of this node for thisnode.thisdcos.directory; --ip otherwise.",
     0, 0, 0},
    {"public_ips", OPTION_STRING, AT(public_ips), NULL,
     "Addresses of this node as others see it, with commas, for public.thisnode.thisdcos.directory.", 0, 0, 0},
    {"cluster_key", OPTION_STRING, AT(cluster_key), NULL,
     "Public key of the DC/OS cluster in z-base-32: KEY.dcos.directory is answered as thisdcos.directory.", 0, 0, 0},
    {"principal", OPTION_STRING, AT(principal), NULL, "Principal to authenticate to the master with.", 0, 0, 0},
    {"secret", OPTION_STRING, AT(secret), NULL, "Its secret.", OPTION_FROM_FILE | OPTION_SECRET, 0, 0},
    {"dns_on", OPTION_BOOL, AT(dns_on), "true", "Answer questions.", 0, 0, 0},
    {"http_on", OPTION_BOOL, AT(http_on), "true", "Serve the HTTP API.", 0, 0, 0},
    {"enumeration_on", OPTION_BOOL, AT(enumeration_on), "true", "Let the HTTP API list all records.", 0, 0, 0},
    {"set_truncate_bit", OPTION_BOOL, AT(set_truncate_bit), "true",
     "Accepted for Mesos-DNS's sake; cut answers always say so.", 0, 0, 0},
    {"refresh_seconds", OPTION_INT, AT(refresh_seconds), "60",
     "Accepted for Mesos-DNS's sake; changes are followed at once.", 0, 1, INT32_MAX},
    {"state_timeout_seconds", OPTION_INT, AT(state_timeout_seconds), "300", "Accepted for Mesos-DNS's sake.", 0, 1,
     INT32_MAX},
    {"zk_detection_timeout", OPTION_INT, AT(zk_detection_timeout), "30", "Accepted for Mesos-DNS's sake.", 0, 0, INT32_MAX},
    {"logging_level", OPTION_STRING, AT(logging_level), "info", "debug, info, warning or error.", 0, 0, 0},
};
const size_t dns_option_count = sizeof(dns_option_defs) / sizeof(dns_option_defs[0]);

/* -- parts ------------------------------------------------------------------------------------------------------ */

static int parse_ip(const char *text, size_t len, struct dns_ip *out)
{
    char copy[64];
    struct dns_ip ip = {.size = 4};
    if (len >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (inet_pton(AF_INET, copy, ip.bytes) != 1) {
        ip.size = 16;
        if (inet_pton(AF_INET6, copy, ip.bytes) != 1)
            return -EINVAL;
    }
    *out = ip;
    return 0;
}

static int parse_port(const char *text, size_t len, int64_t min, uint16_t *out)
{
    char copy[8];
    int64_t port;
    if (len >= sizeof(copy))
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (text_to_int64(copy, &port) < 0 || port < min || port > UINT16_MAX)
        return -EINVAL;
    *out = (uint16_t)port;
    return 0;
}

int dns_endpoint_parse(const char *text, size_t len, uint16_t port_default, struct dns_endpoint *out)
{
    struct dns_endpoint e = {.port = port_default};
    if (parse_ip(text, len, &e.ip) < 0) {
        const char *colon = memrchr(text, ':', len);
        if (!colon || parse_port(colon + 1, len - (size_t)(colon + 1 - text), 1, &e.port) < 0)
            return -EINVAL;
        size_t ip_len = (size_t)(colon - text);
        bool has_brackets = ip_len > 2 && text[0] == '[' && text[ip_len - 1] == ']';
        if (parse_ip(text + has_brackets, ip_len - 2 * (size_t)has_brackets, &e.ip) < 0 ||
            (e.ip.size == 16 && !has_brackets))
            return -EINVAL;
    }
    *out = e;
    return 0;
}

bool dns_network_has(const struct dns_network *networks, size_t count, const struct dns_ip *ip)
{
    for (size_t i = 0; i < count; i++) {
        const struct dns_network *n = &networks[i];
        if (n->ip.size != ip->size)
            continue;
        size_t whole = n->bits / 8;
        unsigned mask = 0xff00u >> (n->bits % 8) & 0xff;
        if (memcmp(n->ip.bytes, ip->bytes, whole) == 0 &&
            (mask == 0 || ((n->ip.bytes[whole] ^ ip->bytes[whole]) & mask) == 0))
            return true;
    }
    return false;
}

/* Calls for each piece between separators, blanks around it taken away; empty pieces are an error of the caller's choice.
 */
struct piece {
    const char *text;
    size_t len;
};

static bool next_piece(const char **at, char separator, struct piece *out)
{
    const char *p = *at;
    if (!p)
        return false;
    size_t len = 0;
    while (p[len] != '\0' && p[len] != separator)
        len++;
    *at = p[len] == '\0' ? NULL : p + len + 1;
    while (len > 0 && (p[0] == ' ' || p[0] == '\t')) {
        p++;
        len--;
    }
    while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
        len--;
    *out = (struct piece){p, len};
    return true;
}

/* -- lists ------------------------------------------------------------------------------------------------------ */

static int read_masters(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    if (o->master && o->master[0] != '\0')
        return master_list_parse(o->master, &out->masters, err);
    if (o->zk && o->zk[0] != '\0')
        return err_set(err, -EINVAL,
                       "--zk: finding masters by ZooKeeper is not supported by this version; name them by "
                       "--master=host:port,...");
    return err_set(err, -EINVAL, "--master is missing: host:port of the cluster's masters");
}

static int read_resolvers(const char *flag, const char *at, struct dns_forward_zone *zone, struct err *err)
{
    struct piece p;
    while (next_piece(&at, ',', &p)) {
        if (zone->resolver_count == DNS_RESOLVERS_MAX)
            return err_set(err, -EINVAL, "%s: more than %d name servers for '%s'", flag, DNS_RESOLVERS_MAX, zone->name);
        if (dns_endpoint_parse(p.text, p.len, 53, &zone->resolvers[zone->resolver_count]) < 0)
            return err_set(err, -EINVAL, "%s: '%.*s' is not ip or ip:port", flag, (int)p.len, p.text);
        zone->resolver_count++;
    }
    return 0;
}

/* A domain: labels of letters, digits and dashes (facts: net-cron A.9). */
static bool is_domain(const char *text)
{
    uint8_t wire[DNS_NAME_MAX];
    size_t len = strlen(text);
    if (len == 0 || text[0] == '.' || text[len - 1] == '.' || dns_name_from_text(text, wire) == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
            return false;
    }
    return true;
}

static bool is_under(const char *name, const char *zone)
{
    uint8_t a[DNS_NAME_MAX], b[DNS_NAME_MAX];
    size_t a_len = dns_name_from_text(name, a), b_len = dns_name_from_text(zone, b);
    return a_len > 0 && b_len > 0 && dns_name_is_under(a, a_len, b, b_len);
}

/* Zones must not overlap the cluster's own, and each other (facts: net-cron A.9) unless they may (B.5); never twice. */
static int check_zone(const char *flag, bool may_overlap, const struct dns_options *o, const struct dns_lists *lists,
                      const struct dns_forward_zone *zone, struct err *err)
{
    if (!is_domain(zone->name))
        return err_set(err, -EINVAL, "%s: '%s' is not a domain", flag, zone->name);
    if (is_under(zone->name, o->domain) || is_under(o->domain, zone->name))
        return err_set(err, -EINVAL, "%s: '%s' overlaps --domain", flag, zone->name);
    for (size_t i = 1; i < lists->zone_count; i++) {
        bool is_below = is_under(zone->name, lists->zones[i].name), is_above = is_under(lists->zones[i].name, zone->name);
        if (may_overlap ? is_below && is_above : is_below || is_above)
            return err_set(err, -EINVAL, "%s: '%s' overlaps '%s'", flag, zone->name, lists->zones[i].name);
    }
    if (zone->resolver_count == 0)
        return err_set(err, -EINVAL, "%s: '%s' has no name server", flag, zone->name);
    return 0;
}

static int read_zone_list(const char *flag, const char *at, bool may_overlap, const struct dns_options *o,
                          struct dns_lists *out, struct err *err)
{
    struct piece p;
    while (at && at[0] != '\0' && next_piece(&at, ';', &p)) {
        const char *equals = memchr(p.text, '=', p.len);
        struct dns_forward_zone *zone = &out->zones[out->zone_count];
        if (out->zone_count == DNS_FORWARD_ZONES_MAX)
            return err_set(err, -EINVAL, "%s: more than %d zones", flag, DNS_FORWARD_ZONES_MAX);
        size_t name_len = equals ? (size_t)(equals - p.text) : 0;
        if (!equals || name_len > DNS_NAME_MAX)
            return err_set(err, -EINVAL, "%s: '%.*s' is not zone=ip,...", flag, (int)p.len, p.text);
        *zone = (struct dns_forward_zone){0};
        memcpy(zone->name, p.text, name_len);
        char *list = xstrndup(equals + 1, p.len - name_len - 1);
        int result = list[0] != '\0' ? read_resolvers(flag, list, zone, err) : 0;
        free(list);
        result = result < 0 ? result : check_zone(flag, may_overlap, o, out, zone, err);
        if (result < 0)
            return result;
        out->zone_count++;
    }
    return 0;
}

static int read_zones(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    int result = 0;
    out->zone_count = 1;
    if (o->resolvers && o->resolvers[0] != '\0')
        result = read_resolvers("--resolvers", o->resolvers, &out->zones[0], err);
    result = result < 0 ? result : read_zone_list("--zone_resolvers", o->zone_resolvers, false, o, out, err);
    return result < 0 ? result : read_zone_list("--forward_zones", o->forward_zones, true, o, out, err);
}

static int read_public_ips(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    const char *at = o->public_ips && o->public_ips[0] != '\0' ? o->public_ips : NULL;
    struct piece p;
    while (next_piece(&at, ',', &p)) {
        if (out->public_ip_count == CLUSTER_IPS_MAX)
            return err_set(err, -EINVAL, "--public_ips: more than %d", CLUSTER_IPS_MAX);
        if (parse_ip(p.text, p.len, &out->public_ips[out->public_ip_count++]) < 0)
            return err_set(err, -EINVAL, "--public_ips: '%.*s' is not an address", (int)p.len, p.text);
    }
    return 0;
}

static int read_allow(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    const char *at = o->allow;
    struct piece p;
    while (at && next_piece(&at, ',', &p)) {
        const char *slash = memchr(p.text, '/', p.len);
        size_t ip_len = slash ? (size_t)(slash - p.text) : p.len;
        struct dns_network n;
        uint16_t bits = 0;
        if (out->allow_count == DNS_ALLOW_MAX)
            return err_set(err, -EINVAL, "--allow: more than %d networks", DNS_ALLOW_MAX);
        if (parse_ip(p.text, ip_len, &n.ip) < 0 || (slash && parse_port(slash + 1, p.len - ip_len - 1, 0, &bits) < 0) ||
            bits > n.ip.size * 8)
            return err_set(err, -EINVAL, "--allow: '%.*s' is not ip/bits", (int)p.len, p.text);
        n.bits = slash ? bits : n.ip.size * 8u;
        out->allow[out->allow_count++] = n;
    }
    return 0;
}

static int read_sources(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    static const char *const names[] = {"netinfo", "mesos", "docker", "host"}; /* enum dns_cluster_source */
    const char *at = o->ip_sources;
    struct piece p;
    while (at && next_piece(&at, ',', &p)) {
        size_t i = 0;
        while (i < CLUSTER_SOURCES && (strlen(names[i]) != p.len || memcmp(names[i], p.text, p.len) != 0))
            i++;
        if (i == CLUSTER_SOURCES || out->source_count == CLUSTER_SOURCES)
            return err_set(err, -EINVAL, "--ip_sources: '%.*s' is none of netinfo, mesos, docker, host, or one too many",
                           (int)p.len, p.text);
        out->sources[out->source_count++] = (enum dns_cluster_source)i;
    }
    return out->source_count > 0 ? 0 : err_set(err, -EINVAL, "--ip_sources is empty");
}

int dns_options_check(const struct dns_options *o, struct dns_lists *out, struct err *err)
{
    uint8_t wire[DNS_NAME_MAX];
    enum log_level level;
    memset(out, 0, sizeof(*out));
    if (log_parse_level(o->logging_level, &level) < 0)
        return err_set(err, -EINVAL, "--logging_level=%s is none of debug, info, warning, error", o->logging_level);
    if (!is_domain(o->domain))
        return err_set(err, -EINVAL, "--domain: '%s' is not a domain", o->domain);
    if (dns_name_from_text(o->soa_mname, wire) == 0 || dns_name_from_text(o->soa_rname, wire) == 0)
        return err_set(err, -EINVAL, "--soa_mname and --soa_rname must be names");
    if (parse_ip(o->ip, strlen(o->ip), &out->ip) < 0)
        return err_set(err, -EINVAL, "--ip=%s is not an address", o->ip);
    struct dns_ip http_ip;
    if (o->http_ip && parse_ip(o->http_ip, strlen(o->http_ip), &http_ip) < 0)
        return err_set(err, -EINVAL, "--http_ip=%s is not an address", o->http_ip);
    out->node_ip = out->ip;
    if (o->node_ip && parse_ip(o->node_ip, strlen(o->node_ip), &out->node_ip) < 0)
        return err_set(err, -EINVAL, "--node_ip=%s is not an address", o->node_ip);
    if (o->cluster_key && (!is_domain(o->cluster_key) || strchr(o->cluster_key, '.')))
        return err_set(err, -EINVAL, "--cluster_key=%s is not a key in z-base-32", o->cluster_key);
    if (vip_range_parse(o->vip_range, &out->vip_range) < 0)
        return err_set(err, -EINVAL, "--vip_range=%s is not a.b.c.d/bits or a.b.c.d-a.b.c.d", o->vip_range);
    int result = read_masters(o, out, err);
    result = result < 0 ? result : read_zones(o, out, err);
    result = result < 0 ? result : read_allow(o, out, err);
    result = result < 0 ? result : read_public_ips(o, out, err);
    return result < 0 ? result : read_sources(o, out, err);
}

size_t dns_options_resolv_conf(const char *text, struct dns_endpoint *out, size_t max)
{
    size_t count = 0;
    while (*text != '\0' && count < max) {
        size_t line = strcspn(text, "\n"), skip = strspn(text, " \t");
        if (line > skip + 10 && strncmp(text + skip, "nameserver", 10) == 0) {
            const char *at = text + skip + 10;
            at += strspn(at, " \t");
            size_t len = strcspn(at, " \t\r\n#;");
            if (dns_endpoint_parse(at, len, 53, &out[count]) == 0)
                count++;
        }
        text += line + (text[line] == '\n');
    }
    return count;
}
