/* SPDX-License-Identifier: BSD-3-Clause */
/* The TLS of tls.h. Threads: belongs to one transport. */
#include "backend/redis/tls.h"

#include "base/regular_file.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>

static int socket_write(BIO *bio, const char *bytes, int size)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t sent = send(fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
    int fd = (int)(intptr_t)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t got = recv(fd, bytes, (size_t)size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)got;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static const char *reason(void)
{
    unsigned long code = ERR_peek_error(); /* the first: those behind it follow from it */
    if (ERR_SYSTEM_ERROR(code))
        return strerror(ERR_GET_REASON(code));
    const char *text = ERR_reason_error_string(code);
    return text != NULL ? text : "unknown error";
}

static int complain(struct remed_error *error, const char *what, const char *path)
{
    return remed_error_set(error, REMED_EPERM, "redis: TLS: %s %.120s: %s", what, path, reason());
}

static int load_authorities(SSL_CTX *context, const struct remed_redis_options *options,
                            struct remed_error *error)
{
    if (options->ca_file[0] == '\0' && options->ca_folder[0] == '\0')
        return SSL_CTX_set_default_verify_paths(context) == 1
                   ? 0
                   : complain(error, "no authorities", "of the system");
    int rc = remed_regular_check(options->ca_file, "redis: ", error);
    if (rc < 0)
        return rc;
    if (options->ca_file[0] != '\0' && SSL_CTX_load_verify_file(context, options->ca_file) != 1)
        return complain(error, "cafile", options->ca_file);
    if (options->ca_folder[0] != '\0' && SSL_CTX_load_verify_dir(context, options->ca_folder) != 1)
        return complain(error, "cadir", options->ca_folder);
    return 0;
}

static int load_certificate(SSL_CTX *context, const struct remed_redis_options *options,
                            struct remed_error *error)
{
    if (options->certificate[0] == '\0')
        return 0;
    int rc = remed_regular_check(options->certificate, "redis: ", error);
    if (rc == 0)
        rc = remed_regular_check(options->key, "redis: ", error);
    if (rc < 0)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1)
        return complain(error, "cert", options->certificate);
    if (SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM) != 1)
        return complain(error, "key", options->key);
    return 0;
}

/* OpenSSL's own would ask at the terminal, and wait. */
static int no_passphrase(char *to, int size, int writing, void *context)
{
    (void)to;
    (void)size;
    (void)writing;
    (void)context;
    return -1;
}

int remed_redis_tls_init(struct remed_redis_tls *tls, const struct remed_redis_options *options,
                         struct remed_error *error)
{
    ERR_clear_error();
    tls->context = SSL_CTX_new(TLS_client_method());
    tls->socket = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "remediate");
    if (tls->context == NULL || tls->socket == NULL)
        return remed_error_set(error, REMED_ENOMEM, "redis: TLS: %s", reason());
    BIO_meth_set_write(tls->socket, socket_write);
    BIO_meth_set_read(tls->socket, socket_read);
    BIO_meth_set_ctrl(tls->socket, socket_control);
    SSL_CTX_set_min_proto_version(tls->context, TLS1_2_VERSION);
    SSL_CTX_set_options(tls->context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_verify(tls->context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_passwd_cb(tls->context, no_passphrase);
    SSL_CTX_set_mode(tls->context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    int rc = load_authorities(tls->context, options, error);
    return rc == 0 ? load_certificate(tls->context, options, error) : rc;
}

void remed_redis_tls_fini(struct remed_redis_tls *tls)
{
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->socket);
    tls->context = NULL;
    tls->socket = NULL;
}

/* An address is looked for among the certificate's addresses, and is no name to ask for. */
static bool expect(SSL *ssl, const char *name)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return true;
    return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

SSL *remed_redis_tls_begin(const struct remed_redis_tls *tls,
                           const struct remed_redis_options *options, int fd)
{
    const char *name = options->server_name[0] != '\0' ? options->server_name : options->host;
    SSL *ssl = SSL_new(tls->context);
    BIO *bio = BIO_new(tls->socket);
    if (ssl == NULL || bio == NULL || !expect(ssl, name)) {
        SSL_free(ssl);
        BIO_free(bio);
        return NULL;
    }
    BIO_set_data(bio, (void *)(intptr_t)fd);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    return ssl;
}

static int judge(SSL *ssl, int rc, short *events, const char **why)
{
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        *events = POLLIN;
        return REMED_REDIS_WAIT;
    case SSL_ERROR_WANT_WRITE:
        *events = POLLIN | POLLOUT;
        return REMED_REDIS_WAIT;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        *why = errno != 0 ? strerror(errno) : "closed by the server";
        return REMED_REDIS_LOST;
    default:
        *why = SSL_get_verify_result(ssl) != X509_V_OK
                   ? X509_verify_cert_error_string(SSL_get_verify_result(ssl))
                   : reason();
        return REMED_REDIS_REFUSED;
    }
}

int remed_redis_tls_handshake(SSL *ssl, short *events, const char **why)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_do_handshake(ssl);
    if (rc == 1)
        return 1;
    rc = judge(ssl, rc, events, why);
    if (rc != 0)
        return rc;
    *why = "closed by the server";
    return REMED_REDIS_LOST;
}

ssize_t remed_redis_tls_read(SSL *ssl, void *bytes, size_t size, short *events, const char **why)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_read(ssl, bytes, size < INT_MAX ? (int)size : INT_MAX);
    return rc > 0 ? rc : judge(ssl, rc, events, why);
}

ssize_t remed_redis_tls_write(SSL *ssl, const void *bytes, size_t size, short *events,
                              const char **why)
{
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(ssl, bytes, size < INT_MAX ? (int)size : INT_MAX);
    return rc > 0 ? rc : judge(ssl, rc, events, why);
}
