/* SPDX-License-Identifier: Apache-2.0
 * shell.c - see shell.h. Results that are known at once (a process that started) are queued and become events after the
 * effects of the present step are done. */
#include "executor/shell.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "executor/agent_stream.h"
#include "executor/output.h"
#include "executor/probe.h"
#include "executor/process.h"

/* A child of ours: a task's process or a check's command. */
struct child {
    struct list in_children;
    pid_t pid;
    executor_process_id process;        /* 0: it is a check */
    executor_check_id check;            /* 0: a check that was cancelled, or a task */
    struct executor_output *outputs[2]; /* NULL: goes where ours goes */
};

struct probe {
    struct list in_probes;
    executor_check_id id;
    struct executor_probe *probe;
};

struct queued {
    struct list in_queue;
    struct executor_event event;
    char *text; /* owned, of the event */
};

struct executor_shell {
    struct loop *loop;
    struct executor *core;
    struct executor_effects effects;
    struct http_client *http;
    struct agent_stream *agent;
    struct loop_timer *timer;
    struct loop_signal *on_child, *on_term;
    char *sandbox;
    struct list children, probes, queue;
    bool is_started, is_stepping;
    void (*finished)(void *ctx, int exit_status); /* NULL once called */
    void *ctx;
};

/* -- events ----------------------------------------------------------------------------------------------------- */

static void run_effects(struct executor_shell *s);

static void step(struct executor_shell *s, struct executor_event *event)
{
    event->now_ms = loop_now_ms(s->loop);
    event->wall_ms = loop_wall_ms(s->loop);
    (void)executor_step(s->core, event, &s->effects); /* is 0 always */
    run_effects(s);
}

static void drain_queue(struct executor_shell *s)
{
    while (!list_is_empty(&s->queue)) {
        struct queued *queued = container_of(list_pop_front(&s->queue), struct queued, in_queue);
        step(s, &queued->event);
        free(queued->text);
        free(queued);
    }
}

static void arm_timer(struct executor_shell *s)
{
    int64_t deadline = executor_next_deadline(s->core), now = loop_now_ms(s->loop);
    if (deadline == INT64_MAX)
        loop_timer_stop(s->timer);
    else
        loop_timer_start(s->timer, deadline > now ? deadline - now : 0);
}

/* Everything that happens comes through here. */
static void handle(struct executor_shell *s, struct executor_event *event)
{
    CHECK(!s->is_stepping);
    s->is_stepping = true;
    step(s, event);
    drain_queue(s);
    s->is_stepping = false;
    arm_timer(s);
}

static void queue_event(struct executor_shell *s, const struct executor_event *event, const char *text)
{
    struct queued *queued = xcalloc(1, sizeof(*queued));
    queued->event = *event;
    queued->text = text ? xstrdup(text) : NULL;
    if (event->type == EXECUTOR_EVENT_PROCESS_FAILED)
        queued->event.process.text = queued->text;
    else if (event->type == EXECUTOR_EVENT_CHECK_DONE)
        queued->event.check.text = queued->text;
    list_push_back(&s->queue, &queued->in_queue);
}

static void on_agent(void *ctx, struct executor_event *event)
{
    handle(ctx, event);
}

static void on_timer(void *ctx)
{
    struct executor_shell *s = ctx;
    struct executor_event event = {.type = s->is_started ? EXECUTOR_EVENT_TICK : EXECUTOR_EVENT_START};
    s->is_started = true;
    handle(s, &event);
}

static void on_term(void *ctx, int signo)
{
    struct executor_event event = {.type = EXECUTOR_EVENT_TERMINATE};
    (void)signo;
    handle(ctx, &event);
}

/* -- children --------------------------------------------------------------------------------------------------- */

static struct child *add_child(struct executor_shell *s, pid_t pid)
{
    struct child *child = xcalloc(1, sizeof(*child));
    child->pid = pid;
    list_push_back(&s->children, &child->in_children);
    return child;
}

static struct child *find_child(struct executor_shell *s, pid_t pid, executor_process_id process, executor_check_id check)
{
    list_for_each(it, &s->children)
    {
        struct child *child = container_of(it, struct child, in_children);
        if ((pid && child->pid == pid) || (process && child->process == process) || (check && child->check == check))
            return child;
    }
    return NULL;
}

/* Sessions of other children, which a signal to `but` must not reach. Malloc'd. */
static pid_t *other_children(struct executor_shell *s, const struct child *but, bool only_checks, size_t *count)
{
    size_t total = 0;
    list_for_each(it, &s->children) total++;
    pid_t *pids = xcalloc(total + 1, sizeof(*pids));
    *count = 0;
    list_for_each(it, &s->children)
    {
        struct child *child = container_of(it, struct child, in_children);
        if (child != but && (!only_checks || child->process == 0))
            pids[(*count)++] = child->pid;
    }
    return pids;
}

