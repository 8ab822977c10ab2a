/* SPDX-License-Identifier: Apache-2.0
 * proxy_tcp.c - connections: accept, find a back end that answers, carry bytes both ways, end as the ends do.
 *
 *        accept            connected             both ways ended
 *   ---> CONNECTING ---------> OPEN ------------------------------> closed
 *          |   ^ time-out,       |  an error on either side
 *          +---+ refused         +--> reset both
 *          next back end; none left: reset
 *
 * A batch of events first reads all that is small into the thread's buffer, then sends all of it: the same calls in another
 * order, which costs less than going to and fro between reading and sending, most of all with few connections. Bytes are
 * carried through the buffer as long as they are few; a way that fills it twice in a row gets a pipe and splices, so that
 * much data does not pass through user space. A way that cannot write keeps what it has and stops reading: that is one
 * buffer or one pipe at the most. Both sockets are edge-triggered and registered once; `readable` and `writable` say what
 * is known of them. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"
#include "lb/proxy.h"

#define ROUNDS_MAX 16 /* of one way before others get their turn */
#define FULL_READS_TO_SPLICE 2
#define BATCHED_MAX 4096      /* of one read; more is sent at once */
#define PIPE_SIZE (256 << 10) /* the kernel may give less */
#define PIPES_KEPT_MAX 64     /* empty ones, of a thread */
#define ACCEPTS_MAX 4         /* of one event, so that threads share a burst */
#define UNEVEN_MIN 4          /* connections that one thread may have more than another before it passes new ones on */

struct side {
    enum proxy_kind kind;
    int fd;
    bool readable, writable; /* until a call said otherwise */
    bool end_is_near;        /* the other end has closed: behind what is there comes the end, without another event */
    bool has_urgent;         /* urgent data came: reads stop short before it, and a splice does not get past it */
    bool has_ended;          /* nothing more to read */
    bool is_shut;            /* nothing more will be written */
    struct proxy_conn *conn;
};

struct way {
    struct proxy_pipe *pipe; /* while splicing */
    size_t in_pipe;
    uint8_t *rest; /* what could not be written yet */
    uint32_t rest_start, rest_len;
    bool is_batched; /* rest is in the thread's buffer and is sent at the end of the batch */
    uint8_t full_reads;
};

struct proxy_conn {
    struct list in_list;
    struct side client, server;
    struct way up, down; /* from the client, to the client */
    struct proxy_vip *vip;
    struct proxy_backend *tried[PROXY_TRIES_MAX]; /* with references; the last one is in use */
    uint8_t tried_count;
    bool is_open, is_dead;
    bool is_counted;     /* among the active ones of the last back end tried */
    int64_t deadline_ms; /* of the connect under way */
};

/* -- pipes ------------------------------------------------------------------------------------------------------- */

static struct proxy_pipe *take_pipe(struct proxy_worker *w)
{
    struct proxy_pipe *pipe = w->pipes;
    int fds[2];
    if (pipe != NULL) {
        w->pipes = pipe->next;
        w->pipe_count--;
        return pipe;
    }
    /* Pipes make it faster, connections make it work: an eighth of the descriptors is kept for those. */
    if (!proxy_take_descriptors(w->proxy, 2, w->proxy->config.descriptors_max / 8))
        return NULL;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        proxy_give_descriptors(w->proxy, 2);
        return NULL;
    }
    (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* a small one works too */
    pipe = xcalloc(1, sizeof(*pipe));
    pipe->read_fd = fds[0];
    pipe->write_fd = fds[1];
    return pipe;
}

static void give_pipe(struct proxy_worker *w, struct proxy_pipe *pipe, bool is_empty)
{
    if (is_empty && w->pipe_count < PIPES_KEPT_MAX) {
        pipe->next = w->pipes;
        w->pipes = pipe;
        w->pipe_count++;
        return;
    }
    (void)close(pipe->read_fd); /* nothing to be done about it */
    (void)close(pipe->write_fd);
    proxy_give_descriptors(w->proxy, 2);
    free(pipe);
}

/* -- the end ----------------------------------------------------------------------------------------------------- */

static void close_side(struct proxy_worker *w, struct side *side, bool is_reset)
{
    if (side->fd < 0)
        return;
    if (is_reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(side->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)); /* then it is closed in order */
    }
    (void)close(side->fd); /* nothing to be done about it */
    side->fd = -1;
    proxy_give_descriptors(w->proxy, 1);
}

static void free_way(struct proxy_worker *w, struct way *way)
{
    if (way->pipe != NULL)
        give_pipe(w, way->pipe, way->in_pipe == 0);
    if (!way->is_batched)
        free(way->rest);
    way->is_batched = false;
    way->pipe = NULL;
    way->rest = NULL;
}

