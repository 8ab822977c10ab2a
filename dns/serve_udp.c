/* SPDX-License-Identifier: Apache-2.0
 * serve_udp.c - UDP: one socket and one thread each, the kernel spreads clients over them (SO_REUSEPORT). A thread takes a
 * batch, answers it from one snapshot, sends the batch. Threads share nothing that changes but the snapshot pointer. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/check.h"
#include "dns/serve.h"

#define RECEIVE_BUFFER_BYTES (4 << 20)
#define OUT_BYTES 4096
/* Not a multiple of the page size, so that the buffers of a batch do not fall into the same lines of the first cache. */
#define OUT_STRIDE (OUT_BYTES + 192)
#define IN_STRIDE (SERVE_UDP_QUERY_MAX + 64)
#define BUCKETS 4096 /* clients whose rate is known, per thread */
#define WAYS 4
#define CONTROL_BYTES CMSG_SPACE(sizeof(struct in6_pktinfo))

struct bucket {
    uint64_t client;
    uint32_t last_ms;
    uint32_t tokens;
};

/* A question on its way to the loop. */
struct job {
    struct job *next;
    struct dns_serve_udp *owner;
    struct dns_serve_question question;
    uint8_t packet[];
};

enum {
    COUNT_QUERIES,
    COUNT_ANSWERS,
    COUNT_DENIALS,
    COUNT_ERRORS,
    COUNT_FORWARDED,
    COUNT_REFUSED,
    COUNT_DROPPED,
    COUNT_LIMITED,
    COUNTS
};

struct worker {
    _Alignas(64) struct dns_serve_udp *owner;
    unsigned index;
    int fd;
    pthread_t thread;
    bool is_running;
    struct dns_query_engine engine;
    uint64_t counts[COUNTS];        /* the thread's */
    _Atomic uint64_t shown[COUNTS]; /* copied after each batch, for others to read */
    struct job *jobs, **last_job;   /* of the present batch */
    struct mmsghdr in[SERVE_UDP_BATCH], out[SERVE_UDP_BATCH];
    struct iovec in_io[SERVE_UDP_BATCH], out_io[SERVE_UDP_BATCH];
    union dns_serve_address peers[SERVE_UDP_BATCH];
    _Alignas(16) uint8_t control[SERVE_UDP_BATCH][CONTROL_BYTES];
    uint8_t in_bytes[SERVE_UDP_BATCH][IN_STRIDE];
    uint8_t out_bytes[SERVE_UDP_BATCH][OUT_STRIDE];
    struct dns_query queries[SERVE_UDP_BATCH];
    _Alignas(64) struct bucket buckets[BUCKETS];
};

struct dns_serve_udp {
    struct dns_serve_config config;
    uint16_t port;
    bool has_all_addresses;
    _Atomic bool is_stopping;
    _Atomic unsigned pending; /* jobs between the threads and the loop */
    unsigned count;
    struct worker *workers[ZONE_READERS_MAX];
};

/* -- addresses -------------------------------------------------------------------------------------------------- */

struct dns_ip dns_serve_ip(const union dns_serve_address *address)
{
    struct dns_ip ip = {.size = 4};
    if (address->any.sa_family == AF_INET) {
        memcpy(ip.bytes, &address->v4.sin_addr, 4);
    } else if (IN6_IS_ADDR_V4MAPPED(&address->v6.sin6_addr)) {
        memcpy(ip.bytes, address->v6.sin6_addr.s6_addr + 12, 4);
    } else {
        ip.size = 16;
        memcpy(ip.bytes, &address->v6.sin6_addr, 16);
    }
    return ip;
}

socklen_t dns_serve_sockaddr(const struct dns_ip *ip, uint16_t port, union dns_serve_address *out)
{
    memset(out, 0, sizeof(*out));
    if (ip->size == 4) {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(port);
        memcpy(&out->v4.sin_addr, ip->bytes, 4);
        return sizeof(out->v4);
    }
    out->v6.sin6_family = AF_INET6;
    out->v6.sin6_port = htons(port);
    memcpy(&out->v6.sin6_addr, ip->bytes, 16);
    return sizeof(out->v6);
}

