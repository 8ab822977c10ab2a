/* SPDX-License-Identifier: Apache-2.0
 * test_nft.c - the kernel-NAT plane. Slots alone first; then the real kernel, in network namespaces of the test's own that
 * have a loopback interface only. Without root these are skipped, and say so. */
#include "tests/unit/lb/nft_world.h"

/* -- slots ------------------------------------------------------------------------------------------------------- */

static void test_classes(void **state)
{
    (void)state;
    assert_int_equal(nft_class_slots(0), 1);
    assert_int_equal(nft_class_slots(63), 64);
    assert_int_equal(nft_class_slots(64), 2048);
    assert_int_equal(nft_class_slots(NFT_CLASSES - 1), NFT_SLOTS_MAX);
    assert_int_equal(nft_slots_for(0), 0);
    assert_int_equal(nft_slots_for(64), 64);
    assert_int_equal(nft_slots_for(65), 2048);
    assert_int_equal(nft_slots_for(128), 2048);
    assert_int_equal(nft_slots_for(129), 4096);
    assert_int_equal(nft_slots_for(4096), 65536);
    assert_int_equal(nft_slots_for(70000), 65536);
    for (size_t n = 1; n <= 5000; n++) { /* every answer is a class */
        bool is_class = false;
        for (unsigned i = 0; i < NFT_CLASSES; i++)
            is_class |= nft_class_slots(i) == nft_slots_for(n);
        assert_true(is_class);
    }
}

static size_t make_backends(struct lb_backend *out, const uint16_t *ports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (struct lb_backend){.at = lb_endpoint_of_ipv4(LB_TCP, 0x7f000001, ports[i])};
    return count;
}

static void test_places_are_kept(void **state)
{
    struct lb_backend b[4];
    (void)state;
    struct nft_target *first = nft_target_new(b, make_backends(b, (uint16_t[]){10, 20, 30, 40}, 4), NULL);
    assert_int_equal(first->slots, 4);
    b[1].is_draining = true; /* the last one takes its place */
    struct nft_target *second = nft_target_new(b, 4, first);
    assert_int_equal(second->count, 3);
    assert_int_equal(nft_target_slot(second, 0)->port, 10);
    assert_int_equal(nft_target_slot(second, 1)->port, 40);
    assert_int_equal(nft_target_slot(second, 2)->port, 30);
    assert_null(nft_target_slot(second, 3));
    assert_false(nft_target_has(second, &b[1].at));
    struct nft_target *third = nft_target_new(b, make_backends(b, (uint16_t[]){5, 10, 30, 40}, 4), second);
    assert_int_equal(nft_target_slot(third, 0)->port, 10);
    assert_int_equal(nft_target_slot(third, 1)->port, 40);
    assert_int_equal(nft_target_slot(third, 2)->port, 30);
    assert_int_equal(nft_target_slot(third, 3)->port, 5);
    for (size_t i = 0; i < 4; i++)
        b[i].is_draining = true;
    struct nft_target *none = nft_target_new(b, 4, third);
    assert_int_equal(none->slots, 0);
    assert_null(nft_target_slot(none, 0));
    free(first);
    free(second);
    free(third);
    free(none);
}

static void test_many_share_evenly(void **state)
{
    enum { COUNT = 100 };
    struct lb_backend b[COUNT];
    unsigned hits[COUNT] = {0};
    (void)state;
    for (size_t i = 0; i < COUNT; i++)
        b[i] = (struct lb_backend){.at = lb_endpoint_of_ipv4(LB_TCP, 0x7f000001, (uint16_t)(1000 + i))};
    struct nft_target *t = nft_target_new(b, COUNT, NULL);
    for (uint32_t i = 0; i < t->slots; i++)
        hits[nft_target_slot(t, i)->port - 1000]++;
    for (size_t i = 0; i < COUNT; i++)
        assert_in_range(hits[i], t->slots / COUNT, t->slots / COUNT + 1);
    assert_true(t->slots / COUNT >= 16);
    free(t);
}

