/* SPDX-License-Identifier: Apache-2.0
 * plane.c - a data plane of the balancer with VIPs given by hand, for the benches: no master, no plan.
 *
 *   bench_lb_plane PLANE THREADS CGROUP VIP=BACKEND[,BACKEND...]...
 *
 * PLANE as `muster lb --plane` takes it, THREADS of the proxy, CGROUP of the ebpf plane ("" leaves it to the plane),
 * addresses as IP:PORT over TCP. Says "ready" or why not, and ends, leaving nothing, when stdin does. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/planes.h"

#define BACKENDS_MAX 64

static int parse_endpoint(char *text, struct lb_endpoint *out)
{
    char *colon = strrchr(text, ':');
    *out = (struct lb_endpoint){.protocol = LB_TCP};
    if (colon == NULL || atoi(colon + 1) < 1 || atoi(colon + 1) > UINT16_MAX)
        return -EINVAL;
    *colon = '\0';
    out->port = (uint16_t)atoi(colon + 1);
    return lb_endpoint_parse_ip(text, out);
}

static int parse_vip(char *text, struct lb_change *out, struct lb_backend backends[BACKENDS_MAX])
{
    char *rest = strchr(text, '='), *word;
    if (rest == NULL)
        return -EINVAL;
    *rest++ = '\0';
    *out = (struct lb_change){.name = "", .backends = backends};
    int result = parse_endpoint(text, &out->vip);
    while (result == 0 && (word = strsep(&rest, ",")) != NULL) {
        if (out->backend_count == BACKENDS_MAX)
            return -E2BIG;
        result = parse_endpoint(word, &backends[out->backend_count++].at);
    }
    return result;
}

static int apply(struct lb_plane *plane, char **words, int count)
{
    for (int i = 0; i < count; i++) {
        static struct lb_backend backends[BACKENDS_MAX];
        struct lb_change change;
        memset(backends, 0, sizeof(backends));
        if (parse_vip(words[i], &change, backends) != 0) {
            printf("VIP %d cannot be read\n", i);
            return -EINVAL;
        }
        plane->ops->apply(plane, &change, 1);
        const char *problem = plane->ops->problem(plane, &change.vip);
        if (problem != NULL) {
            printf("%s: %s\n", words[i], problem);
            return -EIO;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static char instance[] = "bench_lb";
    struct lb_choice choice;
    struct err err = {0};
    if (argc < 5) {
        fputs("usage: bench_lb_plane PLANE THREADS CGROUP VIP=BACKEND[,BACKEND...]...\n", stderr);
        return 2;
    }
    struct lb_options options = {
        .plane = argv[1], .proxy_threads = atoi(argv[2]), .cgroup = argv[3][0] ? argv[3] : NULL, .instance = instance};
    if (lb_planes_start(&options, 1, &choice, &err) != 0) {
        printf("%s\n", err.text);
        return 1;
    }
    int result = apply(choice.plane, argv + 4, argc - 4);
    if (result == 0)
        printf("ready\n");
    fflush(stdout);
    while (result == 0 && getchar() != EOF)
        ;
    choice.plane->ops->close(choice.plane, true);
    return result == 0 ? 0 : 1;
}