static bool is_loopback(const struct dns_ip *ip)
{
    static const uint8_t loopback6[16] = {[15] = 1};
    return ip->size == 4 ? ip->bytes[0] == 127 : memcmp(ip->bytes, loopback6, 16) == 0;
}

/* -- control messages: which of our addresses was asked --------------------------------------------------------- */

static struct dns_ip asked_address(struct msghdr *m)
{
    struct dns_ip ip = {0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ip.size = 4;
            memcpy(ip.bytes, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ip.size = 16;
            memcpy(ip.bytes, &info.ipi6_addr, 16);
        }
    }
    return ip;
}

/* Makes the answer leave from that address; the route decides about the interface. */
static void answer_from(struct msghdr *m, uint8_t control[CONTROL_BYTES], const struct dns_ip *local)
{
    m->msg_control = NULL;
    m->msg_controllen = 0;
    if (local->size == 0)
        return;
    memset(control, 0, CONTROL_BYTES);
    m->msg_control = control;
    m->msg_controllen = local->size == 4 ? CMSG_SPACE(sizeof(struct in_pktinfo)) : CMSG_SPACE(sizeof(struct in6_pktinfo));
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    if (local->size == 4) {
        struct in_pktinfo info = {0};
        memcpy(&info.ipi_spec_dst, local->bytes, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    } else {
        struct in6_pktinfo info = {0};
        memcpy(&info.ipi6_addr, local->bytes, 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(c), &info, sizeof(info));
    }
}

/* -- limits ----------------------------------------------------------------------------------------------------- */

static uint32_t coarse_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t); /* cannot fail */
    return (uint32_t)((uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000);
}

static uint32_t filled(const struct bucket *b, int64_t limit, uint32_t now_ms)
{
    uint32_t passed_ms = now_ms - b->last_ms;
    uint64_t tokens = passed_ms > 1000 ? (uint64_t)limit : b->tokens + (uint64_t)limit * passed_ms / 1000;
    return tokens < (uint64_t)limit ? (uint32_t)tokens : (uint32_t)limit;
}

/* A token bucket per client, one second deep. Four of them are one line of the cache, and where a client's is depends on
 * the seed. A new client takes the fullest of its four, which is no loss to whom it belonged: forging other addresses does
 * not make anybody's empty bucket full again. */
static bool is_over_limit(struct worker *w, const struct dns_ip *ip, uint32_t now_ms)
{
    uint64_t client = 0;
    int64_t limit = w->owner->config.rate_limit;
    memcpy(&client, ip->bytes, ip->size == 4 ? 4 : 8); /* of IPv6 the network: a client has a whole one */
    uint64_t hash = dns_hash_mix(client ^ w->owner->config.seed, UINT64_C(0x9e3779b97f4a7c15));
    struct bucket *set = &w->buckets[hash % (BUCKETS / WAYS) * WAYS], *b = NULL, *fullest = set;
    uint32_t most = 0;
    for (unsigned i = 0; i < WAYS && !b; i++) {
        uint32_t tokens = filled(&set[i], limit, now_ms);
        if (set[i].client == client)
            b = &set[i];
        if (tokens > most) {
            most = tokens;
            fullest = &set[i];
        }
    }
    if (!b) {
        b = fullest;
        *b = (struct bucket){client, now_ms, (uint32_t)limit};
    } else if (now_ms != b->last_ms) {
        uint32_t tokens = filled(b, limit, now_ms);
        /* Without a whole token the time goes on counting. */
        b->last_ms = tokens > b->tokens || tokens == (uint32_t)limit ? now_ms : b->last_ms;
        b->tokens = tokens;
    }
    if (b->tokens == 0)
        return true;
    b->tokens--;
    return false;
}

/* -- the thread ------------------------------------------------------------------------------------------------- */

