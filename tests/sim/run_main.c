/* SPDX-License-Identifier: Apache-2.0
 * run_main.c - runs seeds: `sim_run SEED [--trace]` one, here and now; `sim_run --seeds FROM COUNT` or `sim_run --file
 * seeds.txt` many, each in a process of its own, so that one that aborts or hangs is only one that failed. With --cron in
 * front the worlds are all about cron. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/text.h"
#include "sim/cluster.h"

#define JOBS 2
#define SEED_SECONDS_MAX 120
#define SEEDS_MAX 1024 /* of a file */
#define FAILED_MAX 20  /* then the rest is not tried */

static struct world *current; /* for the report when a core aborts */
static bool is_about_cron;

static void on_abort(int signo)
{
    /* Not async-signal-safe, but the process is lost anyway and this is what a person needs to see. */
    if (current != NULL) {
        printf("%s\n", signo == SIGALRM ? "takes too long" : "a check inside a core failed");
        world_report(current, stdout);
        (void)fflush(stdout); /* nothing to be done about it */
    }
    _exit(2);
}

static int run_seed(uint64_t seed, bool is_traced)
{
    struct cluster *c = is_about_cron ? cluster_new_cron(seed) : cluster_new_random(seed);
    current = c->world;
    c->world->is_traced = is_traced;
    if (is_about_cron)
        cluster_run_cron(c);
    else
        cluster_run(c);
    bool failed = c->world->is_broken;
    if (failed || is_traced)
        world_report(c->world, stdout);
    current = NULL;
    c = cluster_free(c);
    return failed;
}

static int run_alone(uint64_t seed, bool is_traced)
{
    (void)signal(SIGABRT, on_abort);
    (void)signal(SIGALRM, on_abort);
    alarm(SEED_SECONDS_MAX);
    return run_seed(seed, is_traced);
}

struct batch {
    uint64_t done, failed;
    int running;
};

static void wait_one(struct batch *b)
{
    int status;
    if (wait(&status) < 0)
        return;
    b->running--;
    b->done++;
    b->failed += !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* False when too many have failed. */
static bool run_in_child(struct batch *b, uint64_t seed)
{
    while (b->running >= JOBS)
        wait_one(b);
    if (b->failed >= FAILED_MAX)
        return false;
    (void)fflush(stdout); /* nothing twice */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int rc = run_alone(seed, false);
        (void)fflush(stdout); /* the exit status counts */
        if (rc != 0)
            printf("replay: tests/sim/run %s%llu --trace\n", is_about_cron ? "--cron " : "", (unsigned long long)seed);
        exit(rc);
    }
    b->running++;
    return true;
}

static int finish(struct batch *b)
{
    while (b->running > 0)
        wait_one(b);
    printf("%llu seeds, %llu failed\n", (unsigned long long)b->done, (unsigned long long)b->failed);
    return b->failed > 0;
}

static int run_range(uint64_t from, uint64_t count)
{
    struct batch b = {0};
    for (uint64_t i = 0; i < count; i++)
        if (!run_in_child(&b, from + i))
            break;
    return finish(&b);
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return 2;
    }
    /* Read to the end before the first fork: children share the file's position. */
    uint64_t seeds[SEEDS_MAX];
    size_t count = 0;
    char line[256];
    while (count < SEEDS_MAX && fgets(line, sizeof(line), f) != NULL) {
        line[strcspn(line, " \t\n#")] = '\0'; /* what follows the seed says what it found */
        if (line[0] != '\0' && text_to_uint64(line, &seeds[count]) == 0)
            count++;
    }
    (void)fclose(f); /* read only */
    struct batch b = {0};
    for (size_t i = 0; i < count && run_in_child(&b, seeds[i]);)
        i++;
    return finish(&b);
}

int main(int argc, char **argv)
{
    uint64_t a, b;
    if (argc > 1 && strcmp(argv[1], "--cron") == 0) {
        is_about_cron = true;
        argv++;
        argc--;
    }
    (void)setvbuf(stdout, NULL, _IOFBF, 1 << 16); /* a matter of speed only */
    if (argc == 4 && strcmp(argv[1], "--seeds") == 0 && text_to_uint64(argv[2], &a) == 0 &&
        text_to_uint64(argv[3], &b) == 0)
        return run_range(a, b);
    if (argc == 3 && strcmp(argv[1], "--file") == 0)
        return run_file(argv[2]);
    if ((argc == 2 || (argc == 3 && strcmp(argv[2], "--trace") == 0)) && text_to_uint64(argv[1], &a) == 0) {
        int rc = run_alone(a, argc == 3);
        if (rc == 0 && argc == 2)
            printf("seed %llu: all invariants hold\n", (unsigned long long)a);
        return rc;
    }
    fprintf(stderr, "usage: sim_run [--cron] SEED [--trace] | --seeds FROM COUNT | --file FILE\n");
    return 2;
}
