/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From a URI to librdkafka's settings. Our own parameters are few; every other one is a property of
 * librdkafka, and librdkafka says whether it is right.
 *
 * Threads: no state.
 */
#include "backend/kafka/kafka.h"

#include "base/regular_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A file that librdkafka opens. */
static bool is_location(const char *name)
{
    static const char end[] = ".location";
    size_t length = strlen(name);
    return length >= sizeof end && strcmp(name + length - (sizeof end - 1), end) == 0;
}

static int set(struct remed_kafka *kafka, const char *name, const char *value,
               struct remed_error *error)
{
    char why[REMED_KAFKA_TEXT] = "", shown[REMED_KAFKA_TEXT];
    int rc = remed_kafka_keep_secret(kafka, name, value, error);
    if (rc == 0 && is_location(name))
        rc = remed_regular_check(value, "kafka: ", error);
    if (rc < 0)
        return rc;
    rd_kafka_conf_res_t answer = rd_kafka_conf_set(kafka->conf, name, value, why, sizeof why);
    if (answer == RD_KAFKA_CONF_OK)
        return 0;
    if (answer == RD_KAFKA_CONF_UNKNOWN)
        return remed_error_set(error, REMED_EINVAL, "kafka: %s is no property of librdkafka%s",
                               remed_kafka_shown_name(name),
                               strcmp(remed_kafka_shown_name(name), name) != 0
                                   ? "; where a value has '&', write %26"
                                   : "");
    remed_kafka_scrub(kafka, shown, sizeof shown, why);
    return remed_error_set(error, REMED_EINVAL, "kafka: %.200s", shown);
}

static int read_number(const char *name, const char *text, int least, int most, int *number,
                       struct remed_error *error)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < least || value > most)
        return remed_error_set(error, REMED_EINVAL, "kafka: %s is %d to %d", name, least, most);
    *number = (int)value;
    return 0;
}

/* A time such as 60s. */
static int read_start(struct remed_kafka *kafka, const char *text, struct remed_error *error)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    bool seconds = strcmp(end, "s") == 0;
    if (*text < '0' || *text > '9' || (!seconds && strcmp(end, "ms") != 0) ||
        value > (seconds ? 3600u : 3600000u))
        return remed_error_set(error, REMED_EINVAL, "kafka: start is 0s to 3600s");
    kafka->start = value * (seconds ? REMED_NS_PER_S : 1000000);
    return 0;
}

/* Lines of name=value; '#' begins a comment. */
static int read_properties(struct remed_kafka *kafka, const char *path, struct remed_error *error)
{
    char line[4096];
    unsigned number = 0;
    int rc = 0;
    int fd = remed_regular_open(path, "kafka: ", error);
    if (fd < 0)
        return fd;
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return remed_error_set(error, REMED_ENOMEM, "kafka: %s: no memory", path);
    }
    while (rc == 0 && fgets(line, sizeof line, file) != NULL) {
        number++;
        if (strlen(line) == sizeof line - 1 && line[sizeof line - 2] != '\n') {
            rc = remed_error_at(error, REMED_ESYNTAX, number, 1, "%s: line %u is too long", path,
                                number);
            continue; /* the rest of a value is no name */
        }
        char *name = line + strspn(line, " \t"), *end = name + strcspn(name, "\r\n");
        while (end > name && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        *end = '\0';
        char *equals = strchr(name, '=');
        if (*name == '\0' || *name == '#')
            continue;
        if (equals == NULL) {
            rc = remed_error_at(error, REMED_ESYNTAX, number, 1, "%s: line %u: expected name=value",
                                path, number);
            continue;
        }
        *equals = '\0';
        rc = set(kafka, name, equals + 1, error);
    }
    if (rc == 0 && ferror(file))
        rc = remed_error_set(error, REMED_EIO, "kafka: %s: %s", path, strerror(errno));
    volatile char *left = line;
    for (size_t i = 0; i < sizeof line; i++)
        left[i] = 0;
    fclose(file);
    return rc;
}

