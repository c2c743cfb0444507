/* SPDX-License-Identifier: BSD-3-Clause */
/* Headers of syslog messages: RFC 5424, and RFC 3164 in the forms that boxes and relays send. */
#include "unit/test.h"

#include <remediate/syslog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 1000000000ull
#define NOON 1795521600ull /* 2026-11-24T12:00:00Z */
#define FIELDS_MAX 1024

static const struct remed_syslog_context context = {.received = NOON * SECOND, .zone = 3600};

static struct remed_syslog_message read_copy(const char *text, size_t length)
{
    static char *copy; /* on the heap, so that reading beyond it is seen; freed by the next one */
    struct remed_syslog_message message;
    free(copy);
    copy = NULL;
    if (length == 0) {
        remed_syslog_read(&message, sizeof message, "", 0, &context);
        return message;
    }
    copy = malloc(length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, text, length);
    remed_syslog_read(&message, sizeof message, copy, length, &context);
    return message;
}

static void add(char *fields, const char *name, struct remed_syslog_text text)
{
    size_t length = strlen(fields);
    if (text.text != NULL)
        snprintf(fields + length, FIELDS_MAX - length, " %s=%.*s", name, (int)text.length,
                 text.text);
}

/* All that was read, in one line. The time: seconds before (-) or after noon. */
static void describe(const struct remed_syslog_message *message, char *fields)
{
    int length = snprintf(fields, FIELDS_MAX, "%s", remed_syslog_format_name(message->format));
    if (message->facility != REMED_SYSLOG_NOT_TOLD)
        length += snprintf(fields + length, FIELDS_MAX - (size_t)length, " %u.%u",
                           message->facility, message->severity);
    if (message->timed)
        snprintf(fields + length, FIELDS_MAX - (size_t)length, " t=%+.3f",
                 (double)(int64_t)(message->time - NOON * SECOND) / 1e9);
    else
        CU_ASSERT_EQUAL(message->time, context.received);
    add(fields, "host", message->host);
    add(fields, "app", message->app);
    add(fields, "procid", message->procid);
    add(fields, "msgid", message->msgid);
    add(fields, "data", message->data);
    add(fields, "msg", message->message);
}

