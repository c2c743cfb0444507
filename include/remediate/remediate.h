/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file remediate.h
 * All of the core in one include. Backends (pcap.h, …) are included by themselves.
 */
#ifndef REMEDIATE_REMEDIATE_H
#define REMEDIATE_REMEDIATE_H

#include <remediate/entropy.h>
#include <remediate/error.h>
#include <remediate/memory.h>
#include <remediate/log.h>
#include <remediate/version.h>
#include <remediate/packet.h>
#include <remediate/flow.h>
#include <remediate/policy.h>
#include <remediate/filter.h>
#include <remediate/state.h>
#include <remediate/sign.h>
#include <remediate/syslog.h>
#include <remediate/transport.h>
#include <remediate/publisher.h>
#include <remediate/repository.h>
#include <remediate/log_rules.h>

#endif
