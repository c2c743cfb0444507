/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs a fuzz target over the files of folders: the corpus and the old finds, without a fuzzer. A
 * folder that is missing or empty is no input; no input at all is a failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    uint8_t *data = malloc(1u << 20);
    size_t size = data != NULL ? fread(data, 1, 1u << 20, file) : 0;
    fclose(file);
    uint8_t *exact = malloc(size > 0 ? size : 1); /* exact, so that sanitizers see overreads */
    if (exact != NULL && data != NULL) {
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(data);
    return 1;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        struct dirent *entry;
        while (folder != NULL && (entry = readdir(folder)) != NULL) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            if (entry->d_name[0] != '.')
                files += run_file(path);
        }
        if (folder != NULL)
            closedir(folder);
    }
    printf("%d files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