static const struct {
    const char *text, *fields;
} forms[] = {
    /* RFC 5424 */
    {"<165>1 2026-11-24T12:00:01.5Z fw1 ulogd 123 ID47 [a@1 x=\"y\"][b z=\"\"] text",
     "rfc5424 20.5 t=+1.500 host=fw1 app=ulogd procid=123 msgid=ID47 data=[a@1 x=\"y\"][b z=\"\"] "
     "msg=text"},
    {"<14>1 2026-11-24T13:00:00+01:00 fw1 RT_FLOW - RT_FLOW_SESSION_CREATE [junos@2636.1.1.1 "
     "a=\"]\\\"x\\]\"]",
     "rfc5424 1.6 t=+0.000 host=fw1 app=RT_FLOW msgid=RT_FLOW_SESSION_CREATE "
     "data=[junos@2636.1.1.1 a=\"]\\\"x\\]\"] msg="},
    {"<14>1 - - - - - - \xef\xbb\xbfsaid", "rfc5424 1.6 msg=said"},
    {"<14>1 - - - - - -", "rfc5424 1.6 msg="},
    /* no RFC 5424 after all */
    {"<14>1 - - - - - [never closed", "rfc3164 1.6 msg=1 - - - - - [never closed"},
    {"<14>1 yesterday fw1 app - - - x", "rfc3164 1.6 msg=1 yesterday fw1 app - - - x"},
    {"<14>2 2026-11-24T12:00:00Z h a p m - x",
     "rfc3164 1.6 msg=2 2026-11-24T12:00:00Z h a p m - x"},
    /* RFC 3164: as written, and as forwarded by rsyslog in both its ways; zone +1 */
    {"<34>Nov 24 13:00:07 fw1 su: no", "rfc3164 4.2 t=+7.000 host=fw1 app=su msg=no"},
    {"<30>Nov  4 13:00:00 fw1 ulogd[77]: x y",
     "rfc3164 3.6 t=-1728000.000 host=fw1 app=ulogd procid=77 msg=x y"},
    {"<30>2026-11-24T13:00:00.250+01:00 fw1 ulogd[77]: x",
     "rfc3164 3.6 t=+0.250 host=fw1 app=ulogd procid=77 msg=x"},
    {"<4>Nov 24 13:00:00 gw kernel: [12.5] NAT IN=eth0",
     "rfc3164 0.4 t=+0.000 host=gw app=kernel msg=[12.5] NAT IN=eth0"},
    {"Nov 24 13:00:00 gw kernel: x", "rfc3164 t=+0.000 host=gw app=kernel msg=x"}, /* a file */
    {"<30>Nov 24 13:00:00 2001:db8::1 app: x",
     "rfc3164 3.6 t=+0.000 host=2001:db8::1 app=app msg=x"},
    /* no host: local senders, logger(1) */
    {"<13>Nov 24 13:00:00 root: hello", "rfc3164 1.5 t=+0.000 app=root msg=hello"},
    {"<13>Nov 24 13:00:00 app[5]: hello", "rfc3164 1.5 t=+0.000 app=app procid=5 msg=hello"},
    /* a year, before or behind the time; a day that is a little ahead */
    {"<166>Nov 24 2026 13:00:00 fw1 : %ASA-6-302013: Built",
     "rfc3164 20.6 t=+0.000 host=fw1 app=%ASA-6-302013 msgid=ASA-6-302013 msg=Built"},
    {"<30>Nov 24 13:00:00 2026 fw1 app: x", "rfc3164 3.6 t=+0.000 host=fw1 app=app msg=x"},
    {"<30>Nov 25 12:00:00 fw1 app: x", "rfc3164 3.6 t=+82800.000 host=fw1 app=app msg=x"},
    {"<30>Dec 24 13:00:00 fw1 app: x", "rfc3164 3.6 t=-28944000.000 host=fw1 app=app msg=x"},
    /* Cisco: IOS, its origin-id, its marks; ASA with and without a time and a host */
    {"<189>29: *Nov 24 12:00:05.125 UTC: %SYS-5-CONFIG_I: by vty0",
     "rfc3164 23.5 t=+5.125 app=%SYS-5-CONFIG_I procid=29 msgid=SYS-5-CONFIG_I msg=by vty0"},
    {"<189>000029: r1: .Nov 24 13:00:00: %SEC-6-IPACCESSLOGP: list 1",
     "rfc3164 23.5 t=+0.000 host=r1 app=%SEC-6-IPACCESSLOGP procid=000029 msgid=SEC-6-IPACCESSLOGP "
     "msg=list 1"},
    {"<166>%ASA-6-302013: Built", "rfc3164 20.6 app=%ASA-6-302013 msgid=ASA-6-302013 msg=Built"},
    {"<166>:Nov 24 13:00:00 CET: %ASA-session-6-302013: Built",
     "rfc3164 20.6 t=+0.000 app=%ASA-session-6-302013 msgid=ASA-session-6-302013 msg=Built"},
    {"<166>Nov 24 13:00:00 fw1: %ASA-6-302013: Built",
     "rfc3164 20.6 t=+0.000 host=fw1 app=%ASA-6-302013 msgid=ASA-6-302013 msg=Built"},
    {"<166>Nov 24 2026 13:00:00: %FTD-6-302013: Built",
     "rfc3164 20.6 t=+0.000 app=%FTD-6-302013 msgid=FTD-6-302013 msg=Built"},
    /* Juniper, MikroTik (no header but its priority; and BSD's), FortiGate, Palo Alto, pfSense */
    {"<14>Nov 24 13:00:00 srx1 RT_FLOW: RT_FLOW_SESSION_CREATE: session",
     "rfc3164 1.6 t=+0.000 host=srx1 app=RT_FLOW msg=RT_FLOW_SESSION_CREATE: session"},
    {"<134>firewall,info srcnat: in:ether1", "rfc3164 16.6 msg=firewall,info srcnat: in:ether1"},
    {"firewall,info srcnat: in:ether1", "bare msg=firewall,info srcnat: in:ether1"},
    {"<134>Nov 24 13:00:00 MikroTik srcnat: in:ether1",
     "rfc3164 16.6 t=+0.000 host=MikroTik app=srcnat msg=in:ether1"},
    {"<189>date=2026-11-24 time=13:00:00 devname=\"fg\"",
     "rfc3164 23.5 msg=date=2026-11-24 time=13:00:00 devname=\"fg\""},
    {"<14>Nov 24 13:00:00 pa1 1,2026/11/24 13:00:00,x,TRAFFIC",
     "rfc3164 1.6 t=+0.000 host=pa1 msg=1,2026/11/24 13:00:00,x,TRAFFIC"},
    {"<134>Nov 24 13:00:00 filterlog[33]: 4,,,x",
     "rfc3164 16.6 t=+0.000 app=filterlog procid=33 msg=4,,,x"},
    /* odd ones: no priority, a wrong one, only a part of anything */
    {"just text: with a colon", "bare msg=just text: with a colon"},
    {"29: no Cisco", "bare msg=29: no Cisco"},
    {"<192>Nov 24", "bare msg=<192>Nov 24"},
    {"<>x", "bare msg=<>x"},
    {"<0034>x", "bare msg=<0034>x"},
    {"<34", "bare msg=<34"},
    {"<34>", "rfc3164 4.2 msg="},
    {"<34>Nov 24 13:00:00", "rfc3164 4.2 t=+0.000 msg="},
    {"<34>Nov 24 13:00:00 fw1", "rfc3164 4.2 t=+0.000 msg=fw1"},
    {"<34>Nov 32 13:00:00 fw1 x", "rfc3164 4.2 msg=Nov 32 13:00:00 fw1 x"},
    {"<34>app[no end", "rfc3164 4.2 msg=app[no end"},
    {"", "bare msg="},
};

