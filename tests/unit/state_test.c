/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records of state: what goes in comes out, on the wire and by msgpack-c's word; keys, order,
 * bodies that are none, wire forms cut, damaged or from a later version.
 */
#include "unit/test.h"

#include <msgpack.h>
#include <remediate/state.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct remed_record *record, *other;
static struct remed_error error;
static uint8_t wire[REMED_RECORD_MAX];
static size_t wire_length;

static void setup(void)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&record, NULL), 0);
    CU_ASSERT_EQUAL_FATAL(remed_record_new(&other, NULL), 0);
}

static void teardown(void)
{
    remed_record_free(record);
    remed_record_free(other);
    record = other = NULL;
}

static struct remed_endpoint v4(unsigned last, unsigned port)
{
    return (struct remed_endpoint){
        .address = {10, 0, 0, (uint8_t)last}, .port = (uint16_t)port, .ip_version = 4};
}

static struct remed_endpoint v6(unsigned last, unsigned port)
{
    return (struct remed_endpoint){.address = {0x20, 1, 0x0d, 0xb8, [15] = (uint8_t)last},
                                   .port = (uint16_t)port,
                                   .ip_version = 6};
}

static void set_head(struct remed_record *to, unsigned op, uint64_t epoch, uint64_t sequence)
{
    struct remed_record_head head;
    remed_record_head_init(&head, sizeof head);
    head.domain = "edge-1";
    head.origin = "fw1";
    head.op = op;
    head.source = REMED_LEARNED_LOGGED;
    head.epoch = epoch;
    head.sequence = sequence;
    head.observed = 1763978400123456789ull;
    CU_ASSERT_EQUAL_FATAL(remed_record_set_head(to, &head, &error), 0);
}

static struct remed_nat_binding binding(void)
{
    return (struct remed_nat_binding){
        .inside = v4(1, 1234), .outside = v4(2, 40001), .remote = v4(3, 443), .protocol = 6};
}

/* One body of each kind, and where they are. */
static union {
    struct remed_nat_binding nat_binding;
    struct remed_lb_assignment lb_assignment;
    struct remed_session session;
    struct remed_flow_rule flow_rule;
    struct remed_counter counter;
    struct remed_opaque opaque;
} body, back;

static size_t make_body(unsigned kind)
{
    static const uint8_t bytes[300] = {1, 2, 3};
    memset(&body, 0, sizeof body);
    switch (kind) {
    case REMED_KIND_NAT_BINDING:
        body.nat_binding = binding();
        return sizeof body.nat_binding;
    case REMED_KIND_LB_ASSIGNMENT:
        body.lb_assignment = (struct remed_lb_assignment){.client = v6(7, 5000),
                                                          .service = v6(1, 443),
                                                          .backend = v4(3, 8443),
                                                          .protocol = 6,
                                                          .backend_name = "srv-ü"};
        return sizeof body.lb_assignment;
    case REMED_KIND_SESSION:
        body.session = (struct remed_session){
            .client = v4(1, 53001),
            .server = v6(9, 53),
            .server_inside = v4(77, 5353),
            .window =
                {{.end = 1, .max_end = UINT32_MAX, .max_window = 65535, .scale = 14, .known = 1}},
            .bytes = {UINT64_MAX, 1},
            .packets = {70000, 255},
            .timeout = 30000000000ull,
            .protocol = 6,
            .tcp_state = REMED_TCP_STATE_ESTABLISHED};
        return sizeof body.session;
    case REMED_KIND_FLOW_RULE:
        body.flow_rule = (struct remed_flow_rule){.match = bytes,
                                                  .actions = bytes,
                                                  .match_length = 30,
                                                  .actions_length = 300,
                                                  .cookie = 1ull << 40,
                                                  .table = 3,
                                                  .priority = 32768};
        return sizeof body.flow_rule;
    case REMED_KIND_COUNTER:
        body.counter = (struct remed_counter){.name = "rx.bytes", .value = 12345678901ull};
        return sizeof body.counter;
    default:
        body.opaque =
            (struct remed_opaque){.key = bytes, .data = bytes, .key_length = 3, .data_length = 257};
        return sizeof body.opaque;
    }
}

