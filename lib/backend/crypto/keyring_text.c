/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys as text, from memory or a file. What is read is a secret: it lies in memory of ours alone
 * and is wiped, and no message has a part of it.
 *
 * Threads: as crypto.h.
 */
#include "backend/crypto/keyring.h"

#include "base/regular_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE (256u << 10)
#define BASE64 "base64:"

struct line {
    const char *begin, *at, *end;
    uint32_t number;
    struct remed_error *error;
};

static int wrong(const struct line *line, int code, const char *what)
{
    return remed_error_at(line->error, code, line->number, (uint32_t)(line->at - line->begin) + 1,
                          "%s", what);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct line *line)
{
    while (line->at < line->end && is_blank(*line->at))
        line->at++;
}

static int read_id(struct line *line, uint32_t *id)
{
    uint64_t number = 0;
    const char *begin = line->at;
    for (; line->at < line->end && *line->at >= '0' && *line->at <= '9'; line->at++) {
        number = number * 10 + (uint64_t)(*line->at - '0');
        if (number > UINT32_MAX)
            break;
    }
    if (number == 0 || number > UINT32_MAX) {
        line->at = begin;
        return wrong(line, REMED_ESYNTAX, "expected a key's number, 1 to 4294967295");
    }
    if (line->at == line->end || !is_blank(*line->at))
        return wrong(line, REMED_ESYNTAX, "expected a blank between number and secret");
    skip_blanks(line);
    *id = (uint32_t)number;
    return 0;
}