static void test_forms(void)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char fields[FIELDS_MAX];
        const struct remed_syslog_message message = read_copy(forms[i].text, strlen(forms[i].text));
        describe(&message, fields);
        CU_ASSERT_STRING_EQUAL(fields, forms[i].fields);
        if (strcmp(fields, forms[i].fields) != 0)
            printf("\n  %s\n  want %s\n  got  %s", forms[i].text, forms[i].fields, fields);
    }
}

/* Every beginning of every form is read within its bounds, and nothing of it is lost from the end.
 */
static void test_cut_forms(void)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        for (size_t length = 0; length <= strlen(forms[i].text); length++) {
            const struct remed_syslog_message message = read_copy(forms[i].text, length);
            CU_ASSERT(message.message.length <= length);
            CU_ASSERT_PTR_NOT_NULL(message.message.text);
        }
}

static void test_older_struct(void)
{
    struct remed_syslog_message message;
    memset(&message, 0xff, sizeof message);
    remed_syslog_read(&message, offsetof(struct remed_syslog_message, host), "<34>x", 5, &context);
    CU_ASSERT_EQUAL(message.facility, 4);
    CU_ASSERT_EQUAL(message.host.length, (size_t)-1);
}

static const struct test_case cases[] = {{"forms", test_forms},
                                         {"forms, cut", test_cut_forms},
                                         {"a caller's older struct", test_older_struct},
                                         {NULL, NULL}};

const struct test_suite test_suites[] = {{"syslog message", cases, NULL, NULL},
                                         {NULL, NULL, NULL, NULL}};
