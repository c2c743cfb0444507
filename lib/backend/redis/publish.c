/* SPDX-License-Identifier: BSD-3-Clause */
/* The publishing of publish.h. Threads: belongs to one transport. */
#include "backend/redis/publish.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#define BATCH_MESSAGES 256u
#define BATCH_BYTES (256u << 10)
#define UNDER_WAY_MOST 64u
#define RENEW_NS (3600 * REMED_NS_PER_S) /* the number's expiry is a day away then */
#define OUT_BYTES ((size_t)1 << 20) /* beyond it nothing is added to what the socket waits for */

/*
 * KEYS: stream, hash of the newest, the publisher's number, hash with the stream's id.
 * ARGV: number, 1 when it is the first without an answer, 1 to put off the number's expiry,
 *       entries to keep, key, value, key, value, …
 * Returns 1: done, 0: was done already, -1: its predecessor was not.
 *
 * The stream's entry has the id of its predecessor in the field '', and so has the hash the id of
 * the last; keys are never empty. A value in the hash is "id value". The stream's id is the nonce
 * of whoever published first; it is looked for by the first batch of a connection and of a stream.
 */
static const char script[] =
    "local call = redis.call\n"
    "local number, last = tonumber(ARGV[1]), tonumber(call('GET', KEYS[3]) or 0)\n"
    "if last >= number then return 0 end\n"
    "if ARGV[2] ~= '1' and last ~= number - 1 then return -1 end\n"
    "local before = call('HGET', KEYS[2], '')\n"
    "if (ARGV[3] == '1' or not before) and not call('HGET', KEYS[4], 'id') then\n"
    "  call('HSET', KEYS[4], 'id', string.sub(KEYS[3], -32))\n"
    "end\n"
    "before = before or '0-0'\n"
    /* One value: most batches where records are few, and the time of each counts. */
    "if #ARGV == 6 and ARGV[6] ~= '' and ARGV[4] ~= '0' then\n"
    "  local id = call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[4], '*', '', before, ARGV[5], "
    "ARGV[6])\n"
    "  call('HSET', KEYS[2], '', id, ARGV[5], id .. ' ' .. ARGV[6])\n"
    "else\n"
    "  local entry, at = {KEYS[1]}, 1\n"
    "  if ARGV[4] ~= '0' then\n"
    "    entry[2], entry[3], entry[4], at = 'MAXLEN', '~', ARGV[4], 4\n"
    "  end\n"
    "  entry[at + 1], entry[at + 2], entry[at + 3] = '*', '', before\n"
    "  local newest = {}\n"
    "  for i = 5, #ARGV, 2 do\n"
    "    entry[at + i - 1], entry[at + i] = ARGV[i], ARGV[i + 1]\n"
    "    newest[ARGV[i]] = i\n"
    "  end\n"
    "  local id = call('XADD', unpack(entry))\n"
    "  local set, sets, gone, goes = {KEYS[2], '', id}, 3, {KEYS[2]}, 1\n"
    "  for i = 5, #ARGV, 2 do\n"
    "    if newest[ARGV[i]] ~= i then\n"
    "    elseif ARGV[i + 1] == '' then\n"
    "      goes = goes + 1\n"
    "      gone[goes] = ARGV[i]\n"
    "    else\n"
    "      set[sets + 1], set[sets + 2], sets = ARGV[i], id .. ' ' .. ARGV[i + 1], sets + 2\n"
    "    end\n"
    "  end\n"
    "  call('HSET', unpack(set))\n"
    "  if goes > 1 then call('HDEL', unpack(gone)) end\n"
    "end\n"
    "if last == number - 1 and ARGV[3] == '0' then\n"
    "  call('INCR', KEYS[3])\n" /* much the cheaper, and keeps the expiry */
    "else\n"
    "  call('SET', KEYS[3], ARGV[1], 'EX', 86400)\n"
    "end\n"
    "return 1\n";

int remed_redis_publisher_init(struct remed_redis_publisher *publisher, uint32_t max_pending,
                               struct remed_error *error)
{
    uint8_t nonce[16];
    if (getrandom(nonce, sizeof nonce, 0) != (ssize_t)sizeof nonce)
        return remed_error_set(error, REMED_EIO, "redis: no random bytes: %s", strerror(errno));
    if (remed_tags_init(&publisher->tags, max_pending, &publisher->allocator) < 0)
        return remed_error_set(error, REMED_ENOMEM, "no memory for a transport");
    const char *stream = publisher->options->stream;
    snprintf(publisher->newest, sizeof publisher->newest, "%s:newest", stream);
    snprintf(publisher->id_key, sizeof publisher->id_key, "%s:id", stream);
    int length =
        snprintf(publisher->publisher, sizeof publisher->publisher, "%s:publisher:", stream);
    for (unsigned i = 0; i < sizeof nonce; i++, length += 2)
        snprintf(publisher->publisher + length, sizeof publisher->publisher - (size_t)length,
                 "%02x", nonce[i]);
    publisher->link.script = script;
    publisher->next_number = 1;
    return 0;
}

