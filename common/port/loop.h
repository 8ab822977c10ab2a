/* SPDX-License-Identifier: Apache-2.0
 * loop.h - port to the event loop: descriptors, timers, signals, child ends, and work handed in from other threads. The
 * real one is common/real/loop_ev.c (libev). One loop per process; all calls on the loop's thread except loop_post.
 *
 * Cores never see this: shells own the watchers and turn callbacks into events. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct loop;

/* Milliseconds of a clock that never steps (for deadlines), and of the calendar (for records). Read once per turn. */
int64_t loop_now_ms(struct loop *l);
int64_t loop_wall_ms(struct loop *l);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_fd;
typedef void (*loop_fd_fn)(void *ctx, int fd, unsigned ready);
/* Starts watching with `events` (may be 0). The descriptor stays the caller's. */
struct loop_fd *loop_fd_add(struct loop *l, int fd, unsigned events, loop_fd_fn fn, void *ctx);
void loop_fd_set(struct loop_fd *w, unsigned events); /* cheap when unchanged */
struct loop_fd *loop_fd_remove(struct loop_fd *w);    /* accepts NULL, returns NULL; allowed inside its own callback */

struct loop_timer;
typedef void (*loop_timer_fn)(void *ctx);
/* Never fires before loop_now_ms has reached its time. A timer is created stopped. Start with a delay in ms (0: next turn);
 * fires once. Starting again moves it. */
struct loop_timer *loop_timer_add(struct loop *l, loop_timer_fn fn, void *ctx);
void loop_timer_start(struct loop_timer *t, int64_t delay_ms);
void loop_timer_stop(struct loop_timer *t);
bool loop_timer_is_active(const struct loop_timer *t);
struct loop_timer *loop_timer_remove(struct loop_timer *t);

/* Called once before the loop goes to sleep, after all callbacks of the turn, in the order of adding. For batched passes
 * and flushing. May remove itself and others; one that is added inside such a call still runs before this sleep. */
struct loop_idle;
struct loop_idle *loop_before_sleep_add(struct loop *l, void (*fn)(void *ctx), void *ctx);
struct loop_idle *loop_before_sleep_remove(struct loop_idle *i);

struct loop_signal;
struct loop_signal *loop_signal_add(struct loop *l, int signo, void (*fn)(void *ctx, int signo), void *ctx);
struct loop_signal *loop_signal_remove(struct loop_signal *s);

/* The end of a child process of ours; status as waitpid gives it, -1 when somebody else has reaped it. Uses a pidfd, reaps
 * only this child. Told once, in a following turn at the earliest; the owner removes the watcher then or later. */
struct loop_child;
struct loop_child *loop_child_add(struct loop *l, pid_t pid, void (*fn)(void *ctx, pid_t pid, int status), void *ctx);
struct loop_child *loop_child_remove(struct loop_child *c);

/* From any thread: fn(ctx) runs on the loop's thread in a following turn, in the order of posting. */
void loop_post(struct loop *l, void (*fn)(void *ctx), void *ctx);

/* Runs until loop_stop; a stop that came before it ends it at once. The before-sleep calls of the last turn are made. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
