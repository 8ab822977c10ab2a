/* SPDX-License-Identifier: Apache-2.0
 * nft_wire.h - talking with the kernel's netfilter over netlink: batches that are carried out whole or not at all, and
 * listings. Each call returns when the kernel has answered, which it does inside the call. */
#pragma once

#include <libmnl/libmnl.h>
#include <stdint.h>

#include "common/base/err.h"

/* No message is longer: that is what one may put between nft_batch_message and nft_batch_end_message. Attributes cannot
 * hold more either. */
#define NFT_MESSAGE_BYTES_MAX (60u << 10)

struct nft_socket {
    struct mnl_socket *link;
    uint32_t port, sequence;
    uint8_t *answer; /* of NFT_ANSWER_BYTES */
};

/* groups: NETLINK groups to listen to, as bits; 0: none. */
int nft_socket_open(struct nft_socket *s, struct err *err);
void nft_socket_close(struct nft_socket *s);

/* The next datagram, into s->answer. Its bytes or a negative errno. flags: of recv. */
ssize_t nft_receive(struct nft_socket *s, int flags);

struct nft_batch {
    uint8_t *data;
    size_t len, capacity;
    uint32_t sequence;
    struct nlmsghdr *open; /* the message being written */
};

void nft_batch_init(struct nft_batch *b);
void nft_batch_deinit(struct nft_batch *b);
/* Valid until nft_batch_end_message. type is one of nf_tables. */
struct nlmsghdr *nft_batch_message(struct nft_batch *b, uint16_t type, uint16_t flags);
void nft_batch_end_message(struct nft_batch *b);

/* Carries the batch out. 0, or the first error with the name of the object in err; nothing is changed then. is_trial: the
 * kernel checks it, and changes nothing either way. */
int nft_batch_send(struct nft_socket *s, struct nft_batch *b, bool is_trial, struct err *err);

/* A request of its own. flags: NLM_F_DUMP for listings, NLM_F_ACK for changes. Returns 0, or what each returned if not 0
 * (it is not called again then), or a negative errno; -EINTR: the list changed meanwhile. The answer is read to its end in
 * any case, so that the next request gets its own. */
typedef int (*nft_each_fn)(void *ctx, const struct nlmsghdr *message);
struct nlmsghdr *nft_request(struct nft_socket *s, uint16_t subsystem, uint16_t type, uint8_t family, uint16_t flags,
                             void *buffer);
int nft_ask(struct nft_socket *s, const struct nlmsghdr *request, nft_each_fn each, void *ctx);
/* Several requests for one thing each, one behind the other in requests as nft_request made them. each is called with the
 * item of its request, in an array of so many bytes each; not for those that are not there. 0 or the first other error. */
int nft_ask_many(struct nft_socket *s, const void *requests, size_t len, size_t count, nft_each_fn each, void *items,
                 size_t item_bytes);

/* An answer as it comes in, datagram by datagram. The first three are set before; result and is_over are zero. */
struct nft_answer {
    const struct nlmsghdr *request;
    nft_each_fn each; /* may be NULL */
    void *ctx;
    int result;
    bool is_over;
};
void nft_answer_take(struct nft_answer *a, const void *datagram, size_t len);
#define NFT_REQUEST_BYTES 1024u

/* The nf_tables generation: every change by anybody makes it grow. */
int nft_generation(struct nft_socket *s, uint32_t *out);

/* Is there a whole message in the bytes that are left? mnl_nlmsg_ok takes lengths beyond 2 GiB for negative ones, which
 * fit. */
static inline bool nft_message_ok(const struct nlmsghdr *m, int left)
{
    return left >= (int)sizeof(*m) && m->nlmsg_len >= sizeof(*m) && m->nlmsg_len <= (uint32_t)left;
}

/* Attributes of a message or a nest by type, those above max are left out. NULL where there is none. */
void nft_attributes(const struct nlmsghdr *message, const struct nlattr **out, uint16_t max);
void nft_nested(const struct nlattr *nest, const struct nlattr **out, uint16_t max);
static inline bool nft_attribute_is(const struct nlattr *a, size_t len)
{
    return a != NULL && mnl_attr_get_payload_len(a) == len;
}
/* Is the text of an attribute this? */
bool nft_attribute_says(const struct nlattr *a, const char *text);