static void free_batches(struct remed_redis_publisher *publisher, struct remed_redis_batch *batch)
{
    while (batch != NULL) {
        struct remed_redis_batch *next = batch->next;
        remed_redis_buffer_clear(&batch->body, 0);
        remed_release(&publisher->allocator, batch, sizeof *batch);
        batch = next;
    }
}

void remed_redis_publisher_fini(struct remed_redis_publisher *publisher)
{
    free_batches(publisher, publisher->first);
    free_batches(publisher, publisher->spare);
    remed_tags_fini(&publisher->tags, &publisher->allocator);
    remed_redis_link_fini(&publisher->link);
}

static struct remed_redis_batch *new_batch(struct remed_redis_publisher *publisher)
{
    struct remed_redis_batch *batch = publisher->spare;
    if (batch != NULL)
        publisher->spare = batch->next;
    else
        batch = remed_allocate(&publisher->allocator, sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->next = NULL;
    batch->body.allocator = publisher->allocator;
    batch->number = 0;
    batch->bytes = batch->count = 0;
    batch->closed = false;
    return batch;
}

static void recycle(struct remed_redis_publisher *publisher, struct remed_redis_batch *batch)
{
    remed_redis_buffer_clear(&batch->body, 2 * BATCH_BYTES);
    batch->next = publisher->spare;
    publisher->spare = batch;
}

static void append(struct remed_redis_publisher *publisher, struct remed_redis_batch *batch)
{
    batch->number = publisher->next_number++;
    if (publisher->last != NULL)
        publisher->last->next = batch;
    else
        publisher->first = batch;
    publisher->last = batch;
    if (publisher->unsent == NULL)
        publisher->unsent = batch;
}

static bool write_message(struct remed_redis_batch *batch, const struct remed_message *message)
{
    struct remed_redis_buffer *body = &batch->body;
    size_t end = body->end;
    remed_resp_bytes(body, message->key, message->key_length);
    remed_resp_bytes(body, message->value, message->value_length);
    if (!body->failed)
        return true;
    body->end = end; /* begin is always 0 here */
    body->failed = false;
    return false;
}

static int refuse(const struct remed_redis_publisher *publisher, const char *what,
                  struct remed_error *error)
{
    const char *why = publisher->link.why;
    return remed_error_set(error, REMED_EBUSY, "redis: %s%s%s", what,
                           *why != '\0' ? "; no connection: " : "", why);
}

int remed_redis_publisher_take(struct remed_redis_publisher *publisher,
                               const struct remed_message *message, uint64_t tag,
                               struct remed_error *error)
{
    uint64_t bytes = message->key_length + message->value_length;
    struct remed_redis_batch *batch = publisher->last;
    if (publisher->tags.count == publisher->tags.room ||
        publisher->pending_bytes + bytes > publisher->max_pending_bytes)
        return refuse(publisher, "the queue is full", error);
    bool fits = batch != NULL && !batch->closed && batch->count < BATCH_MESSAGES &&
                batch->bytes + bytes <= BATCH_BYTES;
    if (!fits)
        batch = new_batch(publisher);
    if (batch == NULL || !write_message(batch, message)) {
        if (batch != NULL && !fits)
            recycle(publisher, batch);
        return refuse(publisher, "no memory for the message", error);
    }
    if (!fits)
        append(publisher, batch);
    batch->count++;
    batch->bytes += bytes;
    publisher->pending_bytes += bytes;
    publisher->wanted = true;
    (void)remed_tags_push(&publisher->tags, tag);
    return 0;
}

static void write_batch(struct remed_redis_publisher *publisher, struct remed_redis_batch *batch)
{
    struct remed_redis_buffer *out = &publisher->link.out;
    bool renews = publisher->link.now >= publisher->renew_at;
    batch->closed = true;
    if (renews)
        publisher->renew_at = publisher->link.now + RENEW_NS;
    remed_resp_array(out, 11 + 2 * (uint64_t)batch->count);
    remed_resp_text(out, "EVALSHA");
    remed_resp_text(out, publisher->link.sha);
    remed_resp_text(out, "4");
    remed_resp_text(out, publisher->options->stream);
    remed_resp_text(out, publisher->newest);
    remed_resp_text(out, publisher->publisher);
    remed_resp_text(out, publisher->id_key);
    remed_resp_number(out, batch->number);
    remed_resp_text(out, batch == publisher->first ? "1" : "0");
    remed_resp_text(out, renews ? "1" : "0");
    remed_resp_number(out, publisher->options->max_entries);
    remed_redis_buffer_append(out, batch->body.bytes, batch->body.end);
    remed_redis_link_expect(&publisher->link);
}

/* The batch is out of the list before the host hears of it: it may publish in its callback. */
static void report(struct remed_redis_publisher *publisher, int code)
{
    struct remed_redis_batch *batch = publisher->first;
    uint32_t count = batch->count;
    publisher->first = batch->next;
    if (publisher->last == batch)
        publisher->last = NULL;
    if (publisher->unsent == batch)
        publisher->unsent = batch->next;
    publisher->pending_bytes -= batch->bytes;
    recycle(publisher, batch);
    for (; count > 0; count--)
        publisher->events.delivered(publisher->events.context, remed_tags_pop(&publisher->tags),
                                    code);
}

static int take_answer(struct remed_redis_publisher *publisher, struct remed_resp_cursor *reply,
                       struct remed_error *error)
{
    struct remed_resp_item item;
    if (!remed_resp_next(reply, &item))
        return 0;
    if (item.kind == REMED_RESP_ERROR)
        return remed_redis_link_refused(&publisher->link, &item, error);
    if (item.kind != REMED_RESP_NUMBER || publisher->under_way == 0) {
        remed_redis_link_drop(&publisher->link, "another answer than the script's");
        return remed_error_set(error, REMED_EFORMAT, "redis: another answer than the script's");
    }
    if (item.number < 0) {
        remed_redis_link_drop(&publisher->link, "a batch before this one was not done");
        return 0;
    }
    publisher->under_way--;
    publisher->link.trouble[0] = '\0';
    report(publisher, 0);
    return 0;
}

/* A batch that is not full waits for the answer to the one before, and gathers meanwhile: a server
 * that syncs takes as long for one record as for all, and hands subscribers one entry, not many. */
static bool is_ripe(const struct remed_redis_publisher *publisher)
{
    const struct remed_redis_batch *batch = publisher->unsent;
    return publisher->under_way == 0 || batch->closed || batch->next != NULL ||
           batch->count == BATCH_MESSAGES;
}

static bool may_send(const struct remed_redis_publisher *publisher)
{
    const struct remed_redis_link *link = &publisher->link;
    return link->state == REMED_REDIS_READY && publisher->unsent != NULL && is_ripe(publisher) &&
           publisher->under_way < UNDER_WAY_MOST && remed_redis_buffer_held(&link->out) < OUT_BYTES;
}

static void send_batches(struct remed_redis_publisher *publisher)
{
    struct remed_redis_link *link = &publisher->link;
    if (link->state == REMED_REDIS_READY && publisher->session != link->session) {
        publisher->session = link->session;
        publisher->unsent = publisher->first;
        publisher->under_way = 0;
        publisher->renew_at = 0;
    }
    while (may_send(publisher)) {
        write_batch(publisher, publisher->unsent);
        publisher->unsent = publisher->unsent->next;
        publisher->under_way++;
    }
    remed_redis_link_flush(link);
}

int remed_redis_publisher_run(struct remed_redis_publisher *publisher, struct remed_error *error)
{
    struct remed_redis_link *link = &publisher->link;
    struct remed_resp_cursor reply;
    int rc = 1;
    while (link->state == REMED_REDIS_READY &&
           (rc = remed_redis_link_reply(link, &reply, error)) > 0 &&
           (rc = take_answer(publisher, &reply, error)) == 0)
        continue;
    if (rc < 0)
        return rc;
    send_batches(publisher);
    return link->more;
}

int remed_redis_publisher_process(struct remed_redis_publisher *publisher, uint64_t now,
                                  struct remed_error *error)
{
    if (!publisher->wanted)
        return 0;
    publisher->link.now = now;
    send_batches(publisher); /* before answers are looked for: what was gathered is older */
    int rc = remed_redis_link_process(&publisher->link, now, error);
    return rc == 0 ? remed_redis_publisher_run(publisher, error) : rc;
}

uint64_t remed_redis_publisher_deadline(const struct remed_redis_publisher *publisher)
{
    const struct remed_redis_link *link = &publisher->link;
    if (!publisher->wanted)
        return UINT64_MAX;
    return may_send(publisher) ? 0 : remed_redis_link_deadline(link);
}

static void tell_loss(const struct remed_redis_publisher *publisher)
{
    const struct remed_log *log = &publisher->link.log;
    const char *trouble = publisher->link.trouble;
    char text[512];
    snprintf(text, sizeof text,
             "%u publications to stream %.80s are lost: closed before they were acknowledged%s%s",
             publisher->tags.count, publisher->options->stream, *trouble != '\0' ? "; " : "",
             trouble);
    if (log->write != NULL)
        log->write(log->context, REMED_LOG_ERROR, "redis", text);
}

void remed_redis_publisher_give_up(struct remed_redis_publisher *publisher)
{
    remed_redis_link_flush(&publisher->link);
    if (publisher->first != NULL)
        tell_loss(publisher);
    while (publisher->first != NULL)
        report(publisher, REMED_EIO);
}
