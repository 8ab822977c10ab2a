/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/heap_room.h"

#define PIECE_BYTES 1000u
#define ROOM_BYTES ((size_t)64 << 20)
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_OTHER_ALLOCATOR true
#else
#define HAS_OTHER_ALLOCATOR false
#endif

/* Is the address in a mapping that may get huge pages? "hg" stands among its flags, proc(5). */
static bool may_be_huge(const void *address)
{
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    char line[512];
    bool is_it = false, is_huge = false;
    while (fgets(line, sizeof(line), file) != NULL) {
        uintptr_t begin, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &begin, &end) == 2)
            is_it = begin <= (uintptr_t)address && (uintptr_t)address < end;
        else if (is_it && strncmp(line, "VmFlags:", 8) == 0)
            is_huge = strstr(line, " hg") != NULL;
    }
    fclose(file);
    return is_huge;
}

static void test_heap_room__small_pieces_come_from_huge_pages(void **state)
{
    (void)state;
    static void *pieces[ROOM_BYTES / 2 / PIECE_BYTES];
    size_t count = sizeof(pieces) / sizeof(pieces[0]);
    heap_room_prepare(ROOM_BYTES);
    for (size_t i = 0; i < count; i++)
        assert_non_null(pieces[i] = malloc(PIECE_BYTES));
    if (HAS_OTHER_ALLOCATOR)
        print_message("not looked at: a sanitizer brings its own allocator\n");
    else if (access("/sys/kernel/mm/transparent_hugepage/enabled", F_OK) != 0)
        print_message("not looked at: this kernel has no huge pages\n");
    else
        assert_true(may_be_huge(pieces[count / 2]) && may_be_huge(pieces[count - 1]));
    for (size_t i = 0; i < count; i++)
        free(pieces[i]);
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
