/* SPDX-License-Identifier: Apache-2.0
 * launch_bare.c - the least that a start in namespaces can cost: one clone3, the mounts of an OCI bundle, pivot_root, a
 * short system call filter, exec. No supervisor, no records, no users, no masked files, and every error ends it. */
#include "tests/bench/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define MUST(call)                                                                                                         \
    do {                                                                                                                   \
        if ((call) < 0) {                                                                                                  \
            dprintf(STDERR_FILENO, "bare: %s: %s\n", #call, strerror(errno));                                              \
            _exit(111);                                                                                                    \
        }                                                                                                                  \
    } while (0)

static void filter_calls(void)
{
    static const unsigned refused[] = {SYS_kexec_load, SYS_init_module,     SYS_finit_module, SYS_delete_module,
                                       SYS_reboot,     SYS_swapon,          SYS_swapoff,      SYS_mount,
                                       SYS_umount2,    SYS_ptrace,          SYS_keyctl,       SYS_add_key,
                                       SYS_bpf,        SYS_perf_event_open, SYS_userfaultfd};
    enum { COUNT = sizeof(refused) / sizeof(refused[0]) };
    struct sock_filter f[COUNT + 3];
    unsigned short n = 0;
    f[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    for (unsigned i = 0; i < COUNT; i++)
        f[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused[i], (uint8_t)(COUNT - i), 0);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    f[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = {.len = n, .filter = f};
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
}

static void make_root(const char *root)
{
    static const struct {
        const char *name;
        unsigned minor_number;
    } devices[] = {{"dev/null", 3}, {"dev/zero", 5}, {"dev/full", 7}, {"dev/random", 8}, {"dev/urandom", 9}};
    MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
    MUST(mount(root, root, NULL, MS_BIND | MS_REC, NULL));
    MUST(chdir(root));
    MUST(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL));
    MUST(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k"));
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        MUST(mknod(devices[i].name, S_IFCHR | 0666, makedev(1, devices[i].minor_number)));
    MUST(mkdir("dev/pts", 0755));
    MUST(mkdir("dev/shm", 01777));
    MUST(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"));
    MUST(mount("shm", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=65536k"));
    MUST(mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_RDONLY, NULL));
    MUST(syscall(SYS_pivot_root, ".", "."));
    MUST(umount2(".", MNT_DETACH));
    MUST(chdir("/"));
    MUST(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
}

void launch_bare(const char *root, struct launch_times *out)
{
    char group[128];
    int ends[2], group_fd = -1;
    (void)snprintf(group, sizeof(group), "%s/bench-launch-%d", launch_cgroup2(), (int)getpid());
    struct clone_args args = {.flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID, .exit_signal = SIGCHLD};
    MUST(pipe2(ends, O_CLOEXEC));
    int64_t begin = launch_now_ns();
    if (mkdir(group, 0755) == 0 && (group_fd = open(group, O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)group_fd;
    }
    pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0) {
        char *argv[] = {(char *)"/stamp", NULL}, *envp[] = {NULL};
        MUST(dup2(ends[1], STDOUT_FILENO));
        make_root(root);
        filter_calls();
        MUST(execve(argv[0], argv, envp));
    }
    MUST(pid);
    (void)close(ends[1]);
    int64_t stamp = launch_read_stamp(ends[0]);
    int status = 0;
    MUST(waitpid(pid, &status, 0));
    if (group_fd >= 0) {
        (void)close(group_fd);
        MUST(rmdir(group));
    }
    out->exec_ms = (double)(stamp - begin) / 1e6;
    out->total_ms = (double)(launch_now_ns() - begin) / 1e6;
    if (status != 0)
        exit(1);
}
