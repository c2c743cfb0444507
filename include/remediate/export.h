/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file export.h
 * What marks a symbol as part of the ABI. Everything else is hidden.
 */
#ifndef REMEDIATE_EXPORT_H
#define REMEDIATE_EXPORT_H

#if defined(__GNUC__) || defined(__clang__)
#define REMED_API __attribute__((visibility("default")))
#else
#define REMED_API
#endif

#ifdef __cplusplus
#define REMED_BEGIN_DECLS extern "C" {
#define REMED_END_DECLS }
#else
#define REMED_BEGIN_DECLS
#define REMED_END_DECLS
#endif

#endif
