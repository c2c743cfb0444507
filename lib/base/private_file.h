/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files and folders that hold state or secrets: nobody but their owner reads, writes or locks them,
 * whatever the umask is.
 *
 * Threads: no state.
 */
#ifndef REMED_BASE_PRIVATE_FILE_H
#define REMED_BASE_PRIVATE_FILE_H

#include "base/base.h"

/*
 * Opens a regular file, or makes it with mode 0600 when `flags` has O_CREAT. A file of another user
 * than this one or root is refused (root may read it); what others may do to one of this user's is
 * taken back.
 * `folder` is a folder's descriptor or AT_FDCWD; O_CLOEXEC is added, and O_NOFOLLOW where O_CREAT
 * stands. Errors read "WHO: cannot open NAME: why".
 * Returns the descriptor, or REMED_ENOENT, REMED_EPERM, REMED_EIO with errno as open(2) left it.
 */
int remed_private_open(int folder, const char *name, int flags, const char *who,
                       struct remed_error *error);

/*
 * Opens a folder, and makes it with mode 0700 when it is not there. One that others may write to is
 * taken back when it is this user's and nothing but a repository (empty, or with a `lock`), else
 * refused with the remedy: who can write there can put other files in the place of ours. One on a
 * read-only file system is as it is; and root may read that of another user, but
 * remed_private_open() makes nothing in it.
 * Returns the descriptor, or REMED_ENOENT, REMED_EPERM, REMED_EIO.
 */
int remed_private_folder(const char *path, const char *who, struct remed_error *error);

#endif