static void uncount(struct proxy_conn *conn)
{
    if (conn->is_counted)
        atomic_fetch_sub_explicit(&conn->tried[conn->tried_count - 1]->count.active, 1, memory_order_relaxed);
    conn->is_counted = false;
}

static void end_conn(struct proxy_worker *w, struct proxy_conn *conn, bool is_reset)
{
    if (conn->is_dead)
        return;
    close_side(w, &conn->client, is_reset);
    close_side(w, &conn->server, is_reset);
    free_way(w, &conn->up);
    free_way(w, &conn->down);
    uncount(conn);
    for (size_t i = 0; i < conn->tried_count; i++)
        proxy_backend_unref(conn->tried[i]);
    atomic_fetch_sub_explicit(&conn->vip->count.active, 1, memory_order_relaxed);
    proxy_vip_unref(conn->vip);
    conn->vip = NULL;
    conn->is_dead = true;
    atomic_fetch_sub_explicit(&w->connections, 1, memory_order_relaxed);
    list_remove(&conn->in_list);
    list_push_back(&w->dead, &conn->in_list);
}

void proxy_tcp_free_dead(struct proxy_worker *w)
{
    for (struct list *it = list_pop_front(&w->dead); it != NULL; it = list_pop_front(&w->dead))
        free(container_of(it, struct proxy_conn, in_list));
}

void proxy_tcp_end(struct proxy_worker *w)
{
    struct list *const lists[] = {&w->connecting, &w->ready, &w->batch, &w->open};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
        while (!list_is_empty(lists[i]))
            end_conn(w, container_of(lists[i]->next, struct proxy_conn, in_list), true);
    proxy_tcp_free_dead(w);
}

/* -- carrying bytes ---------------------------------------------------------------------------------------------- */

enum outcome { MOVED, BLOCKED, FAILED };