static void encode(const struct remed_record *from)
{
    CU_ASSERT_EQUAL_FATAL(remed_record_encode(from, wire, sizeof wire, &wire_length), 0);
}

/* Bodies are compared by the bytes that they are written to: pointers differ. */
static bool same_wire(const struct remed_record *a, const struct remed_record *b)
{
    static uint8_t x[REMED_RECORD_MAX], y[REMED_RECORD_MAX];
    size_t m, n;
    return remed_record_encode(a, x, sizeof x, &m) == 0 &&
           remed_record_encode(b, y, sizeof y, &n) == 0 && m == n && memcmp(x, y, m) == 0;
}

static void round_trips(void)
{
    for (unsigned kind = 1; kind <= REMED_KIND_OPAQUE; kind++) {
        struct remed_record_head head;
        size_t size = make_body(kind);
        set_head(record, REMED_OP_UPSERT, 3, 1000000 + kind);
        CU_ASSERT_EQUAL_FATAL(remed_record_set_body(record, kind, &body, size, &error), 0);
        encode(record);
        CU_ASSERT_EQUAL_FATAL(remed_record_decode(other, wire, wire_length, &error), 0);
        remed_record_head(other, &head, sizeof head);
        CU_ASSERT_STRING_EQUAL(head.domain, "edge-1");
        CU_ASSERT_STRING_EQUAL(head.origin, "fw1");
        CU_ASSERT_EQUAL(head.kind, kind);
        CU_ASSERT_EQUAL(head.source, REMED_LEARNED_LOGGED);
        CU_ASSERT_EQUAL(head.sequence, 1000000 + kind);
        CU_ASSERT_EQUAL(head.observed, 1763978400123456789ull);
        CU_ASSERT_EQUAL(head.expires, 0);
        memset(&back, 0, sizeof back);
        CU_ASSERT_EQUAL(remed_record_body(other, kind, &back, size), 0);
        CU_ASSERT_EQUAL(remed_record_body(other, kind % 6 + 1, &back, size), REMED_ENOENT);
        if (kind != REMED_KIND_FLOW_RULE && kind != REMED_KIND_OPAQUE)
            CU_ASSERT_EQUAL(memcmp(&body, &back, size), 0);
        CU_ASSERT_TRUE(same_wire(record, other));
        uint8_t a[REMED_KEY_MAX], b[REMED_KEY_MAX];
        size_t length = remed_record_key(record, a, sizeof a);
        CU_ASSERT(length > 8 && length <= sizeof a);
        CU_ASSERT_EQUAL(remed_record_key(other, b, sizeof b), length);
        CU_ASSERT_EQUAL(memcmp(a, b, length), 0);
        CU_ASSERT_EQUAL(remed_record_key(other, NULL, 0), length);
    }
    back.opaque.data = NULL;
    CU_ASSERT_EQUAL(remed_record_body(other, REMED_KIND_OPAQUE, &back, sizeof back.opaque), 0);
    CU_ASSERT_EQUAL(back.opaque.data_length, 257);
    CU_ASSERT_EQUAL(memcmp(back.opaque.data, body.opaque.data, 257), 0);
}

/* conntrackd spends 52 bytes a flow. */
static void compact(void)
{
    struct remed_nat_binding nat = binding();
    set_head(record, REMED_OP_UPSERT, 1, 4000000);
    remed_record_set_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    encode(record);
    CU_ASSERT(wire_length <= 52);
    /* Too little room: the length all the same, nothing written beyond. */
    uint8_t little[20];
    size_t length = 0;
    memset(little, 0xee, sizeof little);
    CU_ASSERT_EQUAL(remed_record_encode(record, little, 10, &length), REMED_ELIMIT);
    CU_ASSERT_EQUAL(length, wire_length);
    CU_ASSERT_EQUAL(little[10], 0xee);
    CU_ASSERT_EQUAL(remed_record_encode(record, NULL, 0, &length), REMED_ELIMIT);
    CU_ASSERT_EQUAL(length, wire_length);
}

