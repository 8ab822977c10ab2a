/* SPDX-License-Identifier: Apache-2.0
 * run_corpus.c - main of the fuzz programs in ordinary builds: feeds every file of the given folders to the target once. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    CHECK(fseek(f, 0, SEEK_END) == 0);
    long size = ftell(f);
    CHECK(size >= 0 && fseek(f, 0, SEEK_SET) == 0);
    uint8_t *data = xmalloc((size_t)size);
    CHECK(fread(data, 1, (size_t)size, f) == (size_t)size);
    (void)fclose(f);                                  /* read only */
    (void)LLVMFuzzerTestOneInput(data, (size_t)size); /* always 0 */
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            fprintf(stderr, "%s: no corpus\n", argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (e->d_name[0] == '.')
                continue;
            char path[4096];
            CHECK(snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name) < (int)sizeof(path));
            count += run_file(path);
        }
        closedir(dir);
    }
    printf("%zu inputs\n", count);
    return count == 0;
}
