/* SPDX-License-Identifier: BSD-3-Clause */
/* The conformance suite on the transports of the core: memory:, and file: by several settings. */
#include "conformance/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HUBS 64u

static struct remed_memory_hub *hubs[HUBS];
static char folder[64];

static void memory_uri(char *text, size_t size, unsigned topic)
{
    (void)topic;
    snprintf(text, size, "memory:");
}

static struct remed_memory_hub *memory_hub(unsigned topic)
{
    if (hubs[topic % HUBS] == NULL)
        remed_memory_hub_new(&hubs[topic % HUBS], 64u << 20, NULL);
    return hubs[topic % HUBS];
}

static void file_uri(char *text, size_t size, unsigned topic)
{
    snprintf(text, size, "file://%s/%u", folder, topic);
}

static void compacting_uri(char *text, size_t size, unsigned topic)
{
    snprintf(text, size, "file://%s/%u?segment=16KiB&compact=2&sync=always", folder, topic);
}

int main(void)
{
    const struct conformance memory = {.uri = memory_uri, .hub = memory_hub};
    const struct conformance file = {.uri = file_uri}, compacting = {.uri = compacting_uri};
    char remove[128];
    snprintf(folder, sizeof folder, "/tmp/remediate-conformance-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return EXIT_FAILURE;
    unsigned failed = conformance_run("memory", &memory);
    failed += conformance_run("file", &file);
    failed += conformance_run("file, compacting", &compacting);
    for (unsigned i = 0; i < HUBS; i++)
        remed_memory_hub_free(hubs[i]);
    snprintf(remove, sizeof remove, "rm -rf %s", folder);
    if (system(remove) != 0)
        failed++;
    printf("%s\n", failed == 0 ? "all passed" : "some FAILED");
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
