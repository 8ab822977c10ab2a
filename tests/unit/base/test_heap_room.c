/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/base/heap_room.h"

#define ROOM_BYTES ((size_t)64 << 20)
#define PIECE_BYTES 1000u
#define PIECES (ROOM_BYTES / 2 / PIECE_BYTES)

static long faults_of_pieces(void)
{
    static void *pieces[PIECES];
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    for (size_t i = 0; i < PIECES; i++)
        memset(pieces[i] = malloc(PIECE_BYTES), 1, PIECE_BYTES);
    getrusage(RUSAGE_SELF, &after);
    for (size_t i = 0; i < PIECES; i++)
        free(pieces[i]);
    return after.ru_minflt - before.ru_minflt;
}

static bool gives_huge_pages(void)
{
    char text[64] = "";
    int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && strstr(text, "[never]") == NULL;
}

/* Half of the room is used: a fault for each page of 4 KiB would be 8,192. */
static void test_heap_room__small_pieces_come_from_huge_pages(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("not looked at: a sanitizer brings its own allocator\n");
    heap_room_prepare(ROOM_BYTES);
#else
    heap_room_prepare(ROOM_BYTES);
    long faults = faults_of_pieces();
    if (gives_huge_pages())
        assert_in_range(faults, 0, 4000);
    else
        print_message("not looked at: this kernel gives no huge pages\n");
#endif
}

static void test_heap_room__little_needs_no_preparation(void **state)
{
    (void)state;
    void *before = sbrk(0);
    heap_room_prepare(1 << 20);
    assert_ptr_equal(sbrk(0), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_room__little_needs_no_preparation),
        cmocka_unit_test(test_heap_room__small_pieces_come_from_huge_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