static void add_job(struct worker *w, unsigned i, const struct dns_question *q, size_t len, const struct dns_ip *local)
{
    struct dns_serve_udp *s = w->owner;
    if (atomic_fetch_add(&s->pending, 1) >= SERVE_UDP_PENDING_MAX) {
        atomic_fetch_sub(&s->pending, 1);
        w->counts[COUNT_DROPPED]++;
        return;
    }
    struct job *job = xmalloc(sizeof(*job) + len);
    memcpy(job->packet, w->in_bytes[i], len);
    job->next = NULL;
    job->owner = s;
    job->question = (struct dns_serve_question){
        .client = {.worker = w->index, .peer = w->peers[i], .local = *local}, .q = *q, .packet = job->packet, .len = len};
    *w->last_job = job;
    w->last_job = &job->next;
    w->counts[COUNT_FORWARDED]++;
}

static void run_jobs(void *ctx)
{
    for (struct job *job = ctx, *next; job; job = next) {
        struct dns_serve_udp *s = job->owner;
        next = job->next;
        atomic_fetch_sub(&s->pending, 1);
        if (!atomic_load(&s->is_stopping))
            s->config.forward(s->config.ctx, &job->question);
        free(job);
    }
}

/* Answers packet i of the batch; true when there is something to send, in out_bytes[slot]. */
static bool answer_one(struct worker *w, const struct dns_zone_snapshot *snapshot, unsigned i, unsigned slot,
                       uint32_t now_ms, size_t *out_len)
{
    const struct dns_serve_config *config = &w->owner->config;
    struct msghdr *m = &w->in[i].msg_hdr;
    struct dns_ip ip = dns_serve_ip(&w->peers[i]), local = {0};
    const struct dns_query *query = &w->queries[i];
    w->counts[COUNT_QUERIES]++;
    if ((m->msg_flags & MSG_TRUNC) || w->peers[i].any.sa_family == AF_UNSPEC) {
        w->counts[COUNT_DROPPED]++;
        return false;
    }
    if (w->owner->has_all_addresses)
        local = asked_address(m);
    bool is_limited = config->rate_limit > 0 && !is_loopback(&ip) && is_over_limit(w, &ip, now_ms);
    bool is_allowed = dns_network_has(config->allow, config->allow_count, &ip);
    if (is_limited || !is_allowed) {
        w->counts[is_limited ? COUNT_LIMITED : COUNT_REFUSED]++;
        /* Every other answer over the limit says "by TCP", which only who is at that address can follow. */
        if (query->rcode == DNS_E_DROP || (is_limited && (w->counts[COUNT_LIMITED] & 1)))
            return false;
        *out_len = is_allowed ? dns_answer_error(w->in_bytes[i], &query->q, DNS_TC, DNS_NOERROR, w->out_bytes[slot])
                              : dns_answer_error(w->in_bytes[i], &query->q, 0, DNS_REFUSED, w->out_bytes[slot]);
    } else {
        enum dns_query_verdict verdict =
            dns_query_finish(&w->engine, snapshot, query, w->in_bytes[i], false, w->out_bytes[slot], out_len);
        if (verdict == QUERY_FORWARD)
            add_job(w, i, &query->q, w->in[i].msg_len, &local);
        else if (verdict == QUERY_DROP)
            w->counts[COUNT_DROPPED]++;
        if (verdict != QUERY_ANSWER)
            return false;
    }
    struct msghdr *out = &w->out[slot].msg_hdr;
    out->msg_name = m->msg_name;
    out->msg_namelen = m->msg_namelen;
    if (w->owner->has_all_addresses)
        answer_from(out, w->control[i], &local);
    return true;
}

static void answer_batch(struct worker *w, unsigned count)
{
    struct dns_serve_udp *s = w->owner;
    unsigned slot = 0, sent = 0;
    uint32_t now_ms = s->config.rate_limit > 0 ? coarse_ms() : 0;
    w->jobs = NULL;
    w->last_job = &w->jobs;
    const struct dns_zone_snapshot *snapshot = dns_zone_enter(s->config.publisher, w->index);
    for (unsigned i = 0; i < count; i++) {
        dns_query_read(snapshot, w->in_bytes[i], w->in[i].msg_len, &w->queries[i]);
        dns_zone_prefetch(snapshot, w->queries[i].hash, 0);
    }
    for (unsigned step = 1; step < 3; step++)
        for (unsigned i = 0; i < count; i++)
            dns_zone_prefetch(snapshot, w->queries[i].hash, step);
    for (unsigned i = 0; i < count; i++)
        slot += answer_one(w, snapshot, i, slot, now_ms, &w->out_io[slot].iov_len);
    dns_zone_leave(s->config.publisher, w->index);
    while (sent < slot) {
        int n = sendmmsg(w->fd, w->out + sent, slot - sent, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) { /* this one cannot be sent: its client asks again */
            w->counts[COUNT_DROPPED]++;
            n = 1;
        }
        sent += (unsigned)n;
    }
    if (w->jobs)
        loop_post(s->config.loop, run_jobs, w->jobs);
    w->counts[COUNT_ANSWERS] = w->engine.answers;
    w->counts[COUNT_DENIALS] = w->engine.denials;
    w->counts[COUNT_ERRORS] = w->engine.errors;
    for (unsigned c = 0; c < COUNTS; c++)
        atomic_store_explicit(&w->shown[c], w->counts[c], memory_order_relaxed);
}