static void signal_child(struct executor_shell *s, const struct child *child, int signo, bool everything)
{
    size_t count;
    pid_t *keep = other_children(s, child, everything, &count);
    executor_process_signal(child->pid, signo, everything, keep, count);
    free(keep);
}

static void child_free(struct child *child)
{
    list_remove(&child->in_children);
    executor_output_free(child->outputs[0]);
    executor_output_free(child->outputs[1]);
    free(child);
}

static void child_ended(struct executor_shell *s, struct child *child, int status)
{
    struct executor_event event = {0};
    /* The zombie still holds the number: nobody else can have it while the rest is looked for. */
    signal_child(s, child, SIGKILL, false);
    if (child->process) {
        event.type = EXECUTOR_EVENT_PROCESS_EXITED;
        event.process.id = child->process;
        event.process.status = status;
        queue_event(s, &event, NULL);
    } else if (child->check) {
        event.type = EXECUTOR_EVENT_CHECK_DONE;
        event.check.id = child->check;
        event.check.result = WIFEXITED(status) ? EXECUTOR_CHECK_EXITED : EXECUTOR_CHECK_FAILED;
        event.check.value = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        queue_event(s, &event, WIFEXITED(status) ? "the command failed" : "the command was killed by a signal");
    }
    child_free(child); /* with the last of its output in the file before anybody is told */
}

static int status_of(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

/* All ended children, ours and those that lost their parents. */
static void reap(struct executor_shell *s)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
            return;
        struct child *child = find_child(s, info.si_pid, 0, 0);
        if (child)
            child_ended(s, child, status_of(&info));
        if (waitpid(info.si_pid, NULL, WNOHANG) != info.si_pid)
            return;
    }
}

static void on_child_signal(void *ctx, int signo)
{
    struct executor_shell *s = ctx;
    (void)signo;
    reap(s);
    s->is_stepping = true;
    drain_queue(s);
    s->is_stepping = false;
    arm_timer(s);
}

/* -- effects ---------------------------------------------------------------------------------------------------- */

static void start_process(struct executor_shell *s, const struct executor_effect *effect)
{
    static const char *const names[] = {"stdout", "stderr"};
    struct executor_event event = {.process = {.id = effect->start.id}};
    struct executor_pipes pipes;
    struct err err = {0};
    pid_t pid;
    if (executor_process_start(s->sandbox, &effect->start.command, effect->start.link, effect->start.link_target, &pid,
                               &pipes, &err) < 0) {
        event.type = EXECUTOR_EVENT_PROCESS_FAILED;
        queue_event(s, &event, err.text);
        return;
    }
    struct child *child = add_child(s, pid);
    child->process = effect->start.id;
    for (int i = 0; i < 2 && pipes.pipe[i] >= 0; i++)
        child->outputs[i] = executor_output_new(s->loop, pipes.pipe[i], pipes.directory[i], pipes.file[i], names[i]);
    event.type = EXECUTOR_EVENT_PROCESS_STARTED;
    event.process.pid = pid;
    queue_event(s, &event, NULL);
}

static void on_probe_done(void *ctx, executor_check_id id, enum executor_check_result result, int value, const char *text)
{
    struct executor_shell *s = ctx;
    struct executor_event event = {.type = EXECUTOR_EVENT_CHECK_DONE,
                                   .check = {.id = id, .result = result, .value = value, .text = text}};
    list_for_each(it, &s->probes)
    {
        struct probe *probe = container_of(it, struct probe, in_probes);
        if (probe->id == id) {
            list_remove(&probe->in_probes);
            free(probe);
        }
    }
    handle(s, &event);
}

static void start_check(struct executor_shell *s, const struct executor_effect *effect)
{
    if (effect->check.kind != EXECUTOR_CHECK_KIND_COMMAND) {
        struct probe *probe = xcalloc(1, sizeof(*probe));
        probe->id = effect->check.id;
        list_push_back(&s->probes, &probe->in_probes);
        probe->probe = executor_probe_start(s->loop, s->http, effect, on_probe_done, s);
        return;
    }
    struct err err = {0};
    pid_t pid;
    if (executor_process_start(s->sandbox, &effect->check.command, NULL, NULL, &pid, NULL, &err) < 0) {
        struct executor_event event = {.type = EXECUTOR_EVENT_CHECK_DONE,
                                       .check = {.id = effect->check.id, .result = EXECUTOR_CHECK_FAILED}};
        queue_event(s, &event, err.text);
        return;
    }
    add_child(s, pid)->check = effect->check.id;
}