/* -- the kernel -------------------------------------------------------------------------------------------------- */

static void tcp_works(const char *vip_ip, const char *backend_ip)
{
    struct servers s;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, vip_ip, 80);
    int client, server;
    start_servers(&s, LB_TCP, backend_ip, 3);
    apply_one(p, &vip, &s);
    unsigned hits[3] = {0};
    for (int i = 0; i < 150; i++)
        hits[connect_through(&vip, &s, NULL, NULL)]++;
    for (int i = 0; i < 3; i++)
        assert_in_range(hits[i], 20, 90);                    /* 50 each; six sigma */
    int which = connect_through(&vip, &s, &client, &server); /* stays open while its back end drains */
    s.backends[which].is_draining = true;
    apply_one(p, &vip, &s);
    for (int i = 0; i < 30; i++)
        assert_int_not_equal(connect_through(&vip, &s, NULL, NULL), which);
    echo_over(client, server);
    for (int i = 0; i < 3; i++)
        s.backends[i].is_draining = true;
    apply_one(p, &vip, &s);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    echo_over(client, server);
    remove_one(p, &vip);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED); /* nobody listens there */
    echo_over(client, server);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    close(client);
    close(server);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

static void test_tcp(void **state)
{
    (void)state;
    if (enter_namespace())
        tcp_works("11.0.0.1", "127.0.0.1");
}

static void test_tcp_ipv6(void **state)
{
    (void)state;
    if (enter_namespace())
        tcp_works("fd01:c::1", "::1");
}

static void udp_works(const char *vip_ip, const char *backend_ip)
{
    struct servers s;
    char byte = 'u';
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_UDP, vip_ip, 53);
    int client = open_socket(&vip, false);
    assert_int_equal(send(client, &byte, 1, 0), 1); /* a flow to nowhere, from before there was the VIP */
    (void)recv(client, &byte, 1, 0);
    start_servers(&s, LB_UDP, backend_ip, 2);
    apply_one(p, &vip, &s);
    (void)advance_all(p);
    int which = exchange_udp(client, &s);
    for (int i = 0; i < 10; i++)
        assert_int_equal(exchange_udp(client, &s), which);
    s.backends[which].is_draining = true; /* the flow goes to the other, when the shell has let the plane go on */
    apply_one(p, &vip, &s);
    (void)advance_all(p);
    assert_int_equal(exchange_udp(client, &s), 1 - which);
    apply_one(p, &vip, NULL);
    (void)advance_all(p);
    assert_int_equal(send(client, &byte, 1, 0), -1); /* a packet that is refused before it has left tells its sender so */
    assert_int_equal(errno, EPERM);
    close(client);
    stop_servers(&s);
    p->ops->close(p, true);
    (void)lb_routes_free(routes, true);
}

static void test_udp(void **state)
{
    (void)state;
    if (enter_namespace())
        udp_works("11.0.0.2", "127.0.0.1");
}

static void test_udp_ipv6(void **state)
{
    (void)state;
    if (enter_namespace())
        udp_works("fd01:c::2", "::1");
}

/* -- UDP flows among many others ---------------------------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Nobody answers; the kernel remembers each for some time. */
static void make_flows(uint16_t count)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (uint16_t port = 20000; port < 20000 + count; port++) {
        struct lb_endpoint to = lb_endpoint_of_ipv4(LB_UDP, 0x7f000002, port);
        struct sockaddr_storage a;
        socklen_t len = lb_endpoint_to_sockaddr(&to, &a);
        (void)sendto(fd, "x", 1, 0, (struct sockaddr *)&a, len);
    }
    close(fd);
}

