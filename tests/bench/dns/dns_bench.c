/* SPDX-License-Identifier: Apache-2.0
 * dns_bench.c - the servers of the DNS bench (tests/bench/dns/run): ours behind a made-up cluster, and an echo that is what
 * a UDP server with recvmmsg and sendmmsg can do at most.
 *
 *   bench_dns serve PORT NAMES     `muster dns` with names h<i>.bench.mesos on PORT, one thread; ends when stdin does
 *   bench_dns echo PORT            the packet comes back as an answer; ends when stdin does */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dns/main.h"
#include "support/fake_master.h"

#define BATCH 64

static void put_snapshot(struct buf *out, unsigned names)
{
    struct json_writer w;
    (void)buf_append_str(out,
                         "{\"type\":\"SUBSCRIBED\",\"subscribed\":{\"heartbeat_interval_seconds\":600,\"get_state\":{"
                         "\"get_agents\":{\"agents\":[{\"agent_info\":{\"hostname\":\"h\",\"id\":{\"value\":\"A-S0\"}},"
                         "\"active\":true,\"version\":\"1\",\"pid\":\"slave(1)@10.0.0.1:5051\"}]},"
                         "\"get_frameworks\":{\"frameworks\":[{\"framework_info\":{\"user\":\"u\",\"name\":\"bench\","
                         "\"id\":{\"value\":\"F\"}},\"active\":true,\"connected\":true,\"recovered\":false}]},"
                         "\"get_tasks\":{\"tasks\":");
    json_writer_init(&w, out);
    json_begin_array(&w);
    for (unsigned i = 0; i < names; i++) {
        char task[512];
        int len = snprintf(task, sizeof(task),
                           "{\"name\":\"h%u\",\"task_id\":{\"value\":\"h.%u\"},\"framework_id\":{\"value\":\"F\"},"
                           "\"agent_id\":{\"value\":\"A-S0\"},\"state\":\"TASK_RUNNING\",\"statuses\":[{\"task_id\":"
                           "{\"value\":\"h.%u\"},\"state\":\"TASK_RUNNING\",\"container_status\":{\"network_infos\":"
                           "[{\"ip_addresses\":[{\"ip_address\":\"10.%u.%u.%u\"}]}]}}]}",
                           i, i, i, i >> 16, i >> 8 & 255, i & 255);
        json_put_raw(&w, task, (size_t)len);
    }
    json_end_array(&w);
    (void)buf_append_str(out, "}}}}");
    (void)buf_append_char(out, '\0');
}

static int serve(const char *port, unsigned names)
{
    static struct fake_master master;
    struct buf snapshot;
    char where[64], port_flag[64];
    buf_init(&snapshot, 1u << 30);
    put_snapshot(&snapshot, names);
    fake_master_start(&master, 0, (const char *)buf_data(&snapshot));
    (void)snprintf(where, sizeof(where), "--master=127.0.0.1:%u", master.port);
    (void)snprintf(port_flag, sizeof(port_flag), "--port=%s", port);
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing stays behind */
        (void)execl("/proc/self/exe", "dns", where, port_flag, "--http_port=0", "--threads=1", "--no-external_on",
                    "--logging_level=warning", NULL);
        _exit(127);
    }
    printf("%d\n", (int)child);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    (void)kill(child, SIGTERM); /* our own child */
    (void)waitpid(child, NULL, 0);
    fake_master_stop(&master);
    buf_deinit(&snapshot);
    return 0;
}

static int echo(uint16_t port)
{
    static uint8_t bytes[BATCH][512 + 64];
    static struct mmsghdr messages[BATCH];
    static struct iovec io[BATCH];
    static struct sockaddr_in peers[BATCH];
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = 4 << 20;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        perror("bind");
        return 1;
    }
    for (;;) {
        for (unsigned i = 0; i < BATCH; i++) {
            io[i] = (struct iovec){bytes[i], 512};
            messages[i].msg_hdr =
                (struct msghdr){.msg_name = &peers[i], .msg_namelen = sizeof(peers[i]), .msg_iov = &io[i], .msg_iovlen = 1};
        }
        int n = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < n; i++) {
            io[i].iov_len = messages[i].msg_len;
            bytes[i][2] |= 0x80;
        }
        for (int sent = 0; sent < n;) {
            int k = sendmmsg(fd, messages + sent, (unsigned)(n - sent), 0);
            if (k <= 0)
                break;
            sent += k;
        }
    }
}

int main(int argc, char **argv)
{
    if (strcmp(argv[0], "dns") == 0)
        return dns_main(argc, argv);
    if (argc == 4 && strcmp(argv[1], "serve") == 0)
        return serve(argv[2], (unsigned)atoi(argv[3]));
    if (argc == 3 && strcmp(argv[1], "echo") == 0) {
        pid_t child = fork();
        if (child == 0) {
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* nothing stays behind */
            _exit(echo((uint16_t)atoi(argv[2])));
        }
        printf("%d\n", (int)child);
        fflush(stdout);
        while (getchar() != EOF)
            ;
        (void)kill(child, SIGTERM); /* our own child */
        (void)waitpid(child, NULL, 0);
        return 0;
    }
    fprintf(stderr, "usage: bench_dns serve PORT NAMES | echo PORT\n");
    return 2;
}