static void cancel_check(struct executor_shell *s, executor_check_id id)
{
    struct child *child = find_child(s, 0, 0, id);
    if (child) {
        child->check = 0;
        signal_child(s, child, SIGKILL, false);
        return;
    }
    list_for_each(it, &s->probes)
    {
        struct probe *probe = container_of(it, struct probe, in_probes);
        if (probe->id != id)
            continue;
        executor_probe_cancel(probe->probe);
        list_remove(&probe->in_probes);
        free(probe);
        return;
    }
}

static void finish(struct executor_shell *s, int exit_status)
{
    void (*finished)(void *, int) = s->finished;
    s->finished = NULL;
    if (finished)
        finished(s->ctx, exit_status);
}

static void run_effect(struct executor_shell *s, const struct executor_effect *effect)
{
    struct child *child;
    switch (effect->type) {
    case EXECUTOR_EFFECT_CONNECT:
        agent_stream_connect(s->agent, effect->connection, effect->send.body, effect->send.body_len);
        break;
    case EXECUTOR_EFFECT_CLOSE:
        agent_stream_close(s->agent);
        break;
    case EXECUTOR_EFFECT_SEND:
        agent_stream_send(s->agent, effect->connection, effect->send.body, effect->send.body_len);
        break;
    case EXECUTOR_EFFECT_START:
        start_process(s, effect);
        break;
    case EXECUTOR_EFFECT_SIGNAL:
        child = find_child(s, 0, effect->signal.id, 0);
        if (child)
            signal_child(s, child, effect->signal.signo, effect->signal.everything);
        break;
    case EXECUTOR_EFFECT_CHECK:
        start_check(s, effect);
        break;
    case EXECUTOR_EFFECT_CHECK_CANCEL:
        cancel_check(s, effect->check.id);
        break;
    case EXECUTOR_EFFECT_LOG:
        log_warning("%s", effect->log);
        break;
    case EXECUTOR_EFFECT_EXIT:
        finish(s, effect->exit_status);
        break;
    }
}

static void run_effects(struct executor_shell *s)
{
    for (size_t i = 0; i < s->effects.count; i++)
        run_effect(s, &s->effects.items[i]);
}

/* -- life cycle ------------------------------------------------------------------------------------------------- */

struct executor_shell *executor_shell_new(struct loop *loop, const struct executor_shell_config *config,
                                          void (*finished)(void *ctx, int exit_status), void *ctx)
{
    struct executor_shell *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->finished = finished;
    s->ctx = ctx;
    s->sandbox = xstrdup(config->core.sandbox);
    list_init(&s->children);
    list_init(&s->probes);
    list_init(&s->queue);
    executor_effects_init(&s->effects);
    s->core = executor_new(&config->core);
    s->http = http_client_new(loop);
    s->agent = agent_stream_new(s->http, config, on_agent, s);
    /* Orphans come to us and not to a process outside, also where we are not the init of a pid namespace. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* as init it is so anyway */
    s->on_child = loop_signal_add(loop, SIGCHLD, on_child_signal, s);
    s->on_term = loop_signal_add(loop, SIGTERM, on_term, s);
    s->timer = loop_timer_add(loop, on_timer, s);
    loop_timer_start(s->timer, 0);
    return s;
}

struct executor_shell *executor_shell_free(struct executor_shell *s)
{
    if (!s)
        return NULL;
    list_for_each(it, &s->probes)
    {
        struct probe *probe = container_of(it, struct probe, in_probes);
        executor_probe_cancel(probe->probe);
        free(probe);
    }
    list_for_each(it, &s->children)
    {
        struct child *child = container_of(it, struct child, in_children);
        (void)kill(child->pid, SIGKILL);
        (void)waitpid(child->pid, NULL, 0); /* was killed, or is gone already */
        child_free(child);
    }
    /* Where no namespace ends with us: also what left the sessions of its task and lost its parents. */
    executor_process_signal(0, SIGKILL, true, NULL, 0);
    while (!list_is_empty(&s->queue)) {
        struct queued *queued = container_of(list_pop_front(&s->queue), struct queued, in_queue);
        free(queued->text);
        free(queued);
    }
    loop_signal_remove(s->on_child);
    loop_signal_remove(s->on_term);
    loop_timer_remove(s->timer);
    agent_stream_free(s->agent);
    http_client_free(s->http);
    executor_free(s->core);
    executor_effects_deinit(&s->effects);
    free(s->sandbox);
    free(s);
    return NULL;
}