static void test_flows_end_in_slices(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_UDP, "11.0.0.2", 53), other = endpoint(LB_UDP, "11.0.0.3", 53);
    start_servers(&s, LB_UDP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    apply_one(p, &other, &s);
    (void)advance_all(p);
    int client = open_socket(&vip, false), second = open_socket(&other, false);
    int which = exchange_udp(client, &s), which_second = exchange_udp(second, &s);
    make_flows(20000);
    s.backends[which].is_draining = true;
    double started = now_ms();
    apply_one(p, &vip, &s);
    double applied = now_ms() - started, longest = 0, all = 0;
    assert_int_equal(exchange_udp(client, &s), which); /* nobody has looked yet */
    unsigned slices = 0;
    assert_false(p->ops->advance(p));
    s.backends[which].is_draining = false; /* a change while a look is under way gets one of its own */
    s.backends[which_second].is_draining = true;
    apply_one(p, &other, &s);
    for (; is_readable(p->ops->watch_fd(p)); slices++) {
        started = now_ms();
        assert_false(p->ops->advance(p));
        double took = now_ms() - started;
        longest = took > longest ? took : longest;
        all += took;
    }
    printf("20,000 other flows: applied in %.2f ms, %u slices of %.2f ms, the longest %.2f ms\n", applied, slices,
           all / slices, longest);
    assert_in_range(slices, 2 * 20, 2 * 20000);
    assert_int_equal(exchange_udp(client, &s), 1 - which);
    assert_int_equal(exchange_udp(second, &s), 1 - which_second);
    apply_one(p, &vip, &s);
    p->ops->close(p, true);
    close(client);
    close(second);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

/* An lb that is killed leaves its table. Another process, so that it is really killed. */
static void leave_behind(const struct lb_endpoint *vips, size_t count, const struct servers *s)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct lb_plane *p = open_plane("t");
        for (size_t i = 0; i < count; i++)
            apply_one(p, &vips[i], s);
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(ready[0]);
    close(ready[1]);
}

/* An lb that was killed before it came to the flows: the next one does it with its first plan, although nothing is to be
 * changed. */
static void test_flows_after_a_take_over(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *first = open_plane("first"); /* so that the kernel remembers flows already */
    first->ops->apply(first, NULL, 0);
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_UDP, "11.0.0.2", 53);
    int client = open_socket(&vip, false);
    assert_int_equal(send(client, "x", 1, 0), 1); /* to nowhere */
    (void)recv(client, &(char){0}, 1, 0);
    start_servers(&s, LB_UDP, "127.0.0.1", 1);
    leave_behind(&vip, 1, &s);
    struct lb_plane *p = open_plane("t");
    apply_one(p, &vip, &s);
    (void)advance_all(p);
    assert_int_equal(exchange_udp(client, &s), 0);
    p->ops->close(p, true);
    first->ops->close(first, true);
    close(client);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

/* -- others, and former ones ------------------------------------------------------------------------------------- */

static void test_repair(void **state)
{
    struct servers s;
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    assert_int_equal(tables(), 0); /* nothing before the first apply */
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    int watch = p->ops->watch_fd(p);
    assert_true(watch >= 0);
    assert_false(is_readable(watch)); /* our own changes are no news */
    (void)connect_through(&vip, &s, &client, &server);
    meddle("somebody_else", NULL); /* is theirs */
    assert_true(is_readable(watch));
    assert_int_equal(p->ops->repair(p, NULL), 0);
    assert_false(is_readable(watch));
    meddle("muster_t", NULL);
    assert_true(is_readable(watch));
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    assert_int_equal(p->ops->repair(p, NULL), 1 + 1 + 2); /* the fixed part, a VIP, its slots */
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    meddle("muster_t", "slot4");
    assert_int_equal(p->ops->repair(p, NULL), 2);
    meddle("muster_t", "vip4");
    assert_int_equal(p->ops->repair(p, NULL), 1);
    meddle("muster_t", "class");
    assert_int_equal(p->ops->repair(p, NULL), 4);
    (void)connect_through(&vip, &s, NULL, NULL);
    meddle("muster_t", NULL); /* an apply finds out by itself */
    s.count = 1;
    apply_one(p, &vip, &s);
    assert_int_equal(connect_through(&vip, &s, NULL, NULL), 0);
    echo_over(client, server);
    close(client);
    close(server);
    s.count = 2;
    stop_servers(&s);
    p->ops->close(p, true);
    assert_int_equal(tables(), 0);
    (void)lb_routes_free(routes, true);
}

