/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Redis publisher and subscriber without a server: replies are put where a socket would have put
 * them, and what would be sent is looked at.
 */
#include "unit/test.h"

#include "backend/redis/publish.h"
#include "backend/redis/subscribe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Counts, and fails from the n-th on. */
struct counting {
    size_t calls, fail_at, live_bytes;
};

static void *counting_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    struct counting *counting = context;
    if (new_size == 0) {
        counting->live_bytes -= old_size;
        free(memory);
        return NULL;
    }
    if (++counting->calls == counting->fail_at)
        return NULL;
    void *grown = realloc(memory, new_size);
    if (grown != NULL)
        counting->live_bytes += new_size - old_size;
    return grown;
}

static struct counting memory;
static struct remed_redis_options options;
static struct remed_redis_publisher publisher;
static struct remed_redis_subscriber subscriber;
static struct remed_error error;
static uint64_t delivered, failed, last_tag;
static unsigned caught_up;
static char seen[4096]; /* "key=value@offset " of each message */

static void on_delivered(void *context, uint64_t tag, int code)
{
    (void)context;
    delivered += code == 0;
    failed += code != 0;
    CU_ASSERT(delivered + failed == 1 || tag == last_tag + 1); /* in order */
    last_tag = tag;
}

static void on_message(void *context, const struct remed_message *message)
{
    size_t length = strlen(seen);
    (void)context;
    CU_ASSERT((message->value == NULL) == (message->value_length == 0));
    snprintf(seen + length, sizeof seen - length, "%.*s=%.*s ", (int)message->key_length,
             (const char *)message->key, (int)message->value_length,
             message->value != NULL ? (const char *)message->value : "");
}

static void on_caught_up(void *context)
{
    (void)context;
    caught_up++;
}

/* As if a connection had come up. */
static void connect_link(struct remed_redis_link *link)
{
    link->state = REMED_REDIS_READY;
    link->session++;
    memset(link->sha, 'a', sizeof link->sha - 1);
}

static void setup(void)
{
    const struct remed_transport_events events = {
        .delivered = on_delivered, .message = on_message, .caught_up = on_caught_up};
    const struct remed_log log = {NULL, NULL};
    const struct remed_allocator allocator = {&memory, counting_resize};
    memset(&memory, 0, sizeof memory);
    memset(&options, 0, sizeof options);
    memset(&publisher, 0, sizeof publisher);
    memset(&subscriber, 0, sizeof subscriber);
    memset(&error, 0, sizeof error);
    delivered = failed = last_tag = caught_up = 0;
    seen[0] = '\0';
    snprintf(options.host, sizeof options.host, "h");
    snprintf(options.stream, sizeof options.stream, "s");
    options.max_entries = 7;
    options.timeout = 5000000000ull;
    remed_redis_link_init(&publisher.link, &options, NULL, -1, &log, &allocator);
    remed_redis_link_init(&subscriber.link, &options, NULL, -1, &log, &allocator);
    publisher.options = subscriber.options = &options;
    publisher.events = subscriber.events = events;
    publisher.allocator = allocator;
    publisher.max_pending_bytes = 1u << 20;
    CU_ASSERT_EQUAL_FATAL(remed_redis_publisher_init(&publisher, 1024, &error), 0);
    remed_redis_subscriber_init(&subscriber);
    connect_link(&publisher.link);
    connect_link(&subscriber.link);
}

static void teardown(void)
{
    remed_redis_publisher_give_up(&publisher);
    remed_redis_publisher_fini(&publisher);
    remed_redis_subscriber_fini(&subscriber);
    CU_ASSERT_EQUAL(memory.live_bytes, 0);
}