static void *run(void *ctx)
{
    struct worker *w = ctx;
    unsigned used = SERVE_UDP_BATCH;
    while (!atomic_load_explicit(&w->owner->is_stopping, memory_order_relaxed)) {
        for (unsigned i = 0; i < used; i++) {
            w->in[i].msg_hdr.msg_namelen = sizeof(w->peers[i]);
            w->in[i].msg_hdr.msg_control = w->owner->has_all_addresses ? w->control[i] : NULL;
            w->in[i].msg_hdr.msg_controllen = w->owner->has_all_addresses ? CONTROL_BYTES : 0;
        }
        int n = recvmmsg(w->fd, w->in, SERVE_UDP_BATCH, MSG_WAITFORONE, NULL);
        used = n > 0 ? (unsigned)n : 0;
        if (n > 0)
            answer_batch(w, used);
        /* Errors are of single packets that others could not take (ICMP); the next call goes on. */
    }
    return NULL;
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

static bool is_any(const struct dns_ip *ip)
{
    static const uint8_t zero[16];
    return memcmp(ip->bytes, zero, ip->size) == 0;
}

static int open_socket(struct dns_serve_udp *s, struct err *err)
{
    union dns_serve_address address;
    int on = 1, off = 0, bytes = RECEIVE_BUFFER_BYTES, family = s->config.ip.size == 4 ? AF_INET : AF_INET6;
    socklen_t len = dns_serve_sockaddr(&s->config.ip, s->port, &address);
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(err, -errno, "UDP socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)); /* what the system allows is enough */
    int result = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0)
        result = err_sys(err, -errno, "UDP socket: SO_REUSEPORT");
    if (result == 0 && s->has_all_addresses) {
        if (family == AF_INET)
            result = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
        else
            result = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0 ||
                             setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)) < 0
                         ? -1
                         : 0;
        if (result < 0)
            result = err_sys(err, -errno, "UDP socket: address of the packet");
    }
    if (result == 0 && bind(fd, &address.any, len) < 0) {
        char text[64];
        (void)inet_ntop(family, s->config.ip.bytes, text, sizeof(text)); /* cannot fail */
        result = err_sys(err, -errno, "UDP %s port %u", text, s->port);
    }
    if (result < 0) {
        (void)close(fd);
        return result;
    }
    len = sizeof(address);
    if (s->port == 0 && getsockname(fd, &address.any, &len) == 0)
        s->port = ntohs(family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
    return fd;
}

static struct worker *worker_new(struct dns_serve_udp *s, unsigned index, int fd)
{
    struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) & ~(size_t)63);
    CHECK(w != NULL);
    memset(w, 0, sizeof(*w));
    w->owner = s;
    w->index = index;
    w->fd = fd;
    w->engine.config = s->config.query;
    if (w->engine.config.udp_bytes_max > OUT_BYTES)
        w->engine.config.udp_bytes_max = OUT_BYTES;
    rng_seed(&w->engine.rng, s->config.seed + index);
    for (unsigned i = 0; i < SERVE_UDP_BATCH; i++) {
        w->in_io[i] = (struct iovec){w->in_bytes[i], SERVE_UDP_QUERY_MAX};
        w->in[i].msg_hdr.msg_iov = &w->in_io[i];
        w->in[i].msg_hdr.msg_iovlen = 1;
        w->in[i].msg_hdr.msg_name = &w->peers[i];
        w->out_io[i] = (struct iovec){w->out_bytes[i], 0};
        w->out[i].msg_hdr.msg_iov = &w->out_io[i];
        w->out[i].msg_hdr.msg_iovlen = 1;
    }
    return w;
}

