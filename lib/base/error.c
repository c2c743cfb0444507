/* SPDX-License-Identifier: BSD-3-Clause */
/* Errors: names, bands, and filling the caller's error object. Threads: no state. */
#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>

const char *remed_strerror(int code)
{
    switch (code) {
    case REMED_OK:
        return "success";
    case REMED_EINVAL:
        return "invalid argument";
    case REMED_ESYNTAX:
        return "syntax error";
    case REMED_ELIMIT:
        return "limit exceeded";
    case REMED_EUNSUPPORTED:
        return "not supported";
    case REMED_ENOENT:
        return "not found";
    case REMED_EFORMAT:
        return "damaged or unknown format";
    case REMED_ETRUNCATED:
        return "truncated";
    case REMED_EPERM:
        return "permission denied";
    case REMED_EAGAIN:
        return "nothing there yet";
    case REMED_EBUSY:
        return "busy";
    case REMED_EIO:
        return "input/output error";
    case REMED_ENOMEM:
        return "out of memory";
    case REMED_EINTERNAL:
        return "internal error";
    default:
        return "unknown error";
    }
}

bool remed_err_is_fatal(int code)
{
    return code <= REMED_EFATAL;
}

bool remed_err_is_retriable(int code)
{
    return code == REMED_EAGAIN || code == REMED_EBUSY;
}

static void fill(struct remed_error *error, int code, uint32_t line, uint32_t column,
                 const char *format, va_list arguments)
{
    if (error == NULL)
        return;
    memset(error, 0, sizeof *error);
    error->code = code;
    error->line = line;
    error->column = column;
    vsnprintf(error->message, sizeof error->message, format, arguments);
    for (char *c = error->message; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = '?';
}

int remed_error_set(struct remed_error *error, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, 0, 0, format, arguments);
    va_end(arguments);
    return code;
}

int remed_error_at(struct remed_error *error, int code, uint32_t line, uint32_t column,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, code, line, column, format, arguments);
    va_end(arguments);
    return code;
}