static void test_take_over(void **state)
{
    struct servers s;
    struct err err = {0};
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vips[] = {endpoint(LB_TCP, "11.0.0.1", 80), endpoint(LB_TCP, "11.0.0.2", 80)};
    struct lb_routes *routes = vip_routes();
    start_servers(&s, LB_TCP, "127.0.0.1", 3);
    leave_behind(vips, 2, &s);
    (void)connect_through(&vips[0], &s, &client, &server);
    struct lb_plane *p = open_plane("t");
    (void)connect_through(&vips[1], &s, NULL, NULL); /* before the plan is known */
    apply_one(p, &vips[0], &s);                      /* the whole plan: the other one is not wanted any more */
    assert_int_equal(open_socket(&vips[1], false), -ECONNREFUSED);
    (void)connect_through(&vips[0], &s, NULL, NULL);
    assert_int_equal(p->ops->repair(p, NULL), 0);
    p->ops->close(p, false);
    (void)connect_through(&vips[0], &s, NULL, NULL); /* goes on without us */
    p = open_plane("t");
    p->ops->apply(p, NULL, 0); /* an empty plan */
    assert_int_equal(open_socket(&vips[0], false), -ECONNREFUSED);
    echo_over(client, server); /* the last one: without a table the kernel translates nothing any more */
    p->ops->close(p, false);
    assert_int_equal(tables(), 1);
    assert_int_equal(lb_plane_nft_clean("t", &err), 0);
    assert_int_equal(tables(), 0);
    assert_int_equal(lb_plane_nft_clean("t", &err), 0);
    close(client);
    close(server);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

/* Takes the notices of what was changed out of the plane's socket: as if the listing had been wrong by itself. */
static void steal_notices(void)
{
    for (int fd = 3; fd < 64; fd++) {
        char buffer[8192];
        int protocol = 0, domain = 0;
        uint32_t groups = 0;
        socklen_t len = sizeof(protocol), domain_len = sizeof(domain), groups_len = sizeof(groups);
        if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len) < 0 || domain != AF_NETLINK ||
            getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) < 0 || protocol != NETLINK_NETFILTER ||
            getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, &groups, &groups_len) < 0 || groups == 0)
            continue;
        while (recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
            ;
    }
}

static void test_a_second_look(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    meddle("muster_t", "slot4");
    steal_notices();
    assert_int_equal(p->ops->repair(p, NULL), 0); /* nothing makes it look */
    s.count = 1;
    apply_one(p, &vip, &s); /* cannot be carried out as thought */
    meddle("muster_t", "slot4");
    steal_notices();
    assert_int_equal(p->ops->repair(p, NULL), 1);
    meddle("muster_t", "vip4");
    steal_notices();
    assert_int_equal(p->ops->repair(p, NULL), 1);
    assert_int_equal(p->ops->repair(p, NULL), 0); /* two agree */
    meddle("muster_t", "vip4");
    steal_notices();
    assert_int_equal(p->ops->repair(p, NULL), 0);
    s.count = 2;
    stop_servers(&s);
    p->ops->close(p, true);
}