static void feed(struct remed_redis_link *link, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void feed(struct remed_redis_link *link, const char *format, ...)
{
    char text[8192];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    remed_redis_buffer_append(&link->in, text, (size_t)length);
}

/* Takes what was sent, and says whether it has that text in it. */
static bool sent(struct remed_redis_link *link, const char *text)
{
    struct remed_redis_buffer *out = &link->out;
    uint8_t end = 0;
    remed_redis_buffer_append(out, &end, 1);
    bool found = out->bytes != NULL && strstr((const char *)out->bytes + out->begin, text) != NULL;
    if (!found)
        printf("    sent: %s\n", (const char *)out->bytes + out->begin);
    remed_redis_buffer_clear(out, SIZE_MAX);
    return found;
}

static int publish(const char *key, const char *value, uint64_t tag)
{
    const struct remed_message message = {.key = (const uint8_t *)key,
                                          .value = (const uint8_t *)value,
                                          .key_length = strlen(key),
                                          .value_length = strlen(value)};
    return remed_redis_publisher_take(&publisher, &message, tag, &error);
}

static int run_publisher(void)
{
    return remed_redis_publisher_run(&publisher, &error);
}

static void test_batches(void)
{
    for (uint64_t tag = 1; tag <= 300; tag++)
        CU_ASSERT_EQUAL(publish("k", tag % 2 != 0 ? "v" : "", tag), 0);
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(publisher.under_way, 1); /* the second is not full: it waits, and gathers */
    CU_ASSERT_EQUAL(remed_redis_publisher_deadline(&publisher), options.timeout);
    CU_ASSERT_TRUE(sent(&publisher.link, "*523\r\n$7\r\nEVALSHA\r\n$40\r\naaaa"));
    feed(&publisher.link, ":1\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(delivered, 256);
    CU_ASSERT_EQUAL(publisher.under_way, 1);
    CU_ASSERT_EQUAL(publish("k", "v", 301), 0); /* the second is closed: a third */
    feed(&publisher.link, ":0\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(delivered, 300);
    CU_ASSERT_TRUE(sent(&publisher.link,
                        "$1\r\n3\r\n$1\r\n1\r\n$1\r\n0\r\n$1\r\n7\r\n$1\r\nk\r\n$1\r\nv\r\n"));
    feed(&publisher.link, ":1\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(delivered, 301);
    CU_ASSERT_EQUAL(publisher.pending_bytes, 0);
    CU_ASSERT_EQUAL(remed_redis_publisher_deadline(&publisher), UINT64_MAX);
}

/* What has no answer goes again, as it was, the oldest as the first. */
static void test_sent_again(void)
{
    publish("a", "1", 1);
    run_publisher();
    for (uint64_t tag = 2; tag <= 257; tag++)
        publish("b", "2", tag);
    publish("c", "3", 258);
    run_publisher();
    CU_ASSERT_EQUAL(publisher.under_way, 2);
    CU_ASSERT_TRUE(
        sent(&publisher.link, "$1\r\n1\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n7\r\n$1\r\na\r\n"));
    remed_redis_link_drop(&publisher.link, "gone");
    publish("c", "4", 259);
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(remed_redis_buffer_held(&publisher.link.out), 0);
    connect_link(&publisher.link);
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(publisher.under_way, 2);
    CU_ASSERT_TRUE(
        sent(&publisher.link, "$1\r\n2\r\n$1\r\n0\r\n$1\r\n0\r\n$1\r\n7\r\n$1\r\nb\r\n"));
    feed(&publisher.link, ":0\r\n:1\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(delivered, 257);
    CU_ASSERT_TRUE(sent(&publisher.link, "$1\r\nc\r\n$1\r\n3\r\n$1\r\nc\r\n$1\r\n4\r\n"));
    feed(&publisher.link, ":1\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    CU_ASSERT_EQUAL(delivered, 259);
}

static void test_refusals(void)
{
    static const struct {
        const char *reply;
        int code;
    } cases[] = {{"-OOM command not allowed\r\n", 0},
                 {"-LOADING the dataset\r\n", 0},
                 {"-NOSCRIPT No matching script\r\n", 0},
                 {"-READONLY You can't write\r\n", 0},
                 {"-MISCONF no disk\r\n", 0},
                 {":-1\r\n", 0},
                 {"-NOPERM no\r\n", REMED_EPERM},
                 {"-NOAUTH who\r\n", REMED_EPERM},
                 {"-WRONGTYPE of key\r\n", REMED_EIO},
                 {"-ERR\r\n", REMED_EIO},
                 {"+OK\r\n", REMED_EFORMAT},
                 {"*0\r\n", REMED_EFORMAT},
                 {"HTTP/1.1 400 Bad Request\r\n", REMED_EFORMAT}};
    publish("a", "1", 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        run_publisher();
        feed(&publisher.link, "%s", cases[i].reply);
        int rc = run_publisher();
        CU_ASSERT_EQUAL(rc, cases[i].code);
        if (rc != cases[i].code)
            printf("    %s\n", cases[i].reply);
        CU_ASSERT_EQUAL(publisher.link.state, REMED_REDIS_DOWN);
        CU_ASSERT_EQUAL(delivered + failed, 0); /* it will be tried again */
        connect_link(&publisher.link);
    }
    remed_redis_link_drop(&publisher.link, "gone");
    for (uint64_t tag = 2; publish("k", "v", tag) == 0; tag++)
        continue;
    CU_ASSERT_EQUAL(error.code, REMED_EBUSY);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "no connection: gone"));
}

/* An answer to nothing is a server that lost count. */
static void test_answer_to_nothing(void)
{
    feed(&publisher.link, ":1\r\n");
    CU_ASSERT_EQUAL(run_publisher(), REMED_EFORMAT);
    CU_ASSERT_EQUAL(publisher.link.state, REMED_REDIS_DOWN);
}

static void test_bytes_are_bounded(void)
{
    static char value[300001];
    memset(value, 'x', sizeof value - 1);
    CU_ASSERT_EQUAL(publish("a", value, 1), 0);
    CU_ASSERT_EQUAL(publish("a", value, 2), 0);
    CU_ASSERT_EQUAL(publish("a", value, 3), 0);
    CU_ASSERT_EQUAL(publish("a", value, 4), REMED_EBUSY);
    CU_ASSERT_EQUAL(publish("a", "small", 4), 0);
    CU_ASSERT_EQUAL(publisher.last->number, 4); /* each alone, and the small one */
}

/* Once it runs, nothing is allocated. */
static void test_steady_state(void)
{
    size_t before = 0;
    uint64_t tag = 1;
    for (unsigned round = 0; round < 50; round++) {
        for (unsigned i = 0; i < 1000; i++)
            CU_ASSERT_EQUAL(publish("a key of a record", "the value of a record", tag++), 0);
        run_publisher();
        remed_redis_buffer_clear(&publisher.link.out, SIZE_MAX);
        feed(&publisher.link, ":1\r\n:1\r\n:1\r\n");
        run_publisher();
        remed_redis_buffer_clear(&publisher.link.out, SIZE_MAX);
        feed(&publisher.link, ":1\r\n");
        run_publisher();
        if (round == 5)
            before = memory.calls;
    }
    CU_ASSERT_EQUAL(delivered, 50000);
    CU_ASSERT_EQUAL(memory.calls, before);
}

/* Without memory a message is refused, and all that was taken is still there. */
static void test_no_memory(void)
{
    static char value[5000];
    memset(value, 'x', sizeof value - 1);
    uint64_t tag = 0;
    for (size_t n = 1; n < 10; n++) {
        memory.fail_at = memory.calls + n;
        for (unsigned i = 0; i < 5; i++)
            if (publish("k", value, tag + 1) == 0)
                tag++;
    }
    memory.fail_at = 0;
    CU_ASSERT(tag > 20 && tag < 45);
    CU_ASSERT_EQUAL(publisher.tags.count, tag);
    remed_redis_publisher_give_up(&publisher);
    CU_ASSERT_EQUAL(failed, tag);
}

#define ID "0123456789abcdef0123456789abcdef"

/* On a new connection the stream's id is asked for first. */
static int run_subscriber(void)
{
    const struct remed_redis_link *link = &subscriber.link;
    if (link->state == REMED_REDIS_READY && subscriber.session != link->session) {
        CU_ASSERT_EQUAL(remed_redis_subscriber_run(&subscriber, &error), 0);
        CU_ASSERT_TRUE(sent(&subscriber.link, "*3\r\n$4\r\nHGET\r\n$4\r\ns:id\r\n$2\r\nid\r\n"));
        feed(&subscriber.link, "$32\r\n" ID "\r\n");
    }
    return remed_redis_subscriber_run(&subscriber, &error);
}

static const char *position(void)
{
    static char text[128];
    remed_redis_subscriber_position(&subscriber, text, sizeof text);
    return text;
}

#define ENTRY(id, before, key, value)                                                              \
    "*2\r\n$3\r\n" id "\r\n*4\r\n$0\r\n\r\n$3\r\n" before "\r\n$1\r\n" key "\r\n$1\r\n" value "\r" \
    "\n"
#define STREAM(count) "*1\r\n*2\r\n$1\r\ns\r\n*" count "\r\n"

static void scan_from_start(void)
{
    CU_ASSERT_EQUAL(remed_redis_subscriber_begin(&subscriber, "begin", &error), 0);
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link, "*3\r\n$4\r\nHGET\r\n$8\r\ns:newest\r\n$0\r\n\r\n"));
    feed(&subscriber.link, "$3\r\n5-1\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link, "HSCAN\r\n$8\r\ns:newest\r\n$1\r\n0\r\n"));
    CU_ASSERT_STRING_EQUAL(position(), "begin");
    /* b is newer than the start, c is not of our making, '' is the last id */
    feed(&subscriber.link, "*2\r\n$1\r\n9\r\n*8\r\n$1\r\na\r\n$5\r\n4-0 A\r\n$1\r\nb\r\n$5\r\n6-0 B"
                           "\r\n$1\r\nc\r\n$3\r\nfoo\r\n$0\r\n\r\n$3\r\n6-0\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_STRING_EQUAL(seen, "a=A ");
    CU_ASSERT_EQUAL(subscriber.damaged, 1);
}

static void test_begin(void)
{
    scan_from_start();
    CU_ASSERT_TRUE(sent(&subscriber.link, "$1\r\n9\r\n"));
    feed(&subscriber.link, "*2\r\n$1\r\n0\r\n*0\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link, "HGET"));
    feed(&subscriber.link, "$3\r\n6-0\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link,
                        "XREAD\r\n$5\r\nCOUNT\r\n$2\r\n16\r\n$5\r\nBLOCK\r\n$4\r\n"
                        "2500\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$3\r\n5-1\r\n"));
    CU_ASSERT_EQUAL(caught_up, 0);
    CU_ASSERT_STRING_EQUAL(position(), "redis:" ID "/0/s/5-1");
    feed(&subscriber.link, STREAM("1") ENTRY("6-0", "5-1", "b", "B"));
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_EQUAL(caught_up, 1);
    CU_ASSERT_STRING_EQUAL(seen, "a=A b=B ");
    CU_ASSERT_STRING_EQUAL(position(), "redis:" ID "/0/s/6-0");
}

/* The scan begins again, from the same start. */
static void test_scan_interrupted(void)
{
    scan_from_start();
    remed_redis_link_drop(&subscriber.link, "gone");
    connect_link(&subscriber.link);
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link, "HSCAN\r\n$8\r\ns:newest\r\n$1\r\n0\r\n"));
    feed(&subscriber.link, "*2\r\n$1\r\n0\r\n*2\r\n$1\r\nb\r\n$5\r\n6-0 B\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_STRING_EQUAL(seen, "a=A ");
}

/* A reply that is too long is asked for in smaller steps; one alone that is too long is refused. */
static void test_reply_too_long(void)
{
    scan_from_start();
    feed(&subscriber.link, "$70000000\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_EQUAL(subscriber.link.state, REMED_REDIS_DOWN);
    connect_link(&subscriber.link);
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_TRUE(sent(&subscriber.link, "$1\r\n0\r\n$5\r\nCOUNT\r\n$1\r\n1\r\n"));
    feed(&subscriber.link, "*2\r\n$1\r\n0\r\n$70000000\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), REMED_ELIMIT);
}

static void test_fallen_behind(void)
{
    CU_ASSERT_EQUAL(remed_redis_subscriber_begin(&subscriber, "redis:-/0/s/5-1", &error), 0);
    run_subscriber();
    feed(&subscriber.link, "$3\r\n9-0\r\n");
    run_subscriber();
    feed(&subscriber.link, STREAM("1") ENTRY("8-0", "7-0", "b", "B"));
    CU_ASSERT_EQUAL(run_subscriber(), REMED_ENOENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "fell behind: entries after 5-1 are gone"));
    CU_ASSERT_STRING_EQUAL(seen, "");
    CU_ASSERT_EQUAL(remed_redis_subscriber_process(&subscriber, 1, &error), REMED_ENOENT);
    CU_ASSERT_EQUAL(remed_redis_subscriber_deadline(&subscriber), UINT64_MAX);
}

/* The position is beyond what the server has; or it has nothing of what it says it has. */
static void test_server_lost_entries(void)
{
    CU_ASSERT_EQUAL(remed_redis_subscriber_begin(&subscriber, "redis:-/0/s/5-1", &error), 0);
    run_subscriber();
    feed(&subscriber.link, "$3\r\n4-0\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), REMED_ENOENT);
    teardown();
    setup();
    remed_redis_subscriber_begin(&subscriber, "redis:-/0/s/5-1", &error);
    run_subscriber();
    feed(&subscriber.link, "$3\r\n6-0\r\n");
    run_subscriber();
    feed(&subscriber.link, "*-1\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), REMED_ENOENT);
}

/* Somebody else's entries are passed over; ours behind them follow ours before them. */
static void test_foreign_entries(void)
{
    CU_ASSERT_EQUAL(remed_redis_subscriber_begin(&subscriber, "end", &error), 0);
    CU_ASSERT_STRING_EQUAL(position(), "end");
    run_subscriber();
    feed(&subscriber.link, "$3\r\n5-1\r\n");
    run_subscriber();
    CU_ASSERT_EQUAL(caught_up, 1);
    feed(&subscriber.link,
         STREAM("3") "*2\r\n$3\r\n6-0\r\n*4\r\n$1\r\nx\r\n$1\r\ny\r\n$1\r\nz\r\n"
                     "$1\r\nz\r\n" ENTRY("6-1", "5-1", "k",
                                         "V") "*2\r\n$3\r\n7-0\r\n*2\r\n$0\r\n\r\n$1\r\ny\r\n");
    CU_ASSERT_EQUAL(run_subscriber(), 0);
    CU_ASSERT_STRING_EQUAL(seen, "k=V ");
    CU_ASSERT_EQUAL(subscriber.damaged, 2);
    CU_ASSERT_STRING_EQUAL(position(), "redis:" ID "/0/s/6-1");
    sent(&subscriber.link, "");
    feed(&subscriber.link, "*-1\r\n");
    run_subscriber();
    CU_ASSERT_TRUE(sent(&subscriber.link, "$3\r\n7-0\r\n"));
}

static void test_other_forms(void)
{
    static const char *const forms[] = {"$3\r\nabc\r\n",
                                        "*0\r\n",
                                        ":1\r\n",
                                        STREAM("1") "*2\r\n$3\r\n1-0\r\n*-1\r\n",
                                        STREAM("1") "*1\r\n$3\r\n9-0\r\n",
                                        STREAM("1") "*2\r\n$3\r\n9-0\r\n*1\r\n$0\r\n\r\n",
                                        "!"};
    remed_redis_subscriber_begin(&subscriber, "end", &error);
    run_subscriber();
    feed(&subscriber.link, "$3\r\n5-1\r\n");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        run_subscriber();
        feed(&subscriber.link, "%s", forms[i]);
        CU_ASSERT_EQUAL(run_subscriber(), REMED_EFORMAT);
        CU_ASSERT_EQUAL(subscriber.link.state, REMED_REDIS_DOWN);
        connect_link(&subscriber.link);
    }
    CU_ASSERT_STRING_EQUAL(seen, "");
}

/* A stream that was made anew, or is gone, is not read on. */
static void test_another_stream(void)
{
    static const char *const answers[] = {"$-1\r\n", "$32\r\nfedcba9876543210fedcba9876543210\r\n"};
    for (size_t i = 0; i < 2; i++) {
        remed_redis_subscriber_begin(&subscriber, "redis:" ID "/0/s/5-1", &error);
        CU_ASSERT_EQUAL(remed_redis_subscriber_run(&subscriber, &error), 0);
        feed(&subscriber.link, "%s", answers[i]);
        CU_ASSERT_EQUAL(remed_redis_subscriber_run(&subscriber, &error), REMED_ENOENT);
        CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "begin anew"));
        CU_ASSERT_EQUAL(remed_redis_subscriber_process(&subscriber, 1, &error), REMED_ENOENT);
        teardown();
        setup();
    }
    remed_redis_subscriber_begin(&subscriber, "end", &error);
    remed_redis_subscriber_run(&subscriber, &error);
    feed(&subscriber.link, "$3\r\nabc\r\n");
    CU_ASSERT_EQUAL(remed_redis_subscriber_run(&subscriber, &error), REMED_EFORMAT);
}

/* A server that quotes the password does not get it into a message. */
static void test_quoted_password(void)
{
    snprintf(options.password, sizeof options.password, "Hunter22Hunter");
    publish("a", "1", 1);
    run_publisher();
    feed(&publisher.link, "-ERR proxy refused 'Hunter22Hunter' and Hunter22\r\n");
    CU_ASSERT_EQUAL(run_publisher(), REMED_EIO);
    CU_ASSERT_PTR_NULL(strstr(error.message, "unter"));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "proxy refused"));
}

/* What is waited for is told until an answer is good, over connections that come up in between. */
static void test_waiting(void)
{
    char text[256];
    CU_ASSERT_EQUAL(remed_redis_link_waiting(&publisher.link, text, sizeof text), 0);
    publish("a", "1", 1);
    run_publisher();
    feed(&publisher.link, "-OOM command not allowed\r\n");
    CU_ASSERT_EQUAL(run_publisher(), 0);
    connect_link(&publisher.link);
    CU_ASSERT(remed_redis_link_waiting(&publisher.link, text, sizeof text) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "OOM command not allowed; tries again"));
    run_publisher();
    feed(&publisher.link, ":1\r\n");
    run_publisher();
    CU_ASSERT_EQUAL(remed_redis_link_waiting(&publisher.link, text, sizeof text), 0);
    publish("a", "1", 2);
    run_publisher();
    publisher.link.now = publisher.link.active_at + 1500000000ull;
    CU_ASSERT(remed_redis_link_waiting(&publisher.link, text, sizeof text) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "no answer yet"));
}

static const struct test_case publish_cases[] = {
    {"batches, in order", test_batches},
    {"what has no answer is sent again", test_sent_again},
    {"what the server refuses", test_refusals},
    {"an answer to nothing", test_answer_to_nothing},
    {"bytes are bounded", test_bytes_are_bounded},
    {"nothing is allocated once it runs", test_steady_state},
    {"no memory", test_no_memory},
    {"a password that the server quotes", test_quoted_password},
    {"waiting is told", test_waiting},
    {NULL, NULL}};

static const struct test_case subscribe_cases[] = {
    {"from the beginning, while it changes", test_begin},
    {"a scan that is interrupted", test_scan_interrupted},
    {"a reply that is too long", test_reply_too_long},
    {"fallen behind", test_fallen_behind},
    {"a server that lost entries", test_server_lost_entries},
    {"somebody else's entries", test_foreign_entries},
    {"replies of another form", test_other_forms},
    {"another stream of that name", test_another_stream},
    {NULL, NULL}};

const struct test_suite test_suites[] = {{"redis: publishing", publish_cases, setup, teardown},
                                         {"redis: subscribing", subscribe_cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
