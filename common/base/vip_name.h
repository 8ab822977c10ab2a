/* SPDX-License-Identifier: Apache-2.0
 * vip_name.h - named virtual addresses: how a label becomes a name, a name an address, and a set of names a set of distinct
 * addresses (facts: net-cron B.3, C.1, C.3). DNS and the balancer run in different processes, on many nodes, and must agree
 * without talking: every answer here depends on the set of names alone, never on the order in which they came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIP_LABEL_MAX 63
#define VIP_NAME_MAX 255

/* One DNS label as DC/OS makes it: lower case, [-_.] become '-', everything else is dropped, at most 63, neither starts nor
 * ends with '-'. May be empty. out gets a terminator; returns the length. */
size_t vip_label(const char *text, size_t len, char out[VIP_LABEL_MAX + 1]);
/* Each part between dots by vip_label, empty ones left out. Returns the length; what does not fit is left out. */
size_t vip_domain_fragment(const char *text, size_t len, char out[VIP_NAME_MAX + 1]);
/* The name of a VIP without its zone: label "/api.web" of framework "marathon" gives "api.web.marathon". 0, or -EINVAL when
 * nothing is left of the label, or it is too long. */
int vip_name_clean(const char *label, const char *framework, char out[VIP_NAME_MAX + 1]);

/* The value of a VIP label, "<name or IP>:<port>", split at the last colon. */
struct vip_value {
    bool is_ip;
    uint8_t ip[16]; /* 4 bytes of it for IPv4 */
    bool is_ipv6;
    const char *name; /* of a named one, as written; points into the text, name_len bytes */
    size_t name_len;
    uint16_t port;
};
/* 0 or -EINVAL. */
int vip_value_parse(const char *text, struct vip_value *out);
/* Is it a key of a discovery port that declares a VIP? Exactly the prefixes "VIP" and "vip". */
bool vip_is_port_label(const char *key);
/* Is it the task label `vip_port<index>`, in any case? */
bool vip_is_task_label(const char *key, unsigned *index);

/* Portable hash of Erlang for a byte string. */
uint32_t vip_phash2(const void *data, size_t len);

/* IPv4 addresses in host byte order; a name gets first + hash mod (last - first), so that last itself is never given. */
struct vip_range {
    uint32_t first, last;
};
#define VIP_RANGE_MACHINE ((struct vip_range){0x7f400000, 0x7f7fffff}) /* 127.64.0.0/10: local on any machine */
#define VIP_RANGE_CLUSTER ((struct vip_range){0x0b000000, 0x0bffffff}) /* 11.0.0.0/8, as DC/OS is configured */
/* "a.b.c.d/bits" or "a.b.c.d-a.b.c.d"; 0 or -EINVAL (a range has at least 16 addresses). */
int vip_range_parse(const char *text, struct vip_range *out);
/* The address a name has when nobody else wants it. */
uint32_t vip_name_address4(const char *name, struct vip_range range);
/* fd01:c::/64 and SHA-1; collisions are not resolved (64 bits). */
void vip_name_address6(const char *name, uint8_t out[16]);

/* A set of names with an IPv4 address each. Two names that want the same address: the one whose name sorts first keeps it,
 * the other goes to the next address and meets whoever is there by the same rule, so that equal sets give equal tables. */
struct vip_names;

/* moved (may be NULL) tells of names in the set whose address changed because of others; inside add and remove. */
struct vip_names *vip_names_new(struct vip_range range, void (*moved)(void *ctx, const char *name, uint32_t address),
                                void *ctx);
struct vip_names *vip_names_free(struct vip_names *n);
/* Counted: a name leaves with its last remove. Add gives its address; -ENOSPC when the range is half full, -EINVAL for
 * names longer than VIP_NAME_MAX. */
int vip_names_add(struct vip_names *n, const char *name, uint32_t *address);
void vip_names_remove(struct vip_names *n, const char *name);
/* 0 or -ENOENT. */
int vip_names_find(const struct vip_names *n, const char *name, uint32_t *address);
size_t vip_names_count(const struct vip_names *n);
