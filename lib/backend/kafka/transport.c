/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver: the contract of transport.h on librdkafka. Deliveries are librdkafka's delivery
 * reports with acks=all; back-pressure is its full queue; lost connections are its own to mend.
 *
 * Threads: one thread a transport.
 */
#include "backend/kafka/kafka.h"
#include "backend/kafka/position.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#if UINTPTR_MAX < UINT64_MAX
#error "librdkafka's message opaque can't hold a 64-bit tag on this machine"
#endif

static void release(struct remed_kafka *kafka)
{
    struct remed_allocator allocator = kafka->allocator;
    if (kafka->conf != NULL)
        rd_kafka_conf_destroy(kafka->conf);
    if (kafka->wake >= 0)
        close(kafka->wake);
    remed_kafka_forget_position(kafka);
    remed_kafka_forget_secrets(kafka);
    remed_kafka_sockets_fini(&kafka->sockets);
    remed_release(&allocator, kafka->shares, kafka->share_count * sizeof *kafka->shares);
    remed_release(&allocator, kafka, sizeof *kafka);
}

static int kafka_open(void **state, const struct remed_uri *uri,
                      const struct remed_transport_opts *opts,
                      const struct remed_transport_events *events, struct remed_error *error)
{
    struct remed_allocator allocator = remed_allocator_or_default(opts->allocator);
    struct remed_kafka *made = remed_allocate(&allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    made->allocator = allocator;
    made->wake = -1;
    made->events = *events;
    made->log = opts->log;
    made->max_pending = opts->max_pending;
    made->max_pending_bytes = opts->max_pending_bytes;
    remed_kafka_sockets_init(&made->sockets);
    made->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int rc = made->wake >= 0
                 ? remed_kafka_configure(made, uri, error)
                 : remed_error_set(error, REMED_EIO, "kafka: no eventfd: %s", strerror(errno));
    if (rc == 0 && opts->origin != NULL &&
        snprintf(made->origin, sizeof made->origin, "%s", opts->origin) >= (int)sizeof made->origin)
        rc = remed_error_set(error, REMED_EINVAL, "kafka: the origin is longer than %zu bytes",
                             sizeof made->origin - 1);
    if (rc < 0)
        release(made);
    else
        *state = made;
    return rc;
}

/* A value of no bytes is a tombstone: NULL to Kafka. */
rd_kafka_resp_err_t remed_kafka_produce(struct remed_kafka *kafka,
                                        const struct remed_message *message, uint64_t tag)
{
    void *value = message->value_length != 0 ? (void *)(uintptr_t)message->value : NULL;
    const rd_kafka_vu_t fields[] = {
        {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = kafka->producer_topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY,
         .u.mem = {(void *)(uintptr_t)message->key, message->key_length}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, message->value_length}},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)tag},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"remediate", "1", 1}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"origin", kafka->origin, -1}},
    };
    size_t count = sizeof fields / sizeof *fields;
    count -= kafka->headers ? kafka->origin[0] == '\0' : 2;
    rd_kafka_error_t *failure = rd_kafka_produceva(kafka->producer, fields, count);
    rd_kafka_resp_err_t code =
        failure != NULL ? rd_kafka_error_code(failure) : RD_KAFKA_RESP_ERR_NO_ERROR;
    rd_kafka_error_destroy(failure);
    return code;
}

static int kafka_publish(void *state, const struct remed_message *message, uint64_t tag,
                         struct remed_error *error)
{
    struct remed_kafka *kafka = state;
    if (kafka->producer == NULL) {
        int rc = remed_kafka_make_producer(kafka, error);
        if (rc < 0)
            return rc;
    }
    if (kafka->pending == 0) /* whatever was noted before, waiting begins here */
        kafka->progress_at = kafka->trouble.since = kafka->now;
    if (kafka->producer_topic == NULL || kafka->held != NULL) {
        int rc = remed_kafka_hold(kafka, message, tag, error);
        kafka->pending += rc == 0;
        return rc;
    }
    rd_kafka_resp_err_t code = remed_kafka_produce(kafka, message, tag);
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        kafka->pending++;
        return 0;
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        return remed_error_set(error, REMED_EBUSY, "kafka: the queue is full");
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        return remed_error_set(error, REMED_ELIMIT, "kafka: %s", rd_kafka_err2str(code));
    default:
        return remed_error_set(error, REMED_EIO, "kafka: %s%s%.200s", rd_kafka_err2str(code),
                               kafka->fatal[0] != '\0' ? ": " : "", kafka->fatal);
    }
}

/* A position that is none may be anything, also a URI in the wrong place. */
static int check_position(const struct remed_kafka *kafka, const char *from,
                          struct remed_error *error)
{
    char topic[REMED_KAFKA_NAME], cluster[REMED_KAFKA_NAME], shown[80];
    const char *places = remed_kafka_read_position(from, cluster, topic);
    remed_uri_redacted(from, shown, sizeof shown);
    if (places == NULL && remed_kafka_is_position(from))
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: '%s' is a position of an older version, which does not name "
                               "its topic; begin anew",
                               shown);
    if (places == NULL)
        return remed_error_set(error, REMED_EINVAL, "'%s' is no position of kafka:", shown);
    if (strcmp(topic, kafka->topic) != 0)
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: the position belongs to topic %.80s, this is topic %.80s",
                               topic, kafka->topic);
    return 0;
}

