/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Syslog over TLS (RFC 5425) on OpenSSL: the server's certificate, and on request the clients'.
 * TLS 1.2 and later, no renegotiation, no compression: a peer can't make it work for nothing.
 *
 * Threads: one thread a listener; OpenSSL keeps its error queue by thread.
 */
#include "backend/syslog/listener.h"

#include "base/regular_file.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

struct tls_server {
    SSL_CTX *context;
};

void remed_tls_reason(char *text, size_t size)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(text, size, "%s", reason != NULL ? reason : "the peer went away");
    ERR_clear_error();
}

static int no_file(struct remed_error *error, const char *what, const char *path)
{
    char why[120];
    remed_tls_reason(why, sizeof why);
    return remed_error_set(error, REMED_ENOENT, "the %s '%.80s' can't be used: %s", what, path,
                           why);
}

static int load(SSL_CTX *context, const struct remed_uri *uri, struct remed_error *error)
{
    char cert[1024] = "", key[1024] = "", authority[1024] = "";
    if (remed_uri_parameter(uri, "cert", cert, sizeof cert) <= 0 ||
        remed_uri_parameter(uri, "key", key, sizeof key) < 0 ||
        remed_uri_parameter(uri, "cafile", authority, sizeof authority) < 0)
        return remed_error_set(error, REMED_EINVAL,
                               "syslog+tls: needs cert=FILE, and key=FILE unless that has both");
    const char *path = key[0] != '\0' ? key : cert;
    int rc = remed_regular_check(cert, "syslog+tls: ", error);
    if (rc == 0)
        rc = remed_regular_check(path, "syslog+tls: ", error);
    if (rc == 0)
        rc = remed_regular_check(authority, "syslog+tls: ", error);
    if (rc < 0)
        return rc;
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return no_file(error, "certificate", cert);
    if (SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1)
        return no_file(error, "key", path);
    if (authority[0] == '\0')
        return 0;
    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(authority);
    if (names == NULL || SSL_CTX_load_verify_locations(context, authority, NULL) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return no_file(error, "cafile", authority);
    }
    SSL_CTX_set_client_CA_list(context, names);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return 0;
}

int remed_tls_server_new(struct remed_listener *listener, struct tls_server **server,
                         const struct remed_uri *uri, struct remed_error *error)
{
    struct tls_server *made = remed_allocate(&listener->allocator, sizeof *made);
    if (made == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for TLS");
    *server = made;
    ERR_clear_error();
    made->context = SSL_CTX_new(TLS_server_method());
    if (made->context == NULL)
        return remed_error_set(error, REMED_ENOMEM, "no memory for TLS");
    SSL_CTX_set_min_proto_version(made->context, TLS1_2_VERSION);
    SSL_CTX_set_options(made->context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(made->context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(made->context, SSL_SESS_CACHE_OFF);
    static const unsigned char id[] = "remediate";
    SSL_CTX_set_session_id_context(made->context, id, sizeof id - 1);
    return load(made->context, uri, error);
}

void remed_tls_server_free(struct remed_listener *listener, struct tls_server *server)
{
    if (server == NULL)
        return;
    SSL_CTX_free(server->context);
    remed_release(&listener->allocator, server, sizeof *server);
}

void *remed_tls_begin(const struct tls_server *server, int fd)
{
    SSL *ssl = SSL_new(server->context);
    if (ssl == NULL)
        return NULL;
    if (SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    return ssl;
}

static int what_now(SSL *ssl, int rc)
{
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        return TLS_CUT;
    default:
        return TLS_BROKEN;
    }
}

int remed_tls_shake(void *ssl)
{
    ERR_clear_error();
    int rc = SSL_accept(ssl);
    if (rc == 1)
        return 1;
    int now = what_now(ssl, rc);
    return now == 0 ? TLS_BROKEN : now;
}

long remed_tls_read(void *ssl, void *to, size_t size)
{
    ERR_clear_error();
    int rc = SSL_read(ssl, to, (int)size);
    return rc > 0 ? rc : what_now(ssl, rc);
}

bool remed_tls_has_more(const void *ssl)
{
    return ssl != NULL && SSL_pending(ssl) > 0;
}

void remed_tls_end(void *ssl)
{
    if (ssl == NULL)
        return;
    if (SSL_is_init_finished(ssl) && (SSL_get_shutdown(ssl) & SSL_SENT_SHUTDOWN) == 0)
        SSL_shutdown(ssl); /* says the end, and does not wait for the peer's */
    ERR_clear_error();
    SSL_free(ssl);
}
