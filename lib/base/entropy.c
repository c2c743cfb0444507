/* SPDX-License-Identifier: BSD-3-Clause */
/* The secrets of entropy.h. Threads: no state. */
#define _DEFAULT_SOURCE /* getrandom */
#include "base/entropy.h"

#include "base/hash.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

/* Where the kernel has no getrandom, or its pool is not ready yet: a boot must not wait for us. */
static int fill_from_device(uint8_t *bytes, size_t length)
{
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    size_t done = 0;
    while (done < length) {
        ssize_t got = read(fd, bytes + done, length - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    close(fd);
    return done == length ? 0 : -1;
}

static int fill_from_system(void *bytes, size_t length)
{
    ssize_t got;
    do
        got = getrandom(bytes, length, GRND_NONBLOCK);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)length ? 0 : fill_from_device(bytes, length);
}

int remed_entropy_secret(uint64_t secret[2], const uint64_t seed[2],
                         const struct remed_entropy *entropy, struct remed_error *error)
{
    uint64_t drawn[2] = {seed[0], seed[1]};
    bool is_given = (seed[0] | seed[1]) != 0;
    bool has_source = entropy != NULL && entropy->fill != NULL;
    int rc = 0;
    if (!is_given && has_source)
        rc = entropy->fill(entropy->context, drawn, sizeof drawn);
    else if (!is_given)
        rc = fill_from_system(drawn, sizeof drawn);
    if (rc != 0)
        return remed_error_set(error, REMED_EIO, "no random bytes for the secret of a hash");
    remed_hash_secret(secret, drawn);
    return 0;
}