static int read_yes(const char *name, const char *text, bool *yes, struct remed_error *error)
{
    *yes = strcmp(text, "yes") == 0;
    if (!*yes && strcmp(text, "no") != 0)
        return remed_error_set(error, REMED_EINVAL, "kafka: %s is yes or no", name);
    return 0;
}

static int take_parameter(struct remed_kafka *kafka, const char *name, const char *value,
                          struct remed_error *error)
{
    if (strcmp(name, "partitions") == 0)
        return read_number(name, value, 1, 10000, &kafka->partitions, error);
    if (strcmp(name, "replication") == 0)
        return read_number(name, value, -1, 100, &kafka->replication, error);
    if (strcmp(name, "headers") == 0)
        return read_yes(name, value, &kafka->headers, error);
    if (strcmp(name, "group") == 0)
        return snprintf(kafka->group, sizeof kafka->group, "%s", value) < (int)sizeof kafka->group
                   ? 0
                   : remed_error_set(error, REMED_EINVAL, "kafka: group is too long");
    if (strcmp(name, "start") == 0)
        return read_start(kafka, value, error);
    if (strncmp(name, "config.", 7) == 0)
        return remed_kafka_keep_config(kafka, name + 7, value, error);
    if (strcmp(name, "properties") == 0)
        return read_properties(kafka, value, error);
    return set(kafka, name, value, error);
}

static int read_query(struct remed_kafka *kafka, const struct remed_uri *uri,
                      struct remed_error *error)
{
    const char *at = uri->query;
    int rc = 0;
    while (rc == 0 && *at != '\0') {
        char name[256], value[2048];
        size_t length = strcspn(at, "=&");
        if (length == 0 || length >= sizeof name)
            return remed_error_set(error, REMED_EINVAL, "kafka: a parameter without a name");
        memcpy(name, at, length);
        name[length] = '\0';
        if (remed_uri_parameter(uri, name, value, sizeof value) != 1)
            return remed_error_set(error, REMED_EINVAL, "kafka: %s is too long or badly escaped",
                                   remed_kafka_shown_name(name));
        rc = take_parameter(kafka, name, value, error);
        at += strcspn(at, "&");
        at += *at == '&';
    }
    return rc;
}

/* What brokers take for one. Anything else may be parameters, with passwords in them. */
static bool is_topic(const char *name)
{
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return strspn(name, bytes) == strlen(name) && strlen(name) < 250;
}

int remed_kafka_configure(struct remed_kafka *kafka, const struct remed_uri *uri,
                          struct remed_error *error)
{
    size_t length = strlen(uri->path);
    if (uri->host[0] == '\0' || length < 2 || length > sizeof kafka->topic ||
        strchr(uri->path + 1, '/') != NULL)
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: wants brokers and a topic, as in kafka://host:9092/topic");
    if (!is_topic(uri->path + 1))
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: a topic is of letters, digits, '.', '_' and '-', at most "
                               "249; parameters begin with '?'");
    if (strchr(uri->host, '@') != NULL)
        return remed_error_set(error, REMED_EINVAL,
                               "kafka: takes no user before the brokers; use the properties "
                               "sasl.username and sasl.password, best in a file: properties=FILE");
    snprintf(kafka->servers, sizeof kafka->servers, "%s", uri->host);
    memcpy(kafka->topic, uri->path + 1, length);
    kafka->partitions = 1;
    kafka->replication = -1;
    kafka->headers = true;
    kafka->start = 60 * REMED_NS_PER_S;
    kafka->conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(kafka->conf, "bootstrap.servers", kafka->servers, NULL, 0) !=
            RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(kafka->conf, "log.queue", "true", NULL, 0) != RD_KAFKA_CONF_OK)
        return remed_error_set(error, REMED_EINVAL, "kafka: the brokers are not as in host:9092");
    return read_query(kafka, uri, error);
}