static int base64_digit(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Digits of `bits` each, into whole bytes; *rest and *spare tell how many bits are left over, and
 * their value. */
static int read_digits(struct line *line, unsigned bits, uint8_t secret[REMED_SECRET_MAX],
                       size_t *length, unsigned *rest, uint32_t *spare)
{
    *length = *rest = 0;
    *spare = 0;
    for (; line->at < line->end; line->at++) {
        int digit = bits == 4 ? remed_hex_digit(*line->at) : base64_digit(*line->at);
        if (digit < 0)
            break;
        *spare = *spare << bits | (uint32_t)digit;
        *rest += bits;
        if (*rest < 8)
            continue;
        if (*length == REMED_SECRET_MAX)
            return wrong(line, REMED_EINVAL, "a secret of more than 1024 bytes");
        *rest -= 8;
        secret[(*length)++] = (uint8_t)(*spare >> *rest);
        *spare &= (1u << *rest) - 1;
    }
    return 0;
}

static bool ends_here(struct line *line)
{
    const char *digits_end = line->at;
    skip_blanks(line);
    if (line->at == line->end || *line->at == '#')
        return true;
    line->at = digits_end;
    return false;
}

/* Hexadecimal, or base64 (RFC 4648, 4) with its padding, whose spare bits are zero. */
static int read_secret(struct line *line, uint8_t secret[REMED_SECRET_MAX], size_t *length)
{
    unsigned rest;
    uint32_t spare;
    bool base64 = (size_t)(line->end - line->at) >= sizeof BASE64 - 1 &&
                  memcmp(line->at, BASE64, sizeof BASE64 - 1) == 0;
    if (base64)
        line->at += sizeof BASE64 - 1;
    int rc = read_digits(line, base64 ? 6 : 4, secret, length, &rest, &spare);
    if (rc < 0)
        return rc;
    unsigned padding = base64 ? rest / 2 : 0; /* 2 spare bits: one '=', 4: two */
    for (; padding > 0 && line->at < line->end && *line->at == '='; padding--)
        line->at++;
    if (!ends_here(line))
        return wrong(line, REMED_ESYNTAX,
                     base64 ? "no digit of base64" : "no hexadecimal digit, nor base64:");
    if (padding > 0 || spare != 0 || rest == 6)
        return wrong(line, REMED_ESYNTAX, "the base64 ends within a byte");
    return !base64 && rest != 0 ? wrong(line, REMED_ESYNTAX, "an odd number of digits") : 0;
}

static int read_line(struct remed_keys *keys, struct line *line)
{
    uint8_t secret[REMED_SECRET_MAX];
    struct remed_error error;
    size_t length = 0;
    uint32_t id = 0;
    skip_blanks(line);
    if (line->at == line->end || *line->at == '#')
        return 0;
    const char *begin = line->at;
    int rc = read_id(line, &id);
    if (rc == 0)
        rc = read_secret(line, secret, &length);
    if (rc == 0 && (rc = remed_keys_add(keys, id, secret, length, &error)) < 0) {
        line->at = begin;
        wrong(line, rc, error.message);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return rc;
}

int remed_keys_parse(struct remed_keys *keys, const char *text, size_t length,
                     struct remed_error *error)
{
    struct line line = {.begin = text, .number = 1, .error = error};
    const char *end = text + length;
    for (; line.begin < end; line.number++) {
        const char *newline = memchr(line.begin, '\n', (size_t)(end - line.begin));
        line.at = line.begin;
        line.end = newline != NULL ? newline : end;
        int rc = read_line(keys, &line);
        if (rc < 0)
            return rc;
        line.begin = newline != NULL ? newline + 1 : end;
    }
    line.at = line.begin;
    return keys->count > 0 ? 0 : wrong(&line, REMED_EINVAL, "expected a key, and it ends");
}

int remed_keyring_parse(struct remed_keyring *keyring, const char *text, size_t length,
                        struct remed_error *error)
{
    struct remed_keys *keys = remed_allocate(&keyring->allocator, sizeof *keys);
    if (keys == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for keys");
    int rc = remed_keys_parse(keys, text, length, error);
    if (rc == 0)
        keyring->keys = *keys; /* those before are overwritten whole */
    OPENSSL_cleanse(keys, sizeof *keys);
    remed_release(&keyring->allocator, keys, sizeof *keys);
    return rc;
}

/* As ssh does with its keys: a secret that others can read or change is none. */
static int check_file(int file, const char *path, struct remed_error *error)
{
    struct stat status;
    if (fstat(file, &status) < 0)
        return remed_error_set(error, REMED_EIO, "%s: %s", path, strerror(errno));
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return remed_error_set(error, REMED_EPERM,
                               "%s: mode %04o lets others at the keys; chmod 600 it", path,
                               (unsigned)status.st_mode & 07777);
    if (status.st_uid != 0 && status.st_uid != geteuid())
        return remed_error_set(error, REMED_EPERM, "%s: is neither this user's nor root's", path);
    return 0;
}

static int read_file(int file, char *text, size_t *length, const char *path,
                     struct remed_error *error)
{
    *length = 0;
    for (;;) {
        ssize_t got = read(file, text + *length, MAX_FILE + 1 - *length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return remed_error_set(error, REMED_EIO, "%s: %s", path, strerror(errno));
        *length += (size_t)got;
        if (*length > MAX_FILE)
            return remed_error_set(error, REMED_ELIMIT, "%s: more than 256 KiB", path);
        if (got == 0)
            return 0;
    }
}

int remed_keyring_load(struct remed_keyring *keyring, const char *path, struct remed_error *error)
{
    size_t length;
    int file = remed_regular_open(path, "", error);
    if (file < 0)
        return file;
    char *text = remed_allocate(&keyring->allocator, MAX_FILE + 1);
    int rc = text != NULL ? check_file(file, path, error)
                          : remed_error_set(error, REMED_ENOMEM, "no memory to read %s", path);
    if (rc == 0)
        rc = read_file(file, text, &length, path, error);
    if (rc == 0)
        rc = remed_keyring_parse(keyring, text, length, error);
    if (text != NULL)
        OPENSSL_cleanse(text, MAX_FILE + 1);
    remed_release(&keyring->allocator, text, MAX_FILE + 1);
    close(file);
    return rc;
}