static void test_two_instances(void **state)
{
    struct servers s;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_endpoint vips[] = {endpoint(LB_TCP, "11.0.0.1", 80), endpoint(LB_TCP, "11.0.0.2", 80)};
    struct lb_routes *routes = vip_routes();
    struct lb_plane *a = open_plane("a"), *b = open_plane("b");
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(a, &vips[0], &s);
    apply_one(b, &vips[1], &s);
    (void)connect_through(&vips[0], &s, NULL, NULL);
    (void)connect_through(&vips[1], &s, NULL, NULL);
    assert_int_equal(a->ops->repair(a, NULL), 0);
    assert_int_equal(b->ops->repair(b, NULL), 0);
    a->ops->close(a, true);
    assert_int_equal(open_socket(&vips[0], false), -ECONNREFUSED);
    (void)connect_through(&vips[1], &s, NULL, NULL);
    b->ops->close(b, true);
    assert_int_equal(tables(), 0);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
}

static void test_refusals(void **state)
{
    struct err err = {0};
    struct lb_plane *p = NULL;
    (void)state;
    assert_int_equal(lb_plane_nft_new(&(struct lb_nft_config){.instance = "a-b"}, &p, &err), -EINVAL);
    assert_int_equal(lb_plane_nft_clean("", &err), -EINVAL);
    if (!enter_namespace())
        return;
    pid_t pid = fork(); /* without the privilege, in a process that ends */
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(setresuid(65534, 65534, 65534) == 0 &&
                      lb_plane_nft_new(&(struct lb_nft_config){.instance = "a"}, &p, &err) == -EPERM &&
                      strstr(err.text, "CAP_NET_ADMIN") != NULL
                  ? 0
                  : 1);
    int status = 1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* -- another machine --------------------------------------------------------------------------------------------- */

/* The peer of a pair of interfaces lives in a process with a namespace of its own: another machine. It has no route to
 * anything but its own network, so an answer comes only to an address of this machine's interface. behave says that it is
 * ready by a byte, and gets one for each that the test writes. */
static pid_t start_machine(void (*behave)(int ready, int go), int *to_machine)
{
    int ready[2], go[2];
    char byte = 0, command[128];
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int result = unshare(CLONE_NEWNET);
        if (write(ready[1], &byte, 1) != 1 || read(go[0], &byte, 1) != 1 || result < 0 ||
            system("ip addr add 192.0.2.2/24 dev there && ip link set there up") != 0)
            _exit(1);
        behave(ready[1], go[0]);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    (void)snprintf(command, sizeof(command),
                   "ip link add here type veth peer name there netns %d && ip addr add 192.0.2.1/24 dev here && "
                   "ip link set here up",
                   (int)pid);
    assert_int_equal(system(command), 0);
    assert_int_equal(write(go[1], &byte, 1), 1);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(go[0]);
    *to_machine = go[1];
    return pid;
}

static void end_machine(pid_t machine, int to_machine)
{
    assert_int_equal(kill(machine, SIGKILL), 0);
    assert_int_equal(waitpid(machine, NULL, 0), machine);
    close(to_machine);
}

static void serve(int ready, int go)
{
    struct lb_endpoint at = endpoint(LB_TCP, "192.0.2.2", 7001);
    int fd = open_socket(&at, true);
    (void)go;
    (void)!write(ready, "", 1);
    for (int client; (client = accept(fd, NULL, NULL)) >= 0; close(client))
        (void)!write(client, "m", 1);
}

/* Sends to the loopback range of its neighbour, which it has a route to, and then where it may. */
static void intrude(int ready, int go)
{
    char byte;
    struct sockaddr_storage a;
    struct lb_endpoint vip = endpoint(LB_TCP, "127.64.0.1", 80), open = endpoint(LB_TCP, "192.0.2.1", 7002);
    if (system("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet && ip route add 127.64.0.1 via 192.0.2.1") != 0)
        return;
    (void)!write(ready, "", 1);
    while (read(go, &byte, 1) == 1) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        socklen_t len = lb_endpoint_to_sockaddr(&vip, &a);
        if (connect(fd, (struct sockaddr *)&a, len) == 0 || errno != EINPROGRESS || open_socket(&open, false) < 0)
            return;
    }
}