static void keys(void)
{
    struct remed_nat_binding nat = binding();
    uint8_t a[REMED_KEY_MAX], b[REMED_KEY_MAX];
    set_head(record, REMED_OP_UPSERT, 1, 1);
    set_head(other, REMED_OP_REMOVE, 2, 2);
    remed_record_set_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    nat.outside = (struct remed_endpoint){.ip_version = 0};
    CU_ASSERT_EQUAL(remed_record_set_body(other, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error),
                    0);
    size_t m = remed_record_key(record, a, sizeof a), n = remed_record_key(other, b, sizeof b);
    CU_ASSERT(m == n && memcmp(a, b, m) == 0); /* a removal has the key of what it removes */
    nat.remote.port++;
    remed_record_set_body(other, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    n = remed_record_key(other, b, sizeof b);
    CU_ASSERT(m == n && memcmp(a, b, m) != 0);
    CU_ASSERT(remed_record_compare(record, other) < 0);
    CU_ASSERT(remed_record_compare(other, record) > 0);
    CU_ASSERT_EQUAL(remed_record_compare(other, other), 0);
    set_head(other, REMED_OP_REMOVE, 1, 0);
    CU_ASSERT(remed_record_compare(record, other) > 0);
}

static int try_nat(struct remed_nat_binding nat)
{
    return remed_record_set_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
}

static void refused(void)
{
    struct remed_record_head head;
    struct remed_nat_binding nat = binding();
    size_t length;
    CU_ASSERT_EQUAL(remed_record_encode(record, wire, sizeof wire, &length), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_record_key(record, wire, sizeof wire), 0);
    remed_record_head_init(&head, sizeof head);
    static const char *const names[] = {"", "a\nb", "\xff", "\xc0\x80", "\xed\xa0\x80", "\x7f",
                                        /* 65 bytes */
                                        ("0123456789012345678901234567890123456789"
                                         "0123456789012345678901234")};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        head.domain = names[i];
        CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), REMED_EINVAL);
    }
    head.domain = "d";
    head.op = 2;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), REMED_EINVAL);
    head.op = REMED_OP_UPSERT;
    CU_ASSERT_EQUAL(remed_record_set_head(record, &head, &error), 0);
    nat.inside.ip_version = 0;
    CU_ASSERT_EQUAL(try_nat(nat), REMED_EINVAL);
    CU_ASSERT_PTR_NOT_NULL(strstr(error.message, "inside"));
    nat = binding();
    nat.outside = (struct remed_endpoint){.ip_version = 0};
    CU_ASSERT_EQUAL(try_nat(nat), REMED_EINVAL);
    nat = binding();
    nat.remote.address[4] = 1;
    CU_ASSERT_EQUAL(try_nat(nat), REMED_EINVAL);
    nat = binding();
    nat.remote.ip_version = 5;
    CU_ASSERT_EQUAL(try_nat(nat), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_record_set_body(record, 7, &nat, sizeof nat, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_record_set_body(record, 1, &nat, sizeof nat - 1, &error), REMED_EINVAL);
    CU_ASSERT_EQUAL(remed_record_key(record, wire, sizeof wire), 0); /* still without a body */
}

