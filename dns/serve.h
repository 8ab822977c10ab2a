/* SPDX-License-Identifier: Apache-2.0
 * serve.h - sockets that questions come in by: UDP on threads of its own, TCP on the loop. They run the query engine, and
 * hand questions that it does not answer to a function on the loop's thread, which answers later by serve_*_send. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/port/loop.h"
#include "dns/options.h"
#include "dns/query.h"
#include "dns/zone.h"

union dns_serve_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Whom a forwarded answer goes to. A plain value: it may be kept for as long as one likes; by TCP the connection may be
 * gone when the answer comes. */
struct dns_serve_client {
    bool is_tcp;
    unsigned worker;              /* UDP: the socket it came in by */
    union dns_serve_address peer; /* UDP */
    struct dns_ip local;          /* UDP, when the socket has all addresses: the one that was asked */
    uint64_t connection;          /* TCP */
};

/* A question to forward; packet and q are borrowed. */
struct dns_serve_question {
    struct dns_serve_client client;
    struct dns_question q;
    const uint8_t *packet;
    size_t len;
};
typedef void (*serve_forward_fn)(void *ctx, const struct dns_serve_question *question);

struct dns_serve_config {
    struct loop *loop;
    struct dns_zone_publisher *publisher;
    struct dns_query_config query;
    struct dns_ip ip;
    uint16_t port;
    const struct dns_network *allow;
    size_t allow_count;
    uint64_t seed;
    serve_forward_fn forward; /* on the loop's thread */
    void *ctx;
    unsigned threads;        /* UDP: readers 0..threads-1 */
    int64_t rate_limit;      /* UDP answers a second, thread and client outside loopback; 0: none */
    size_t connections_max;  /* TCP */
    int64_t idle_timeout_ms; /* TCP */
    unsigned reader;         /* TCP: the loop's number as a reader */
};

struct dns_serve_counts {
    uint64_t queries, answers, denials, errors, forwarded, refused, dropped, limited;
};

/* The address of a peer without its port; v4-mapped ones as IPv4. */
struct dns_ip dns_serve_ip(const union dns_serve_address *address);
/* An address for bind or connect; returns its length. */
socklen_t dns_serve_sockaddr(const struct dns_ip *ip, uint16_t port, union dns_serve_address *out);

/* -- UDP ---------------------------------------------------------------------------------------------------------- */

#define SERVE_UDP_BATCH 64
#define SERVE_UDP_QUERY_MAX 1280   /* longer packets are no queries */
#define SERVE_UDP_PENDING_MAX 1024 /* questions between the threads and the loop; more are dropped */

struct dns_serve_udp;

/* Copies the config; what it points to is borrowed until stop. */
int dns_serve_udp_start(const struct dns_serve_config *config, struct dns_serve_udp **out, struct err *err);
struct dns_serve_udp *dns_serve_udp_stop(struct dns_serve_udp *s); /* joins the threads */
uint16_t dns_serve_udp_port(const struct dns_serve_udp *s);
void dns_serve_udp_send(struct dns_serve_udp *s, const struct dns_serve_client *client, const void *packet, size_t len);
void dns_serve_udp_counts(const struct dns_serve_udp *s, struct dns_serve_counts *out);

/* -- TCP ---------------------------------------------------------------------------------------------------------- */

#define SERVE_TCP_PENDING_MAX 32          /* forwarded questions of one connection; then it is not read */
#define SERVE_TCP_OUTPUT_MAX (256u << 10) /* unread answers of one connection; then it is not read */

struct dns_serve_tcp;

int dns_serve_tcp_start(const struct dns_serve_config *config, struct dns_serve_tcp **out, struct err *err);
struct dns_serve_tcp *dns_serve_tcp_stop(struct dns_serve_tcp *s);
void dns_serve_tcp_send(struct dns_serve_tcp *s, const struct dns_serve_client *client, const void *packet, size_t len);
void dns_serve_tcp_counts(const struct dns_serve_tcp *s, struct dns_serve_counts *out);
size_t dns_serve_tcp_connections(const struct dns_serve_tcp *s);