static void test_another_machine(void **state)
{
    struct lb_backend far = {.at = endpoint(LB_TCP, "192.0.2.2", 7001)};
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    struct lb_change c = {.vip = vip, .name = "t", .backends = &far, .backend_count = 1};
    int to_machine;
    (void)state;
    if (system("ip -V >/dev/null 2>&1") != 0) {
        printf("skipped: no ip command\n");
        return;
    }
    if (!enter_namespace())
        return;
    struct lb_routes *routes = vip_routes();
    pid_t machine = start_machine(serve, &to_machine);
    struct lb_plane *p = open_plane("t");
    p->ops->apply(p, &c, 1);
    for (int i = 0; i < 10; i++) {
        char byte = 0;
        int fd = open_socket(&vip, false);
        assert_true(fd >= 0);
        assert_int_equal(recv(fd, &byte, 1, 0), 1);
        assert_int_equal(byte, 'm');
        close(fd);
    }
    struct numbers n = read_numbers(p, &vip);
    assert_int_equal(n.vip.connections, 10);
    assert_int_equal(connections_of(&n, &far.at), 10);
    p->ops->close(p, true);
    end_machine(machine, to_machine);
    (void)lb_routes_free(routes, true);
}

static void set_number(const char *path, char number)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &number, 1), 1);
    close(fd);
}

/* A client of a loopback VIP reaches this machine's back ends only, unless the kernel was told otherwise; and it is said.
 */
static void test_a_loopback_vip_of_another_machine(void **state)
{
    struct lb_backend backends[] = {{.at = endpoint(LB_TCP, "127.0.0.1", 7001)},
                                    {.at = endpoint(LB_TCP, "192.0.2.1", 7001)}, /* our own */
                                    {.at = endpoint(LB_TCP, "192.0.2.2", 7001)}};
    struct lb_endpoint vip = endpoint(LB_TCP, "127.64.0.1", 80), routable = endpoint(LB_TCP, "11.0.0.1", 80);
    struct lb_change all = {.vip = vip, .name = "t", .backends = backends, .backend_count = 3};
    struct lb_change far = {.vip = vip, .name = "t", .backends = &backends[2], .backend_count = 1};
    struct lb_change good = {.vip = routable, .name = "t", .backends = backends, .backend_count = 3};
    int to_machine;
    char byte = 0;
    (void)state;
    if (system("ip -V >/dev/null 2>&1") != 0) {
        printf("skipped: no ip command\n");
        return;
    }
    if (!enter_namespace())
        return;
    pid_t machine = start_machine(serve, &to_machine);
    struct lb_plane *p = open_plane("t");
    p->ops->apply(p, &all, 1);
    p->ops->apply(p, &good, 1);
    assert_non_null(p->ops->problem(p, &vip));
    assert_non_null(strstr(p->ops->problem(p, &vip), "1 of 3 back ends"));
    assert_null(p->ops->problem(p, &routable));
    all.backend_count = 2;
    p->ops->apply(p, &all, 1);
    assert_null(p->ops->problem(p, &vip));
    p->ops->apply(p, &far, 1);
    assert_non_null(p->ops->problem(p, &vip));
    set_number("/proc/sys/net/ipv4/conf/all/route_localnet", '1');
    p->ops->apply(p, &far, 1);
    assert_null(p->ops->problem(p, &vip));
    int fd = open_socket(&vip, false);
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'm');
    close(fd);
    p->ops->close(p, true);
    end_machine(machine, to_machine);
}

