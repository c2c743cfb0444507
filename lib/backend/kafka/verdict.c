/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an error of librdkafka or of a broker means: passes by itself, however long that takes; is
 * what a cluster answers that is starting, and so is waited out for the time of the parameter
 * `start`; or is final at once. What is not in the table is taken for an answer of a start: it
 * ends, and it is told.
 *
 * Threads: no state.
 */
#include "backend/kafka/kafka.h"

struct meaning {
    rd_kafka_resp_err_t code;
    int error; /* when it is final */
};

/* Those that pass by themselves. */
static const rd_kafka_resp_err_t passing[] = {
    /* There is no connection, or no answer: librdkafka tries again, as long as there is none. */
    RD_KAFKA_RESP_ERR__TRANSPORT,
    RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN,
    RD_KAFKA_RESP_ERR__RESOLVE, /* a resolver comes back too */
    RD_KAFKA_RESP_ERR__TIMED_OUT,
    RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE,
    RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, /* a host's own limit */
    RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION,
    RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    /* librdkafka is on its way to something. */
    RD_KAFKA_RESP_ERR__WAIT_COORD,
    RD_KAFKA_RESP_ERR__WAIT_CACHE,
    RD_KAFKA_RESP_ERR__IN_PROGRESS,
    RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS,
    RD_KAFKA_RESP_ERR__RETRY,
    RD_KAFKA_RESP_ERR__NODE_UPDATE,
    RD_KAFKA_RESP_ERR__INTR,
    /* The group moves; a member that was too slow joins again. */
    RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED,
    RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST,
    RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION,
    RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID,
    RD_KAFKA_RESP_ERR_MEMBER_ID_REQUIRED,
    /* Leaders, coordinators and controllers move; copies are too few until a broker is back; a disk
     * is full until somebody makes room. Not giving up is what loses nothing. */
    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
    RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH,
    RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
    RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_NOT_CONTROLLER,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
    RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
    RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR,
    RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED,
    RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH,
};

/* Those that a starting cluster gives. */
static const struct meaning starting[] = {
    /* A controller that does not know its brokers yet has too few for any factor. */
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, REMED_EINVAL},
    /* A broker that does not know the topic yet, as it is being made or the broker has just come.
     */
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, REMED_ENOENT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, REMED_ENOENT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, REMED_ENOENT},
    /* Users and certificates are loaded while a cluster starts. */
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, REMED_EPERM},
    {RD_KAFKA_RESP_ERR__SSL, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_UNKNOWN, REMED_EIO}, /* "unexpected server error" */
};

/* Those that are final. */
static const struct meaning final[] = {
    /* Brokers answer these once they have loaded who may do what. */
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, REMED_EPERM},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, REMED_EPERM},
    /* What was asked for is wrong, and stays so. */
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, REMED_EINVAL}, /* no name of a topic */
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_SESSION_TIMEOUT, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, REMED_EINVAL},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, REMED_EUNSUPPORTED},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, REMED_EUNSUPPORTED},
    {RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, REMED_EUNSUPPORTED},
    /* A message that no broker ever takes. */
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, REMED_ELIMIT},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, REMED_ELIMIT},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, REMED_ELIMIT},
    /* Messages that cannot be read are no end of the partition: reading on would pass over them. */
    {RD_KAFKA_RESP_ERR__BAD_MSG, REMED_EFORMAT},
    {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, REMED_EFORMAT},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, REMED_EFORMAT},
    /* A position that the broker does not have. */
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, REMED_ENOENT},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, REMED_ENOENT},
    /* Another producer has this one's id, or messages are missing: nothing can be sent any more. */
    {RD_KAFKA_RESP_ERR__FATAL, REMED_EIO},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

struct remed_kafka_judgement remed_kafka_judge(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < COUNT(passing); i++)
        if (passing[i] == code)
            return (struct remed_kafka_judgement){code, REMED_KAFKA_PASSES, REMED_EIO};
    for (size_t i = 0; i < COUNT(final); i++)
        if (final[i].code == code)
            return (struct remed_kafka_judgement){code, REMED_KAFKA_FINAL, final[i].error};
    for (size_t i = 0; i < COUNT(starting); i++)
        if (starting[i].code == code)
            return (struct remed_kafka_judgement){code, REMED_KAFKA_STARTS, starting[i].error};
    return (struct remed_kafka_judgement){code, REMED_KAFKA_STARTS, REMED_EIO};
}