static int kafka_subscribe(void *state, const char *from, struct remed_error *error)
{
    struct remed_kafka *kafka = state;
    bool position = strcmp(from, "begin") != 0 && strcmp(from, "end") != 0;
    int rc = position ? check_position(kafka, from, error) : 0;
    if (rc < 0)
        return rc;
    if (kafka->group[0] != '\0' && strcmp(from, "begin") != 0)
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: a member of a group reads its share from the beginning");
    size_t size = strlen(from) + 1;
    kafka->from = remed_allocate(&kafka->allocator, size);
    if (kafka->from == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a position");
    memcpy(kafka->from, from, size);
    rc = remed_kafka_make_consumer(kafka, error);
    kafka->subscribes = rc == 0;
    kafka->progress_at = kafka->now;
    if (rc < 0)
        remed_kafka_forget_position(kafka);
    return rc;
}

static int kafka_process(void *state, uint64_t now, struct remed_error *error)
{
    struct remed_kafka *kafka = state;
    uint64_t woken;
    int more = 0;
    if (kafka->now == 0)
        kafka->progress_at = now;
    kafka->now = now;
    (void)!read(kafka->wake, &woken, sizeof woken); /* takes all wakings at once */
    if (kafka->producer != NULL)
        more = rd_kafka_poll(kafka->producer, 0) > 0;
    if (kafka->fatal[0] != '\0')
        return remed_error_set(error, REMED_EIO, "kafka: %.200s", kafka->fatal);
    int rc = remed_kafka_make_topic(kafka, now, error);
    if (rc == 0 && kafka->producer != NULL && kafka->making[0].done) {
        if (kafka->producer_topic == NULL)
            rc = remed_kafka_open_topic(kafka, error);
        else if (kafka->held != NULL)
            remed_kafka_produce_held(kafka);
    }
    if (rc == 0 && kafka->subscribes)
        rc = remed_kafka_consume(kafka, now, error);
    int start = rc < 0 ? 0 : remed_kafka_check_start(kafka, error);
    if (start < 0)
        rc = start;
    return rc < 0 ? rc : rc > 0 || more;
}

static int kafka_descriptor(const void *state, short *events)
{
    *events = 1; /* POLLIN */
    return ((const struct remed_kafka *)state)->wake;
}

static uint64_t kafka_deadline(const void *state)
{
    const struct remed_kafka *kafka = state;
    uint64_t asking = remed_kafka_asking_deadline(kafka); /* answers wake the eventfd */
    uint64_t making = remed_kafka_making_deadline(kafka);
    uint64_t start = remed_kafka_start_deadline(kafka);
    asking = asking < making ? asking : making;
    return asking < start ? asking : start;
}

static size_t kafka_position(const void *state, char *text, size_t size)
{
    const struct remed_kafka *kafka = state;
    size_t at = 0, begin;
    if (kafka->from != NULL)
        return (size_t)snprintf(text, size, "%s", kafka->from); /* nothing was handed out yet */
    begin = at = remed_kafka_write_name(text, size, kafka->asking.cluster, kafka->topic);
    for (uint32_t i = 0; i < kafka->share_count; i++) {
        if (kafka->shares[i].next < 0)
            continue; /* nothing of it was seen: it begins */
        int length = snprintf(at < size ? text + at : NULL, at < size ? size - at : 0, "%s%u:%lld",
                              at > begin ? "," : "", i, (long long)kafka->shares[i].next);
        at += length > 0 ? (size_t)length : 0;
    }
    if (at == begin)
        return (size_t)snprintf(text, size, "begin");
    return at;
}

static void kafka_stats(const void *state, struct remed_transport_stats *stats)
{
    const struct remed_kafka *kafka = state;
    stats->reconnects += kafka->reconnects;
    stats->damaged += kafka->damaged;
}

static size_t kafka_damage(const void *state, char *text, size_t size)
{
    return (size_t)snprintf(text, size, "%s", ((const struct remed_kafka *)state)->damage);
}

static size_t kafka_waiting(const void *state, char *text, size_t size)
{
    return remed_kafka_waiting(state, text, size);
}

static int kafka_close(void *state, struct remed_error *error)
{
    struct remed_kafka *kafka = state;
    (void)error;
    kafka->closing = true;
    for (unsigned i = 0; i < 2; i++)
        if (kafka->making[i].answers != NULL)
            rd_kafka_queue_destroy(kafka->making[i].answers);
    if (kafka->producer != NULL)
        remed_kafka_close_producer(kafka);
    if (kafka->consumer != NULL)
        remed_kafka_close_consumer(kafka);
    release(kafka);
    return 0;
}

const struct remed_transport_driver *remed_kafka_driver(void)
{
    static const struct remed_transport_driver driver = {
        .size = sizeof(struct remed_transport_driver),
        .scheme = "kafka",
        .open = kafka_open,
        .publish = kafka_publish,
        .subscribe = kafka_subscribe,
        .process = kafka_process,
        .descriptor = kafka_descriptor,
        .deadline = kafka_deadline,
        .position = kafka_position,
        .stats = kafka_stats,
        .close = kafka_close,
        .damage = kafka_damage,
        .waiting = kafka_waiting,
    };
    return &driver;
}
