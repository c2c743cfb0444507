/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a rule set is compiled to.
 *
 * A rule is a run of steps. Each step looks at the line at one place and moves on, or fails. `[a]`
 * and `(a | b)` are the only choices: what fails within goes on at the next alternative, and once
 * an alternative has matched, the others are out of question. No step is ever run twice for a line
 * by one rule, so that the time is at most steps times the line's length, whatever an attacker puts
 * in.
 *
 * Threads: a rule set never changes once compiled.
 */
#ifndef REMED_DRIVER_LOG_PROGRAM_H
#define REMED_DRIVER_LOG_PROGRAM_H

#include <remediate/log_rules.h>
#include "base/base.h"

#define REMED_LOG_DEPTH 16u   /* nested groups, within one pattern */
#define REMED_LOG_WORDS 10u   /* words that conditions look at, within one rule */
#define REMED_LOG_ENTRIES 64u /* keys or columns of one walk */
#define REMED_LOG_NO_RULE UINT32_MAX

/* Where a value goes. An address and its port are neighbours. */
enum remed_log_slot {
    REMED_SLOT_SRC = 0,
    REMED_SLOT_SPORT,
    REMED_SLOT_DST,
    REMED_SLOT_DPORT,
    REMED_SLOT_XSRC,
    REMED_SLOT_XSPORT,
    REMED_SLOT_XDST,
    REMED_SLOT_XDPORT,
    REMED_SLOT_BACKEND,
    REMED_SLOT_BPORT,
    REMED_SLOT_SERVICE,
    REMED_SLOT_VPORT,
    REMED_SLOT_PROTO,
    REMED_SLOT_CBYTES, /* from the client, from the server */
    REMED_SLOT_SBYTES,
    REMED_SLOT_CPACKETS,
    REMED_SLOT_SPACKETS,
    REMED_SLOT_TIME,
    REMED_SLOT_DATE,
    REMED_SLOT_CLOCK,
    REMED_SLOT_NAME, /* of a backend */
    REMED_SLOT_KEY,
    REMED_SLOT_WORD, /* and REMED_LOG_WORDS - 1 more */
    REMED_SLOT_NONE = REMED_SLOT_WORD + REMED_LOG_WORDS
};

enum remed_log_type {
    REMED_TYPE_NONE = 0,
    REMED_TYPE_IP,       /* an address */
    REMED_TYPE_ENDPOINT, /* 1.2.3.4:80, [2001:db8::1]:80, the address alone */
    REMED_TYPE_LASTPORT, /* the same, and 2001:db8::1:80 has port 80 */
    REMED_TYPE_LIST,     /* endpoints with ", " between them: the last one */
    REMED_TYPE_PORT,     /* 0 to 65535 */
    REMED_TYPE_NUMBER,   /* 64 bits */
    REMED_TYPE_PROTOCOL, /* a name or 0 to 255 */
    REMED_TYPE_WORD,     /* bytes up to a blank, at least one */
    REMED_TYPE_NAME,     /* letters, digits and . - _ ~ < > $ # * @ +, at least one */
    REMED_TYPE_DIGITS,   /* decimal digits, at least one */
    REMED_TYPE_UNTIL,    /* bytes before the next step's literal, maybe none */
    REMED_TYPE_ESCAPED,  /* the same, and a backslash takes the byte behind it along */
    REMED_TYPE_QUOTED,   /* "text", \ escapes, the quotes not captured */
    REMED_TYPE_STAMP,    /* date and time in one of the usual forms */
    REMED_TYPE_EPOCH,    /* s, ms, us or ns since the Unix epoch, by the count of digits */
    REMED_TYPE_MOMENT,   /* the one or the other */
    REMED_TYPE_DATE,     /* 2026-11-24 or 2026/11/24 */
    REMED_TYPE_CLOCK     /* 12:34:56 */
};

