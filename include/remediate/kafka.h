/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file kafka.h
 * The transport kafka: (libremediate-kafka, on librdkafka), docs/transports.md.
 *
 * `kafka://host:9092,host:9092/topic?partitions=12&replication=3&group=NAME&start=60s&headers=no&properties=FILE`,
 * and any property of librdkafka beside them (`security.protocol=SASL_SSL`).
 *
 * Threads: librdkafka has threads of its own, and one of ours asks how many partitions there are; all
 * callbacks come from remed_transport_process().
 */
#ifndef REMEDIATE_KAFKA_H
#define REMEDIATE_KAFKA_H

#include <remediate/transport.h>

REMED_BEGIN_DECLS

/** Gives the driver, for remed_transport_opts.drivers. @return static, never NULL */
REMED_API const struct remed_transport_driver *remed_kafka_driver(void);

REMED_END_DECLS
#endif