/* Every cut, and every byte changed in every bit, from memory of just that size. */
static void damaged(void)
{
    for (unsigned kind = 1; kind <= REMED_KIND_OPAQUE; kind++) {
        size_t size = make_body(kind);
        set_head(record, REMED_OP_UPSERT, 3, 1000000 + kind);
        remed_record_set_body(record, kind, &body, size, &error);
        encode(record);
        for (size_t length = 0; length < wire_length; length++) {
            uint8_t *cut = malloc(length + 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
            memcpy(cut + 1, wire, length);
            int rc = remed_record_decode(other, cut + 1, length, &error);
            CU_ASSERT(rc < 0 && error.message[0] != '\0');
            CU_ASSERT_EQUAL(remed_record_key(other, NULL, 0), 0); /* empty again */
            free(cut);
        }
        for (size_t bit = 0; bit < wire_length * 8; bit++) {
            uint8_t *copy = malloc(wire_length);
            CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
            memcpy(copy, wire, wire_length);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            if (remed_record_decode(other, copy, wire_length, &error) == 0) {
                size_t length; /* whatever it is now, it is a record */
                CU_ASSERT_EQUAL(remed_record_encode(other, NULL, 0, &length), REMED_ELIMIT);
                CU_ASSERT(length > 0 && remed_record_key(other, NULL, 0) > 0);
            }
            free(copy);
        }
    }
}

static void hostile(void)
{
    static const struct {
        const char *bytes;
        size_t length;
        int code;
    } forms[] = {
        {"\xdd\xff\xff\xff\xff", 5, REMED_ETRUNCATED}, /* an array of 4 G elements */
        {"\x98\x01\x08\xdb\xff\xff\xff\xff", 8, REMED_ELIMIT},
        {"\x98\x01\x08\xa1", 4, REMED_ETRUNCATED},
        {"\x98\xc0", 2, REMED_EFORMAT},
        {"\x98\x03", 2, REMED_EUNSUPPORTED},
        {"\x98\x01\x78\xa1x\xa0\0\0\0\x90", 10, REMED_EUNSUPPORTED},        /* kind 15 */
        {"\x98\x01\x30\xa1x\xa0\0\0\0\x92\xc4\0\xc4\0", 14, REMED_EFORMAT}, /* no key */
        {"\x90", 1, REMED_EFORMAT},
        {"", 0, REMED_ETRUNCATED},
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        int rc =
            remed_record_decode(other, (const uint8_t *)forms[i].bytes, forms[i].length, &error);
        if (rc != forms[i].code)
            fprintf(stderr, "form %zu: %d %s\n", i, rc, error.message);
        CU_ASSERT_EQUAL(rc, forms[i].code);
    }
    /* Arrays in one another to no end, where an unknown field may stand: a budget, no stack. */
    set_head(record, REMED_OP_UPSERT, 1, 1);
    struct remed_nat_binding nat = binding();
    remed_record_set_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    encode(record);
    wire[0] = 0x9a;
    wire[wire_length++] = 0; /* expires */
    memset(wire + wire_length, 0x91, 5000);
    CU_ASSERT_EQUAL(remed_record_decode(other, wire, wire_length + 5000, &error), REMED_ELIMIT);
}

/* What a later version appends, to the record and to the body, is kept and written again. */
static void unknown_fields(void)
{
    struct remed_nat_binding nat = binding();
    uint8_t later[256];
    set_head(record, REMED_OP_UPSERT, 1, 1);
    remed_record_set_body(record, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    encode(record);
    size_t at = wire_length - 23; /* the body's array */
    CU_ASSERT_EQUAL_FATAL(wire[at], 0x93);
    static const uint8_t more[] = {0x82, 1, 0xa1, 'x', 2, 0x92, 0xc3, 0xcb, 0, 1, 2, 3, 4, 5, 6, 7};
    memcpy(later, wire, wire_length);
    later[0] = 0x9a; /* expires, and one more */
    later[1] = 2;    /* version N+1 */
    later[at] = 0x95;
    size_t length = wire_length;
    later[length++] = 0xc2;
    memcpy(later + length, more, sizeof more);
    length += sizeof more;
    later[length++] = 42;
    later[length++] = 0xd4;
    later[length++] = 5;
    later[length++] = 6;
    CU_ASSERT_EQUAL_FATAL(remed_record_decode(other, later, length, &error), 0);
    CU_ASSERT_EQUAL(remed_record_body(other, REMED_KIND_NAT_BINDING, &back, sizeof nat), 0);
    CU_ASSERT_EQUAL(memcmp(&back, &nat, sizeof nat), 0);
    later[1] = 1;
    size_t again;
    CU_ASSERT_EQUAL(remed_record_encode(other, wire, sizeof wire, &again), 0);
    CU_ASSERT(again == length && memcmp(wire, later, length) == 0);
    /* A new body has nothing of the old one's. */
    remed_record_set_body(other, REMED_KIND_NAT_BINDING, &nat, sizeof nat, &error);
    remed_record_encode(other, NULL, 0, &again);
    CU_ASSERT_EQUAL(again, length - 1 - sizeof more);
}

/* msgpack-c reads what we write as the same values, and we read what it packs. */
static void oracle(void)
{
    for (unsigned kind = 1; kind <= REMED_KIND_OPAQUE; kind++) {
        msgpack_unpacked tree;
        msgpack_sbuffer packed;
        msgpack_packer packer;
        size_t at = 0, size = make_body(kind);
        set_head(record, REMED_OP_UPSERT, 200, 70000);
        remed_record_set_body(record, kind, &body, size, &error);
        encode(record);
        msgpack_unpacked_init(&tree);
        CU_ASSERT_EQUAL(msgpack_unpack_next(&tree, (char *)wire, wire_length, &at),
                        MSGPACK_UNPACK_SUCCESS);
        CU_ASSERT_EQUAL(at, wire_length);
        CU_ASSERT_EQUAL_FATAL(tree.data.type, MSGPACK_OBJECT_ARRAY);
        const msgpack_object *items = tree.data.via.array.ptr;
        CU_ASSERT_EQUAL(tree.data.via.array.size, 8);
        CU_ASSERT_EQUAL(items[1].via.u64, kind << 3 | REMED_LEARNED_LOGGED);
        CU_ASSERT_EQUAL(items[2].via.str.size, 6);
        CU_ASSERT_EQUAL(items[4].via.u64, 200);
        CU_ASSERT_EQUAL(items[5].via.u64, 70000);
        CU_ASSERT_EQUAL(items[6].via.u64, 1763978400123456789ull);
        /* Packed by msgpack-c it is the same bytes: each value in its shortest form. */
        msgpack_sbuffer_init(&packed);
        msgpack_packer_init(&packer, &packed, msgpack_sbuffer_write);
        CU_ASSERT_EQUAL(msgpack_pack_object(&packer, tree.data), 0);
        CU_ASSERT(packed.size == wire_length && memcmp(packed.data, wire, wire_length) == 0);
        CU_ASSERT_EQUAL(remed_record_decode(other, (uint8_t *)packed.data, packed.size, &error), 0);
        msgpack_sbuffer_destroy(&packed);
        msgpack_unpacked_destroy(&tree);
    }
}

static unsigned failing_at, calls;

static void *failing_resize(void *context, void *memory, size_t old_size, size_t new_size)
{
    (void)context;
    (void)old_size;
    if (new_size == 0) {
        free(memory);
        return NULL;
    }
    return calls++ >= failing_at ? NULL : realloc(memory, new_size);
}

static void allocations(void)
{
    const struct remed_allocator allocator = {NULL, failing_resize};
    size_t size = make_body(REMED_KIND_FLOW_RULE);
    set_head(record, REMED_OP_UPSERT, 1, 1);
    remed_record_set_body(record, REMED_KIND_FLOW_RULE, &body, size, &error);
    encode(record);
    bool done = false;
    for (failing_at = 0; !done && failing_at < 10; failing_at++) {
        struct remed_record *fragile = NULL;
        calls = 0;
        int rc = remed_record_new(&fragile, &allocator);
        if (rc == 0)
            rc = remed_record_decode(fragile, wire, wire_length, &error);
        CU_ASSERT(rc == 0 || rc == REMED_ENOMEM);
        done = rc == 0;
        remed_record_free(fragile);
    }
    CU_ASSERT_TRUE(done);
    CU_ASSERT(failing_at > 2);
}

static const struct test_case cases[] = {
    {"each kind there and back", round_trips},
    {"a nat-binding takes 52 bytes at most", compact},
    {"keys and order", keys},
    {"what is no record is refused", refused},
    {"every cut and every flipped bit", damaged},
    {"hostile lengths and depths", hostile},
    {"fields of a later version are kept", unknown_fields},
    {"msgpack-c says the same", oracle},
    {"every allocation failed in turn", allocations},
    {NULL, NULL},
};

const struct test_suite test_suites[] = {{"state", cases, setup, teardown},
                                         {NULL, NULL, NULL, NULL}};