/* Before they are passed on: who has received something may rely on its having been counted. */
static void count_bytes(const struct side *from, size_t bytes)
{
    struct proxy_conn *conn = from->conn;
    struct proxy_count *vip = &conn->vip->count, *backend = &conn->tried[conn->tried_count - 1]->count;
    bool is_in = from->kind == PROXY_CLIENT;
    atomic_fetch_add_explicit(is_in ? &vip->bytes_in : &vip->bytes_out, bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(is_in ? &backend->bytes_in : &backend->bytes_out, bytes, memory_order_relaxed);
}

static enum outcome flush_rest(struct side *to, struct way *way)
{
    ssize_t n = send(to->fd, way->rest + way->rest_start, way->rest_len, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            return FAILED;
        to->writable = false;
        return BLOCKED;
    }
    way->rest_start += (uint32_t)n;
    way->rest_len -= (uint32_t)n;
    if (way->rest_len > 0) {
        to->writable = false; /* a short write: the socket is full, and will tell */
        return BLOCKED;
    }
    free(way->rest);
    way->rest = NULL;
    return MOVED;
}

static enum outcome flush_pipe(struct side *to, struct way *way)
{
    while (way->in_pipe > 0) {
        ssize_t n = splice(way->pipe->read_fd, NULL, to->fd, NULL, way->in_pipe, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n < 0 && errno == EAGAIN) {
            to->writable = false;
            return BLOCKED;
        }
        if (n <= 0)
            return FAILED;
        way->in_pipe -= (size_t)n;
    }
    return MOVED;
}

static enum outcome note_end_of_read(struct side *from, ssize_t n)
{
    if (n == 0) {
        from->has_ended = true;
        return MOVED; /* the next round passes it on */
    }
    if (errno != EAGAIN)
        return FAILED;
    from->readable = false;
    return BLOCKED;
}

static void stop_splicing(struct proxy_worker *w, struct way *way)
{
    give_pipe(w, way->pipe, true);
    way->pipe = NULL;
    way->full_reads = 0;
}

static enum outcome move_spliced(struct proxy_worker *w, struct side *from, struct side *to, struct way *way,
                                 uint64_t *moved)
{
    ssize_t n = splice(from->fd, NULL, way->pipe->write_fd, NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (n == 0) { /* the end, or urgent data before the end: recv knows */
        stop_splicing(w, way);
        return MOVED;
    }
    if (n < 0)
        return note_end_of_read(from, n);
    way->in_pipe = (size_t)n;
    *moved += (uint64_t)n;
    count_bytes(from, (size_t)n);
    return flush_pipe(to, way);
}

/* What is in the thread's buffer must not stay there: what the socket does not take becomes the way's own. */
static enum outcome send_batched(struct side *to, struct way *way)
{
    ssize_t n = send(to->fd, way->rest, way->rest_len, MSG_NOSIGNAL);
    way->is_batched = false;
    if (n == (ssize_t)way->rest_len) {
        way->rest = NULL;
        return MOVED;
    }
    if (n < 0 && errno != EAGAIN) {
        way->rest = NULL;
        return FAILED;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    way->rest_len -= (uint32_t)done;
    way->rest = xmemdup(way->rest + done, way->rest_len);
    to->writable = false;
    return BLOCKED;
}

static enum outcome move_copied(struct proxy_worker *w, struct side *from, struct side *to, struct way *way,
                                uint64_t *moved)
{
    uint8_t *bytes = w->buffer + w->batched;
    ssize_t n = recv(from->fd, bytes, PROXY_BUFFER_SIZE, 0);
    if (n <= 0)
        return note_end_of_read(from, n);
    *moved += (uint64_t)n;
    count_bytes(from, (size_t)n);
    if (n < (ssize_t)PROXY_BUFFER_SIZE) {
        from->readable = from->end_is_near || from->has_urgent; /* else a short read: empty, and what comes will tell */
        way->full_reads = 0;
    } else if (way->full_reads < FULL_READS_TO_SPLICE) {
        way->full_reads++;
    }
    way->rest = bytes;
    way->rest_start = 0;
    way->rest_len = (uint32_t)n;
    way->is_batched = true;
    if (n <= BATCHED_MAX && w->batched + (size_t)n <= PROXY_BATCH_SIZE) {
        w->batched += (size_t)n;
        return BLOCKED;
    }
    enum outcome outcome = send_batched(to, way);
    return outcome == MOVED && !from->readable ? BLOCKED : outcome;
}

static enum outcome move_once(struct proxy_worker *w, struct side *from, struct side *to, struct way *way, uint64_t *moved)
{
    if (way->is_batched)
        return BLOCKED;
    if (way->rest != NULL)
        return to->writable ? flush_rest(to, way) : BLOCKED;
    if (way->in_pipe > 0)
        return to->writable ? flush_pipe(to, way) : BLOCKED;
    if (from->has_ended) {
        bool is_last = from->is_shut; /* the other way has ended before: both are closed now, which says as much */
        if (!to->is_shut && !is_last && shutdown(to->fd, SHUT_WR) < 0)
            return FAILED;
        to->is_shut = true;
        return BLOCKED;
    }
    if (!from->readable || !to->writable)
        return BLOCKED;
    if (way->pipe != NULL && from->has_urgent)
        stop_splicing(w, way);
    if (way->full_reads >= FULL_READS_TO_SPLICE && way->pipe == NULL && !from->has_urgent)
        way->pipe = take_pipe(w);
    return way->pipe != NULL ? move_spliced(w, from, to, way, moved) : move_copied(w, from, to, way, moved);
}

/* Moves what there is, up to a fair share. MOVED: there may be more. */
static enum outcome move(struct proxy_worker *w, struct side *from, struct side *to, struct way *way)
{
    uint64_t moved = 0;
    enum outcome outcome = MOVED;
    if (to->is_shut)
        return BLOCKED;
    for (int round = 0; round < ROUNDS_MAX && outcome == MOVED; round++)
        outcome = move_once(w, from, to, way, &moved);
    if (outcome == BLOCKED && way->pipe != NULL && way->in_pipe == 0 && moved < PROXY_BUFFER_SIZE)
        stop_splicing(w, way); /* the flood is over */
    return outcome;
}

static void carry(struct proxy_worker *w, struct proxy_conn *conn)
{
    enum outcome up = move(w, &conn->client, &conn->server, &conn->up);
    enum outcome down = up == FAILED ? FAILED : move(w, &conn->server, &conn->client, &conn->down);
    if (down == FAILED) {
        end_conn(w, conn, true);
    } else if (conn->up.is_batched || conn->down.is_batched) {
        list_remove(&conn->in_list);
        list_push_back(&w->batch, &conn->in_list);
    } else if (conn->client.is_shut && conn->server.is_shut) {
        end_conn(w, conn, false);
    } else if (up == MOVED || down == MOVED) {
        list_remove(&conn->in_list);
        list_push_back(&w->ready, &conn->in_list);
    }
}

void proxy_tcp_run_ready(struct proxy_worker *w)
{
    struct list now;
    list_init(&now);
    for (struct list *it = list_pop_front(&w->ready); it != NULL; it = list_pop_front(&w->ready))
        list_push_back(&now, it);
    for (struct list *it = list_pop_front(&now); it != NULL; it = list_pop_front(&now)) {
        list_push_back(&w->open, it);
        carry(w, container_of(it, struct proxy_conn, in_list));
    }
}

/* Passes on what the batch has read for a connection. False: it has ended. */
static bool send_batch_of(struct proxy_worker *w, struct proxy_conn *conn)
{
    list_remove(&conn->in_list);
    list_push_back(&w->open, &conn->in_list);
    if ((conn->up.is_batched && send_batched(&conn->server, &conn->up) == FAILED) ||
        (conn->down.is_batched && send_batched(&conn->client, &conn->down) == FAILED)) {
        end_conn(w, conn, true);
        return false;
    }
    return true;
}

void proxy_tcp_send_batch(struct proxy_worker *w)
{
    while (!list_is_empty(&w->batch)) {
        struct proxy_conn *conn = container_of(w->batch.next, struct proxy_conn, in_list);
        if (send_batch_of(w, conn) && (conn->client.readable || conn->server.readable)) {
            list_remove(&conn->in_list);
            list_push_back(&w->ready, &conn->in_list);
        }
    }
    w->batched = 0;
}

/* -- finding a back end ------------------------------------------------------------------------------------------ */

static int watch(struct proxy_worker *w, struct side *side)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = &side->kind};
    return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, side->fd, &event);
}