static int start_thread(struct worker *w)
{
    sigset_t all, before;
    char name[16];
    sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the loop's */
    int result = pthread_create(&w->thread, NULL, run, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0)
        return -result;
    w->is_running = true;
    (void)snprintf(name, sizeof(name), "dns-udp-%u", w->index);
    (void)pthread_setname_np(w->thread, name); /* only for people */
    return 0;
}

int dns_serve_udp_start(const struct dns_serve_config *config, struct dns_serve_udp **out, struct err *err)
{
    struct dns_serve_udp *s = xcalloc(1, sizeof(*s));
    int result = 0;
    CHECK(config->threads > 0 && config->threads < ZONE_READERS_MAX);
    s->config = *config;
    s->port = config->port;
    s->has_all_addresses = is_any(&config->ip);
    for (unsigned i = 0; i < config->threads && result >= 0; i++) { /* all sockets before any thread: no packet is lost */
        result = open_socket(s, err);
        if (result >= 0)
            s->workers[s->count++] = worker_new(s, i, result);
    }
    for (unsigned i = 0; i < s->count && result >= 0; i++) {
        result = start_thread(s->workers[i]);
        if (result < 0)
            (void)err_sys(err, result, "thread %u", i);
    }
    if (result < 0) {
        dns_serve_udp_stop(s);
        return result;
    }
    *out = s;
    return 0;
}

struct dns_serve_udp *dns_serve_udp_stop(struct dns_serve_udp *s)
{
    if (!s)
        return NULL;
    atomic_store(&s->is_stopping, true);
    for (unsigned i = 0; i < s->count; i++) {
        struct worker *w = s->workers[i];
        (void)shutdown(w->fd, SHUT_RD); /* "not connected", and it wakes the thread up all the same */
        if (w->is_running)
            (void)pthread_join(w->thread, NULL); /* it was created by us and not joined yet */
        (void)close(w->fd);
        free(w);
    }
    s->count = 0;
    if (atomic_load(&s->pending) > 0)
        return NULL; /* posted jobs still refer to it; they are few, and this is the end of the program */
    free(s);
    return NULL;
}

uint16_t dns_serve_udp_port(const struct dns_serve_udp *s)
{
    return s->port;
}

void dns_serve_udp_send(struct dns_serve_udp *s, const struct dns_serve_client *client, const void *packet, size_t len)
{
    _Alignas(16) uint8_t control[CONTROL_BYTES];
    union dns_serve_address peer = client->peer;
    struct iovec io = {(void *)(uintptr_t)packet, len}; /* only read */
    struct msghdr m = {.msg_name = &peer,
                       .msg_namelen = peer.any.sa_family == AF_INET ? sizeof(peer.v4) : sizeof(peer.v6),
                       .msg_iov = &io,
                       .msg_iovlen = 1};
    answer_from(&m, control, &client->local);
    (void)sendmsg(s->workers[client->worker]->fd, &m, MSG_DONTWAIT); /* what is lost is asked again */
}

void dns_serve_udp_counts(const struct dns_serve_udp *s, struct dns_serve_counts *out)
{
    uint64_t sums[COUNTS] = {0};
    for (unsigned i = 0; i < s->count; i++)
        for (unsigned c = 0; c < COUNTS; c++)
            sums[c] += atomic_load_explicit(&s->workers[i]->shown[c], memory_order_relaxed);
    *out = (struct dns_serve_counts){.queries = sums[COUNT_QUERIES],
                                     .answers = sums[COUNT_ANSWERS],
                                     .denials = sums[COUNT_DENIALS],
                                     .errors = sums[COUNT_ERRORS],
                                     .forwarded = sums[COUNT_FORWARDED],
                                     .refused = sums[COUNT_REFUSED],
                                     .dropped = sums[COUNT_DROPPED],
                                     .limited = sums[COUNT_LIMITED]};
}