static void test_no_ipv6(void **state)
{
    struct lb_backend backend = {.at = endpoint(LB_TCP, "::1", 7001)};
    struct lb_endpoint vip = endpoint(LB_TCP, "fd01:c::1", 80);
    struct lb_change c = {.vip = vip, .name = "t", .backends = &backend, .backend_count = 1};
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_plane *p = open_plane("t");
    p->ops->apply(p, &c, 1);
    assert_null(p->ops->problem(p, &vip));
    set_number("/proc/sys/net/ipv6/conf/lo/disable_ipv6", '1');
    assert_int_equal(p->ops->repair(p, NULL), 0);
    assert_non_null(p->ops->problem(p, &vip));
    assert_non_null(strstr(p->ops->problem(p, &vip), "IPv6 is off"));
    set_number("/proc/sys/net/ipv6/conf/lo/disable_ipv6", '0');
    assert_int_equal(p->ops->repair(p, NULL), 0);
    assert_null(p->ops->problem(p, &vip));
    p->ops->close(p, true);
}

/* A VIP of the loopback range is for this machine only, whatever a neighbour sends. */
static void test_an_intruder(void **state)
{
    struct servers s;
    int to_machine;
    (void)state;
    if (system("ip -V >/dev/null 2>&1") != 0) {
        printf("skipped: no ip command\n");
        return;
    }
    if (!enter_namespace())
        return;
    pid_t machine = start_machine(intrude, &to_machine);
    struct lb_plane *p = open_plane("t");
    struct lb_endpoint vip = endpoint(LB_TCP, "127.64.0.1", 80), open = endpoint(LB_TCP, "192.0.2.1", 7002);
    start_servers(&s, LB_TCP, "192.0.2.1", 1);
    int listener = open_socket(&open, true);
    apply_one(p, &vip, &s);
    (void)connect_through(&vip, &s, NULL, NULL);
    assert_int_equal(write(to_machine, "", 1), 1);
    int client = accept(listener, NULL, NULL); /* it comes behind the other one */
    assert_true(client >= 0);
    struct pollfd first = {.fd = s.fds[0], .events = POLLIN};
    assert_int_equal(poll(&first, 1, 0), 0);
    assert_int_equal(read_numbers(p, &vip).vip.connections, 1); /* our own */
    close(client);
    close(listener);
    stop_servers(&s);
    p->ops->close(p, true);
    end_machine(machine, to_machine);
}

/* Many large messages that fail: the answer is why, not that there was no room for so many answers. */
static void test_the_first_error_is_told(void **state)
{
    struct nft_socket socket;
    struct nft_batch batch;
    struct err err = {0};
    static const uint8_t padding[40000];
    (void)state;
    if (!enter_namespace())
        return;
    assert_int_equal(nft_socket_open(&socket, &err), 0);
    nft_batch_init(&batch);
    for (int i = 0; i < 40; i++) {
        struct nlmsghdr *m = nft_batch_message(&batch, NFT_MSG_DELSETELEM, 0);
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_TABLE, "muster_nobody");
        mnl_attr_put_strz(m, NFTA_SET_ELEM_LIST_SET, "vip4");
        mnl_attr_put(m, NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, sizeof(padding), padding);
        nft_batch_end_message(&batch);
    }
    assert_int_equal(nft_batch_send(&socket, &batch, false, &err), -ENOENT);
    assert_non_null(strstr(err.text, "vip4"));
    nft_batch_deinit(&batch);
    nft_socket_close(&socket);
}

/* -- many -------------------------------------------------------------------------------------------------------- */

static void take_total(void *ctx, const struct lb_endpoint *backend, const struct lb_counters *c)
{
    assert_int_equal(c->connections, 0);
    ((struct numbers *)ctx)->count += backend != NULL;
}

