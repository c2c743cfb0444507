/* SPDX-License-Identifier: BSD-3-Clause */
/* The leaves of leaves.h. Threads: one. */
#include "leaves.h"

#include "pipe_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TITLE "remediate digest "
#define VERSION "2 "
#define KEY_DIGITS 32u
#define LIST_MOST 32768u

void leaves_add(struct leaves *leaves, uint32_t leaf)
{
    leaves->bits[leaf / 8] |= (uint8_t)(1u << leaf % 8);
}

bool leaves_have(const struct leaves *leaves, uint32_t leaf)
{
    return leaves->all || (leaves->bits[leaf / 8] >> leaf % 8 & 1) != 0;
}

void leaves_rekey(const struct leaves *leaves, struct remed_replica *replica)
{
    if (!leaves->all)
        remed_replica_rekey(replica, &leaves->key, NULL); /* no key of zeros is ever read */
}

bool leaves_have_record(const struct leaves *leaves, const struct remed_replica *replica,
                        const struct remed_record *record)
{
    uint8_t key[REMED_KEY_MAX];
    size_t length = remed_record_key(record, key, sizeof key);
    return leaves->all || leaves_have(leaves, remed_replica_leaf(replica, key, length));
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

static bool parse_digits(const char *text, unsigned count, uint64_t *value)
{
    *value = 0;
    for (unsigned i = 0; i < count; i++) {
        const char *digits = "0123456789abcdef";
        const char *digit = text[i] != '\0' ? strchr(digits, text[i]) : NULL;
        if (digit == NULL)
            return false;
        *value = *value << 4 | (uint64_t)(digit - digits);
    }
    return true;
}

/* Reads a digest's key of 32 digits, and steps behind it. */
static bool parse_key(struct remed_digest_key *key, const char **at)
{
    if (!parse_digits(*at, KEY_DIGITS / 2, &key->word[0]) ||
        !parse_digits(*at + KEY_DIGITS / 2, KEY_DIGITS / 2, &key->word[1]))
        return false;
    *at += KEY_DIGITS;
    return (key->word[0] | key->word[1]) != 0;
}

static void print_key(const struct remed_digest_key *key)
{
    printf("%016" PRIx64 "%016" PRIx64, key->word[0], key->word[1]);
}

/* A leaf's number; no number is as long as to wrap. */
static bool parse_leaf(const char **at, uint32_t *leaf)
{
    size_t length = strspn(*at, "0123456789");
    if (length == 0 || length > 4)
        return false;
    *leaf = (uint32_t)strtoul(*at, NULL, 10);
    *at += length;
    return *leaf < REMED_DIGEST_LEAVES;
}

/* Reads "5" or "7-9" and what stands behind it. */
static bool parse_range(struct leaves *leaves, const char **at)
{
    uint32_t first, last;
    if (!parse_leaf(at, &first))
        return false;
    last = first;
    if (**at == '-') {
        ++*at;
        if (!parse_leaf(at, &last))
            return false;
    }
    for (uint32_t leaf = first; leaf <= last; leaf++)
        leaves_add(leaves, leaf);
    return first <= last;
}

static bool parse_list(struct leaves *leaves, const char *text)
{
    if (!parse_key(&leaves->key, &text) || *text++ != ':')
        return false;
    do {
        if (!parse_range(leaves, &text))
            return false;
        text += *text == '\n' && text[1] == '\0';
    } while (*text++ == ',');
    return text[-1] == '\0';
}

/* The whole of a file with a list. */
static bool read_list(const char *path, char *list, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t got = file != NULL ? fread(list, 1, size - 1, file) : 0;
    bool right = file != NULL && ferror(file) == 0;
    if (!right)
        fail("%s: %s", path, strerror(errno));
    if (file != NULL)
        fclose(file);
    list[got] = '\0';
    if (right && got == size - 1)
        fail("%s: more than %u bytes are no list of leaves", path, LIST_MOST - 1);
    return right && got < size - 1;
}

bool leaves_parse(struct leaves *leaves, const char *text)
{
    static char list[LIST_MOST];
    memset(leaves, 0, sizeof *leaves);
    if (*text == '@') {
        if (!read_list(text + 1, list, sizeof list))
            return false;
        text = list;
    }
    if (parse_list(leaves, text))
        return true;
    fail("leaves are the list that 'audit' printed for a digest: its key, a colon, and numbers "
         "below "
         "%u such as 5,17-20",
         REMED_DIGEST_LEAVES);
    return false;
}

void leaves_print(const struct leaves *leaves)
{
    const char *comma = NULL;
    for (uint32_t leaf = 0; leaf < REMED_DIGEST_LEAVES; leaf++) {
        uint32_t first = leaf;
        if (!leaves_have(leaves, leaf))
            continue;
        while (leaf + 1 < REMED_DIGEST_LEAVES && leaves_have(leaves, leaf + 1))
            leaf++;
        if (comma == NULL)
            print_key(&leaves->key);
        comma = comma == NULL ? ":" : ",";
        printf(first == leaf ? "%s%" PRIu32 : "%s%" PRIu32 "-%" PRIu32, comma, first, leaf);
    }
}

void digest_print(const struct remed_replica *replica)
{
    struct remed_digest_key key;
    struct remed_digest digest;
    remed_replica_digest_key(replica, &key);
    printf(TITLE VERSION "%u ", REMED_DIGEST_LEAVES);
    print_key(&key);
    puts("");
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
    if (strcmp(path, "-") == 0)
        return input_begins_with(TITLE);
    FILE *file = fopen(path, "r");
    bool is = file != NULL && fgets(begin, sizeof begin, file) != NULL && strcmp(begin, TITLE) == 0;
    if (file != NULL)
        fclose(file);
    return is;
}

static bool parse_title(const char *line, struct remed_digest_key *key)
{
    char leaves[16];
    const char *at = line + strlen(TITLE VERSION);
    snprintf(leaves, sizeof leaves, "%u ", REMED_DIGEST_LEAVES);
    if (strncmp(line, TITLE VERSION, strlen(TITLE VERSION)) != 0 ||
        strncmp(at, leaves, strlen(leaves)) != 0)
        return false;
    at += strlen(leaves);
    return parse_key(key, &at) && strcmp(at, "\n") == 0;
}

/* "LEAF COUNT SUM SUM" */
static bool parse_leaf_line(const char *line, struct digest *digest)
{
    struct remed_digest read;
    const char *at = line;
    uint32_t leaf;
    if (!parse_leaf(&at, &leaf) || *at++ != ' ')
        return false;
    size_t length = strspn(at, "0123456789");
    if (length == 0 || length > 18) /* so it can't wrap */
        return false;
    read.count = strtoull(at, NULL, 10);
    at += length;
    if (*at != ' ' || !parse_digits(at + 1, 16, &read.sum[0]) || at[17] != ' ' ||
        !parse_digits(at + 18, 16, &read.sum[1]) || strcmp(at + 34, "\n") != 0)
        return false;
    bool first = digest->leaves[leaf].count == 0;
    digest->leaves[leaf] = read;
    return first && read.count != 0;
}

static bool read_lines(FILE *file, const char *path, struct digest *digest)
{
    char line[128];
    unsigned number = 1;
    bool right = fgets(line, sizeof line, file) != NULL;
    if (right && !parse_title(line, &digest->key)) {
        fail("%s: not a digest of version 2 with %u leaves; have it made by this version", path,
             REMED_DIGEST_LEAVES);
        return false;
    }
    while (right && fgets(line, sizeof line, file) != NULL) {
        number++;
        right = parse_leaf_line(line, digest);
    }
    if (ferror(file) != 0) {
        fail("%s: %s", path, strerror(errno));
        return false;
    }
    if (!right)
        fail("%s:%u: no line of a digest of %u leaves", path, number, REMED_DIGEST_LEAVES);
    return right;
}

bool digest_read(const char *path, struct digest *digest)
{
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "r");
    memset(digest, 0, sizeof *digest);
    if (file == NULL) {
        fail("%s: %s", path, strerror(errno));
        return false;
    }
    bool right = read_lines(file, path, digest);
    if (!input)
        fclose(file);
    return right;
}
