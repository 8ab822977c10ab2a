/* SPDX-License-Identifier: Apache-2.0
 * follow.c - see follow.h.
 *
 *            tick                 opened               record: snapshot
 *   WAITING ------> CONNECTING ---------> STREAMING ------------------> CURRENT
 *      ^                |  ^ redirect         |                            |
 *      |                |--+                  |                            |
 *      +----------------+---------------------+----------------------------+   closed, broken, refused, silent */
#include "common/follow/follow.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/base/check.h"
#include "common/base/rng.h"

enum state { WAITING, CONNECTING, STREAMING, CURRENT };

struct follow {
    enum state state;
    char masters[FOLLOW_MASTERS_MAX][FOLLOW_ADDRESS_SIZE];
    size_t master_count, next_master;
    char address[FOLLOW_ADDRESS_SIZE];
    uint64_t connection;
    unsigned redirects;
    int64_t backoff_ms;
    int64_t deadline_ms;
    int64_t silence_ms; /* how long a stream may be silent */
    struct rng rng;
};

/* One that is too long is no address; cut, it leads nowhere. */
static void copy_address(char out[FOLLOW_ADDRESS_SIZE], const char *address)
{
    size_t len = strnlen(address, FOLLOW_ADDRESS_SIZE - 1);
    memcpy(out, address, len);
    out[len] = '\0';
}

struct follow *follow_new(const char *const *masters, size_t count, uint64_t seed)
{
    struct follow *f = xcalloc(1, sizeof(*f));
    for (size_t i = 0; i < count && i < FOLLOW_MASTERS_MAX; i++) {
        copy_address(f->masters[i], masters[i]);
        f->master_count++;
    }
    CHECK(f->master_count > 0);
    f->state = WAITING;
    f->deadline_ms = INT64_MIN;
    f->backoff_ms = FOLLOW_BACKOFF_MIN_MS;
    rng_seed(&f->rng, seed);
    return f;
}

struct follow *follow_free(struct follow *f)
{
    free(f);
    return NULL;
}

static void connect_to(struct follow *f, const char *address, int64_t now_ms, struct follow_effects *out)
{
    if (address != f->address)
        copy_address(f->address, address);
    f->state = CONNECTING;
    f->deadline_ms = now_ms + FOLLOW_ANSWER_MS;
    out->connect = true;
    out->connection = ++f->connection;
    out->address = f->address;
}

/* Somebody else is asked after a while; soon at first, because another master may lead already. */
static void wait(struct follow *f, int64_t now_ms)
{
    f->state = WAITING;
    f->redirects = 0;
    f->deadline_ms = now_ms + f->backoff_ms / 2 + (int64_t)rng_below(&f->rng, (uint64_t)f->backoff_ms / 2 + 1);
    f->backoff_ms = f->backoff_ms * 2 < FOLLOW_BACKOFF_MAX_MS ? f->backoff_ms * 2 : FOLLOW_BACKOFF_MAX_MS;
}

/* host:port of "//host:port/path" or "http://host:port/path". False: not such a text. */
static bool read_location(const char *location, char address[FOLLOW_ADDRESS_SIZE])
{
    if (!location)
        return false;
    if (strncasecmp(location, "http:", 5) == 0)
        location += 5;
    if (strncmp(location, "//", 2) != 0)
        return false;
    size_t len = strcspn(location + 2, "/?#");
    if (len == 0 || len >= FOLLOW_ADDRESS_SIZE || !memchr(location + 2, ':', len))
        return false;
    memcpy(address, location + 2, len);
    address[len] = '\0';
    return true;
}

static void on_answer(struct follow *f, const struct follow_event *in, struct follow_effects *out)
{
    char address[FOLLOW_ADDRESS_SIZE];
    bool is_redirect = in->status == 307 || in->status == 302 || in->status == 301 || in->status == 308;
    if (is_redirect && f->redirects < FOLLOW_REDIRECTS_MAX && read_location(in->location, address)) {
        f->redirects++;
        connect_to(f, address, in->now_ms, out);
    } else {
        wait(f, in->now_ms);
    }
}

static void on_tick(struct follow *f, int64_t now_ms, struct follow_effects *out)
{
    if (now_ms < f->deadline_ms)
        return;
    if (f->state == WAITING) {
        const char *master = f->masters[f->next_master];
        f->next_master = (f->next_master + 1) % f->master_count;
        connect_to(f, master, now_ms, out);
    } else { /* nothing was heard in time */
        out->close = true;
        wait(f, now_ms);
    }
}

void follow_step(struct follow *f, const struct follow_event *in, struct follow_effects *out)
{
    *out = (struct follow_effects){0};
    if (in->type == FOLLOW_TICK) {
        on_tick(f, in->now_ms, out);
        return;
    }
    if (in->connection != f->connection || f->state == WAITING)
        return;
    switch (in->type) {
    case FOLLOW_ANSWER:
        on_answer(f, in, out);
        break;
    case FOLLOW_OPENED:
        f->state = STREAMING;
        f->silence_ms = FOLLOW_ANSWER_MS;
        f->deadline_ms = in->now_ms + f->silence_ms;
        break;
    case FOLLOW_RECORD:
        if (in->is_snapshot) {
            double seconds = in->heartbeat_seconds >= 0.1 && in->heartbeat_seconds <= 3600 ? in->heartbeat_seconds : 15;
            f->state = CURRENT;
            f->redirects = 0;
            f->backoff_ms = FOLLOW_BACKOFF_MIN_MS;
            f->silence_ms = (int64_t)(3 * seconds * 1000);
        }
        f->deadline_ms = in->now_ms + f->silence_ms;
        break;
    case FOLLOW_BROKEN:
        out->close = true;
        wait(f, in->now_ms);
        break;
    case FOLLOW_CLOSED:
    default:
        wait(f, in->now_ms);
        break;
    }
}

int64_t follow_next_deadline(const struct follow *f)
{
    return f->deadline_ms;
}

bool follow_is_current(const struct follow *f)
{
    return f->state == CURRENT;
}

const char *follow_address(const struct follow *f)
{
    return f->address;
}