/* The client is only listened to from here on: before, its words could not be passed on. */
static void on_connected(struct proxy_worker *w, struct proxy_conn *conn)
{
    struct proxy_backend *backend = conn->tried[conn->tried_count - 1];
    proxy_backend_worked(backend);
    atomic_fetch_add_explicit(&backend->count.connections, 1, memory_order_relaxed);
    conn->is_open = true;
    list_remove(&conn->in_list);
    list_push_back(&w->open, &conn->in_list);
    if (watch(w, &conn->client) < 0) {
        end_conn(w, conn, true);
        return;
    }
    conn->client.readable = conn->client.writable = true; /* the first event will tell what is not so */
    conn->server.writable = true;
    carry(w, conn);
}

static int start_connect(struct proxy_worker *w, struct proxy_conn *conn, const struct proxy_backend *backend)
{
    static const int on = 1;
    struct side *server = &conn->server;
    if (!proxy_take_descriptors(w->proxy, 1, 0))
        return -EMFILE;
    struct sockaddr_storage address;
    socklen_t address_len = lb_endpoint_to_sockaddr(&backend->at, &address);
    server->fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (server->fd < 0) {
        proxy_give_descriptors(w->proxy, 1);
        return -errno;
    }
    (void)setsockopt(server->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* slower without, no more */
    (void)setsockopt(server->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (connect(server->fd, (const struct sockaddr *)&address, address_len) < 0 && errno != EINPROGRESS)
        return -errno;
    return watch(w, server) < 0 ? -errno : 0;
}

/* Tries back ends until one is on its way; resets the client when there is none. */
static void connect_next(struct proxy_worker *w, struct proxy_conn *conn)
{
    while (conn->tried_count < PROXY_TRIES_MAX) {
        struct proxy_backend *backend = proxy_vip_pick(conn->vip, w, conn->tried, conn->tried_count);
        if (backend == NULL)
            break;
        conn->tried[conn->tried_count++] = backend;
        conn->is_counted = true;
        int result = start_connect(w, conn, backend);
        if (result == 0) {
            conn->deadline_ms = w->now_ms + w->proxy->config.connect_timeout_ms;
            list_remove(&conn->in_list);
            list_push_back(&w->connecting, &conn->in_list); /* all have the same time-out: the order is theirs */
            return;
        }
        close_side(w, &conn->server, false);
        uncount(conn);
        if (result != -EMFILE && result != -ENFILE && result != -ENOBUFS) /* that is ours, not the back end's */
            proxy_backend_failed(w, backend);
    }
    atomic_fetch_add_explicit(&conn->vip->count.failures, 1, memory_order_relaxed);
    end_conn(w, conn, true);
}

static void on_connect_failed(struct proxy_worker *w, struct proxy_conn *conn)
{
    close_side(w, &conn->server, false);
    uncount(conn);
    proxy_backend_failed(w, conn->tried[conn->tried_count - 1]);
    connect_next(w, conn);
}

int64_t proxy_tcp_deadline(const struct proxy_worker *w)
{
    if (list_is_empty(&w->connecting))
        return INT64_MAX;
    return container_of(w->connecting.next, struct proxy_conn, in_list)->deadline_ms;
}

void proxy_tcp_expire(struct proxy_worker *w)
{
    while (proxy_tcp_deadline(w) <= w->now_ms)
        on_connect_failed(w, container_of(w->connecting.next, struct proxy_conn, in_list));
}

/* -- events ------------------------------------------------------------------------------------------------------ */

void proxy_tcp_on_event(struct proxy_worker *w, enum proxy_kind *kind, uint32_t events)
{
    struct side *side = container_of(kind, struct side, kind);
    struct proxy_conn *conn = side->conn;
    if (conn->is_dead || side->fd < 0)
        return; /* of this batch, from before its end */
    if (!conn->is_open) {
        if (events & (EPOLLERR | EPOLLHUP))
            on_connect_failed(w, conn);
        else if (events & EPOLLOUT) {
            conn->server.readable = (events & (EPOLLIN | EPOLLRDHUP)) != 0;
            conn->server.end_is_near = (events & EPOLLRDHUP) != 0;
            conn->server.has_urgent = (events & EPOLLPRI) != 0;
            on_connected(w, conn);
        }
        return;
    }
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        side->readable = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        side->writable = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        side->end_is_near = true;
    if (events & EPOLLPRI)
        side->has_urgent = side->readable = true;
    carry(w, conn);
    if ((events & EPOLLERR) == 0)
        return;
    if (conn->up.is_batched || conn->down.is_batched)
        (void)send_batch_of(w, conn); /* what had come before is passed on */
    end_conn(w, conn, true);          /* the way back may be idle and would not notice */
}

static struct proxy_conn *new_conn(struct proxy_worker *w, struct proxy_vip *vip, int fd)
{
    struct proxy_conn *conn = xcalloc(1, sizeof(*conn));
    conn->client = (struct side){.kind = PROXY_CLIENT, .fd = fd, .conn = conn};
    conn->server = (struct side){.kind = PROXY_SERVER, .fd = -1, .conn = conn};
    conn->vip = vip;
    proxy_vip_ref(vip);
    atomic_fetch_add_explicit(&vip->count.connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&vip->count.active, 1, memory_order_relaxed);
    list_push_back(&w->connecting, &conn->in_list);
    return conn;
}

/* The one who waits is let in and out again, or the listener would call for ever. */
static void turn_away(struct proxy_worker *w, struct proxy_vip *vip)
{
    static const struct linger linger = {.l_onoff = 1, .l_linger = 0};
    if (w->reserve_fd >= 0)
        (void)close(w->reserve_fd);
    int fd = accept4(vip->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)); /* then it is closed in order */
        (void)close(fd);
        atomic_fetch_add_explicit(&vip->count.failures, 1, memory_order_relaxed);
    }
    w->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void proxy_tcp_serve(struct proxy_worker *w, struct proxy_vip *vip, int client)
{
    if (!w->is_stopping) {
        connect_next(w, new_conn(w, vip, client));
        return;
    }
    (void)close(client); /* nothing to be done about it */
    proxy_give_descriptors(w->proxy, 1);
    atomic_fetch_sub_explicit(&w->connections, 1, memory_order_relaxed);
}

/* Ourselves, or another thread drawn at random that has clearly fewer connections. */
static struct proxy_worker *choose_worker(struct proxy_worker *w)
{
    struct proxy *proxy = w->proxy;
    if (proxy->worker_count == 1)
        return w;
    size_t step = 1 + rng_next(&w->rng) % (proxy->worker_count - 1);
    struct proxy_worker *other = &proxy->workers[((size_t)(w - proxy->workers) + step) % proxy->worker_count];
    unsigned ours = atomic_load_explicit(&w->connections, memory_order_relaxed);
    unsigned its = atomic_load_explicit(&other->connections, memory_order_relaxed);
    return ours > its + its / 8 + UNEVEN_MIN ? other : w;
}

void proxy_tcp_on_listener(struct proxy_worker *w, struct proxy_vip *vip)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        if (!proxy_take_descriptors(w->proxy, 1, 1)) { /* and one for the back end */
            turn_away(w, vip);
            return;
        }
        int fd = accept4(vip->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            proxy_give_descriptors(w->proxy, 1);
            if (errno == EMFILE || errno == ENFILE)
                turn_away(w, vip);
            return; /* another thread was faster, or the client is gone again */
        }
        struct proxy_worker *chosen = choose_worker(w);
        atomic_fetch_add_explicit(&chosen->connections, 1, memory_order_relaxed); /* now, or it would get too many */
        if (chosen == w)
            connect_next(w, new_conn(w, vip, fd));
        else
            proxy_worker_send(chosen, PROXY_SERVE, vip, fd);
    }
}