static void test_many(void **state)
{
    enum { VIPS = 10000, BACKENDS = 10 };
    struct servers s;
    int client, server;
    (void)state;
    if (!enter_namespace())
        return;
    struct lb_change *changes = calloc(VIPS, sizeof(*changes));
    struct lb_backend *backends = calloc((size_t)VIPS * BACKENDS, sizeof(*backends));
    for (uint32_t i = 0; i < VIPS; i++) {
        for (uint32_t k = 0; k < BACKENDS; k++)
            backends[i * BACKENDS + k].at = lb_endpoint_of_ipv4(LB_TCP, 0x0a000001 + i, (uint16_t)(30000 + k));
        changes[i] = (struct lb_change){.vip = lb_endpoint_of_ipv4(LB_TCP, 0x0b010000 + i, 80),
                                        .name = "x",
                                        .backends = &backends[i * BACKENDS],
                                        .backend_count = BACKENDS};
    }
    struct lb_plane *p = open_plane("t");
    struct lb_routes *routes = vip_routes();
    struct lb_endpoint vip = endpoint(LB_TCP, "11.0.0.1", 80);
    start_servers(&s, LB_TCP, "127.0.0.1", 2);
    apply_one(p, &vip, &s);
    (void)connect_through(&vip, &s, &client, &server);
    double started = now_ms();
    p->ops->apply(p, changes, VIPS);
    double took = now_ms() - started;
    assert_null(p->ops->problem(p, &changes[0].vip));
    printf("%d VIPs with %d back ends applied in %.0f ms\n", VIPS, VIPS * BACKENDS, took);
    started = now_ms();
    for (int i = 0; i < 20; i++) {
        s.backends[i % 2].is_draining = i < 18;
        s.backends[1 - i % 2].is_draining = false;
        apply_one(p, &vip, &s);
    }
    printf("one VIP's change beside them: %.2f ms\n", (now_ms() - started) / 20);
    (void)connect_through(&vip, &s, NULL, NULL);
    started = now_ms();
    for (int i = 0; i < VIPS; i++) {
        struct numbers n = {.count = 0};
        p->ops->counters(p, &changes[i].vip, take_total, &n);
        assert_int_equal(n.count, BACKENDS);
    }
    printf("counters of all: %.0f ms\n", now_ms() - started);
    started = now_ms();
    assert_int_equal(p->ops->repair(p, NULL), 0);
    printf("repair when nothing happened: %.2f ms\n", now_ms() - started);
    meddle("muster_t", "vip4");
    started = now_ms();
    struct err why = {0};
    int mended = p->ops->repair(p, &why);
    if (mended < 0)
        fail_msg("%s", why.text);
    assert_int_equal(mended, VIPS + 1);
    printf("repair of a map that was emptied: %.0f ms\n", now_ms() - started);
    meddle("muster_t", NULL);
    started = now_ms();
    assert_int_equal(p->ops->repair(p, NULL), 1 + VIPS * (1 + BACKENDS) + 3);
    printf("repair of a table that was deleted: %.0f ms\n", now_ms() - started);
    p->ops->close(p, false);
    p = open_plane("t");
    started = now_ms();
    p->ops->apply(p, changes, VIPS);
    printf("take-over of all: %.0f ms\n", now_ms() - started);
    echo_over(client, server);
    assert_int_equal(open_socket(&vip, false), -ECONNREFUSED);
    started = now_ms();
    p->ops->close(p, true);
    printf("removal: %.0f ms\n", now_ms() - started);
    close(client);
    close(server);
    stop_servers(&s);
    (void)lb_routes_free(routes, true);
    free(changes);
    free(backends);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_places_are_kept),
        cmocka_unit_test(test_many_share_evenly),
        cmocka_unit_test(test_tcp),
        cmocka_unit_test(test_tcp_ipv6),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_udp_ipv6),
        cmocka_unit_test(test_flows_end_in_slices),
        cmocka_unit_test(test_flows_after_a_take_over),
        cmocka_unit_test(test_repair),
        cmocka_unit_test(test_take_over),
        cmocka_unit_test(test_a_second_look),
        cmocka_unit_test(test_two_instances),
        cmocka_unit_test(test_another_machine),
        cmocka_unit_test(test_a_loopback_vip_of_another_machine),
        cmocka_unit_test(test_an_intruder),
        cmocka_unit_test(test_no_ipv6),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_the_first_error_is_told),
        cmocka_unit_test(test_many),
    };
    return cmocka_run_group_tests_name("nft", tests, NULL, NULL);
}