enum remed_log_code {
    REMED_CODE_LITERAL, /* exactly these bytes */
    REMED_CODE_IP,      /* what most lines are made of has codes of its own: an address, */
    REMED_CODE_PORT,    /* a port into a slot, */
    REMED_CODE_PROTO,   /* a protocol into its slot, */
    REMED_CODE_WORD,    /* a word, */
    REMED_CODE_NAME,    /* a name, */
    REMED_CODE_DIGITS,  /* digits */
    REMED_CODE_FIND,    /* on to behind the first occurrence of these bytes */
    REMED_CODE_FIELD,   /* a value of a type, into a slot */
    REMED_CODE_BLANKS,  /* any number of blanks */
    REMED_CODE_BEFORE,  /* these bytes must follow here, */
    REMED_CODE_NOT,     /* these must not */
    REMED_CODE_LACKS,   /* they must not stand anywhere in the rest of the line */
    REMED_CODE_OPEN,    /* the text from here, */
    REMED_CODE_CLOSE,   /* up to here, into a slot */
    REMED_CODE_WALK,    /* the rest of the line, key by key or column by column */
    REMED_CODE_REST,    /* the rest of the line, whatever it is */
    REMED_CODE_END,     /* nothing but blanks is left */
    REMED_CODE_TRY,     /* from here on, failing goes on at `target` */
    REMED_CODE_COMMIT,  /* no more of that; go on at `target` */
    REMED_CODE_MATCH    /* the rule matches */
};

struct remed_log_step {
    uint8_t code; /* enum remed_log_code */
    uint8_t type; /* enum remed_log_type */
    uint8_t slot; /* enum remed_log_slot */
    uint8_t
        advance; /* steps on to the next one: 2 over a literal that is looked at along with it */
    uint32_t target; /* step, or the walk's number */
    uint16_t first;  /* of a TRY: the byte that its way begins with, 256 for any */
    uint16_t seen;   /* 1: first.c was here */
    uint64_t head;   /* the literal's first bytes, as many as 8, */
    uint64_t mask;   /* and where they count */
    uint64_t tail;   /* its last 8, of a longer one */
    uint32_t text;   /* the literal, in the pool */
    uint32_t length; /* its bytes; of a bounded FIND, `limit` more may stand before it */
    uint32_t limit;
    uint32_t line, column; /* where it was written */
};

/* One key or column that is wanted. */
struct remed_log_entry {
    uint32_t text, length;            /* the key, in the pool */
    uint32_t literal, literal_length; /* the value must be this; length 0: a type */
    uint32_t column;                  /* the column's number */
    uint8_t type, slot;
    uint8_t optional; /* 1: a value that is no such thing is no value */
    uint8_t more;     /* 1: behind it may stand more, parted by : / or a blank */
    uint8_t stop;     /* 1: what comes after this key is not looked at */
    uint32_t line, place;
};

enum remed_log_style {
    REMED_STYLE_EQUALS, /* key=value key="value" */
    REMED_STYLE_COLON,  /* key:"value"; key:"value" */
    REMED_STYLE_COMMAS, /* key: value, key: value */
    REMED_STYLE_SPACED, /* key=value with blanks key=value: as in CEF */
    REMED_STYLE_JSON,   /* {"a":{"key":"value"}}: the key is a.key */
    REMED_STYLE_COLUMNS /* a,"b",c */
};

#define REMED_LOG_BUCKETS 256u

struct remed_log_walk {
    uint8_t style;
    char separator;     /* between columns, or between keys with their values */
    uint8_t count;      /* of entries */
    uint8_t base, last; /* number of the first column here, and of the last that is wanted */
    uint32_t entries;   /* the first one */
    uint64_t required;  /* bit by entry: must have been there */
    uint8_t bucket[REMED_LOG_BUCKETS]; /* hash of a key, or a column: entry + 1 */
};

enum remed_log_test { REMED_TEST_IS, REMED_TEST_HAS };

/* One term of a condition; a run of them with `last` set in the last must all hold. */
struct remed_log_term {
    uint8_t test, slot;
    uint8_t negated, last;
    uint32_t first, count; /* of its words */
};

struct remed_log_word {
    uint32_t text, length;
};

/* "if the terms hold, it is this": an event, who opened, a kind of record. */
struct remed_log_clause {
    uint8_t value;
    uint8_t conditional; /* 0: always */
    uint16_t reserved;
    uint32_t terms; /* the first one */
};

enum remed_log_opener { REMED_OPENER_SRC, REMED_OPENER_DST, REMED_OPENER_EITHER };

struct remed_log_program_rule {
    char name[REMED_LOG_NAME_MAX + 1];
    uint32_t line, column; /* of its name */
    uint32_t start;        /* its first step */
    uint32_t steps;
    uint32_t keys, key_count;    /* words that its key may be */
    uint32_t event, event_count; /* clauses, tried in turn */
    uint32_t opener, opener_count;
    uint32_t give, give_count;
    uint8_t proto; /* set by the rule itself; 255: by the line */
    uint8_t word_count;
};

/* A key's rules, in the set's order; `next` chains what hashes alike. */
struct remed_log_bucket {
    uint64_t head, tail; /* of the key */
    uint32_t text, length;
    uint32_t rules, count; /* in the order array */
    uint32_t next;
};

