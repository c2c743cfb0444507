/* SPDX-License-Identifier: BSD-3-Clause */
/* The leaves of leaves.h. Threads: one. */
#include "leaves.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TITLE "remediate digest 1 "
#define LIST_MOST 32768u

void leaves_add(struct leaves *leaves, uint32_t leaf)
{
    leaves->bits[leaf / 8] |= (uint8_t)(1u << leaf % 8);
}

bool leaves_have(const struct leaves *leaves, uint32_t leaf)
{
    return leaves->all || (leaves->bits[leaf / 8] >> leaf % 8 & 1) != 0;
}

bool leaves_have_record(const struct leaves *leaves, const struct remed_record *record)
{
    uint8_t key[REMED_KEY_MAX];
    size_t length = remed_record_key(record, key, sizeof key);
    return leaves->all || leaves_have(leaves, remed_replica_leaf(key, length));
}

uint64_t leaves_entries(const struct leaves *leaves, const struct remed_replica *replica)
{
    struct remed_digest digest;
    uint64_t count = 0;
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        remed_replica_digest(replica, leaf, &digest);
        count += leaves_have(leaves, leaf) ? digest.count : 0;
    }
    return count;
}

/* Reads "5" or "7-9" and what stands behind it. */
static bool parse_range(struct leaves *leaves, const char **at)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    unsigned long first = strtoul(*at, &end, 10), last = first;
    if (*end == '-' && end[1] >= '0' && end[1] <= '9')
        last = strtoul(end + 1, &end, 10);
    if (first > last || last >= REMED_DIGEST_LEAVES)
        return false;
    for (unsigned long leaf = first; leaf <= last; leaf++)
        leaves_add(leaves, (uint32_t)leaf);
    *at = end;
    return true;
}

static bool parse_list(struct leaves *leaves, const char *text)
{
    do {
        if (!parse_range(leaves, &text))
            return false;
        text += *text == '\n' && text[1] == '\0';
    } while (*text++ == ',');
    return text[-1] == '\0';
}

bool leaves_parse(struct leaves *leaves, const char *text)
{
    static char list[LIST_MOST];
    memset(leaves, 0, sizeof *leaves);
    if (*text == '@') {
        FILE *file = fopen(text + 1, "r");
        size_t got = file != NULL ? fread(list, 1, sizeof list - 1, file) : 0;
        if (file == NULL) {
            fail("%s: %s", text + 1, strerror(errno));
            return false;
        }
        list[got] = '\0';
        fclose(file);
        text = list;
    }
    if (parse_list(leaves, text))
        return true;
    fail("leaves are a list such as 5,17-20, below %u", REMED_DIGEST_LEAVES);
    return false;
}

void leaves_print(const struct leaves *leaves)
{
    const char *comma = "";
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        uint32_t first = leaf;
        if (!leaves_have(leaves, leaf))
            continue;
        while (leaf + 1 < REMED_DIGEST_LEAVES && leaves_have(leaves, leaf + 1))
            leaf++;
        printf(first == leaf ? "%s%" PRIu32 : "%s%" PRIu32 "-%" PRIu32, comma, first, leaf);
        comma = ",";
    }
}

void digest_print(const struct remed_replica *replica)
{
    struct remed_digest digest;
    printf(TITLE "%u\n", REMED_DIGEST_LEAVES);
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        remed_replica_digest(replica, leaf, &digest);
        if (digest.count != 0)
            printf("%" PRIu32 " %" PRIu64 " %016" PRIx64 " %016" PRIx64 "\n", leaf, digest.count,
                   digest.sum[0], digest.sum[1]);
    }
}

bool digest_is_file(const char *path)
{
    char begin[sizeof TITLE] = "";
    FILE *file = strcmp(path, "-") != 0 ? fopen(path, "r") : NULL;
    bool is = file != NULL && fgets(begin, sizeof begin, file) != NULL && strcmp(begin, TITLE) == 0;
    if (file != NULL)
        fclose(file);
    return is;
}

bool digest_read(const char *path, struct remed_digest *digests)
{
    char line[128];
    unsigned number = 1;
    bool right = true;
    FILE *file = fopen(path, "r");
    memset(digests, 0, REMED_DIGEST_LEAVES * sizeof *digests);
    if (file == NULL || fgets(line, sizeof line, file) == NULL) {
        fail("%s: %s", path, strerror(errno));
        if (file != NULL)
            fclose(file);
        return false;
    }
    right = strtoul(line + strlen(TITLE), NULL, 10) == REMED_DIGEST_LEAVES;
    while (right && fgets(line, sizeof line, file) != NULL) {
        struct remed_digest digest;
        uint32_t leaf;
        char end;
        number++;
        right = sscanf(line, "%" SCNu32 " %" SCNu64 " %16" SCNx64 " %16" SCNx64 "%c", &leaf,
                       &digest.count, &digest.sum[0], &digest.sum[1], &end) == 5 &&
                end == '\n' && leaf < REMED_DIGEST_LEAVES;
        if (right)
            digests[leaf] = digest;
    }
    fclose(file);
    if (!right)
        fail("%s:%u: no line of a digest of %u leaves", path, number, REMED_DIGEST_LEAVES);
    return right;
}