struct remed_array {
    void *items;
    size_t count, room;
};

struct remed_log_rules {
    struct remed_allocator allocator;
    struct remed_array pool;         /* char */
    struct remed_array steps;        /* struct remed_log_step */
    struct remed_array walks;        /* struct remed_log_walk */
    struct remed_array entries;      /* struct remed_log_entry */
    struct remed_array clauses;      /* struct remed_log_clause */
    struct remed_array terms;        /* struct remed_log_term */
    struct remed_array words;        /* struct remed_log_word */
    struct remed_array rules;        /* struct remed_log_program_rule */
    struct remed_array begins;       /* uint32_t: first steps */
    struct remed_array buckets;      /* struct remed_log_bucket */
    struct remed_array order;        /* uint32_t: rules by bucket */
    uint32_t *heads;                 /* hash of a key: bucket + 1 */
    uint32_t head_count;             /* a power of two */
    uint32_t unkeyed, unkeyed_count; /* rules without a key, in the order array */
    uint32_t title;                  /* in the pool, with its NUL */
    bool syslog;                     /* a header may stand before the line */
    uint8_t may_begin[256];          /* by byte: whether a begin can start with it */
};

/* Room for one more, or NULL. */
void *remed_array_add(struct remed_array *array, size_t size,
                      const struct remed_allocator *allocator);
void remed_array_free(struct remed_array *array, size_t size,
                      const struct remed_allocator *allocator);

#define REMED_ITEM(array, type, index) ((type *)(array).items + (index))

static inline const char *remed_log_text(const struct remed_log_rules *rules, uint32_t at)
{
    return (const char *)rules->pool.items + at;
}

static inline uint64_t remed_log_load64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static inline uint32_t remed_log_load32(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Equal bytes; most are few, and then a call costs more than the bytes. */
static inline bool remed_log_equal(const uint8_t *a, const uint8_t *b, size_t length)
{
    if (length > 16)
        return memcmp(a, b, length) == 0;
    if (length >= 8)
        return remed_log_load64(a) == remed_log_load64(b) &&
               remed_log_load64(a + length - 8) == remed_log_load64(b + length - 8);
    if (length >= 4)
        return remed_log_load32(a) == remed_log_load32(b) &&
               remed_log_load32(a + length - 4) == remed_log_load32(b + length - 4);
    unsigned different = 0;
    for (size_t i = 0; i < length; i++)
        different |= a[i] ^ b[i];
    return different == 0;
}

/* Both ends of a few bytes: all of them, up to 16. */
struct remed_log_ends {
    uint64_t head, tail;
};

static inline struct remed_log_ends remed_log_ends_of(const uint8_t *key, size_t length)
{
    struct remed_log_ends ends = {0, 0};
    if (length >= 8) {
        ends.head = remed_log_load64(key);
        ends.tail = remed_log_load64(key + length - 8);
    } else if (length >= 4) {
        ends.head = remed_log_load32(key);
        ends.tail = remed_log_load32(key + length - 4);
    } else {
        for (size_t i = 0; i < length; i++)
            ends.head = ends.head << 8 | key[i];
    }
    return ends;
}

static inline uint64_t remed_log_mix(struct remed_log_ends ends, size_t length)
{
    return (ends.head ^ (ends.tail << 23 | ends.tail >> 41) ^ length) * 0x9e3779b97f4a7c15ull;
}

/* Of a key of a walk: a place in its buckets. */
static inline unsigned remed_log_key_hash(const uint8_t *key, size_t length)
{
    return (unsigned)(remed_log_mix(remed_log_ends_of(key, length), length) >> 56);
}

/* A dispatch key's rules, or NULL. */
static inline struct remed_log_bucket *remed_log_find_bucket(const struct remed_log_rules *rules,
                                                             const uint8_t *key, size_t length)
{
    struct remed_log_ends ends = remed_log_ends_of(key, length);
    uint64_t mixed = remed_log_mix(ends, length);
    uint32_t at = rules->heads[(uint32_t)(mixed >> 32) & (rules->head_count - 1)];
    while (at != 0) {
        struct remed_log_bucket *bucket =
            REMED_ITEM(rules->buckets, struct remed_log_bucket, at - 1);
        if (bucket->length == length && bucket->head == ends.head && bucket->tail == ends.tail &&
            (length <= 16 || memcmp(remed_log_text(rules, bucket->text), key, length) == 0))
            return bucket;
        at = bucket->next;
    }
    return NULL;
}

#endif
