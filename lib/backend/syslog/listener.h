/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The listener inside: inputs on one epoll, and what they share.
 *
 * Every descriptor has a watch, and its `ready` reads a bounded amount, so that no sender starves
 * the others. What was read and not yet taken when the callback said stop stays in the listener's
 * one buffer (`rest`), and is handed out before anything else is read. Files need no such rest:
 * they are read again.
 *
 * Threads: one thread a listener.
 */
#ifndef REMED_BACKEND_SYSLOG_LISTENER_H
#define REMED_BACKEND_SYSLOG_LISTENER_H

#include <remediate/listener.h>
#include <remediate/syslog.h>
#include "base/base.h"
#include "repository/uri.h"

#include <sys/socket.h>
#include <sys/types.h>

#define READ_BYTES 65536u
#define SWEEP_NS REMED_NS_PER_S /* how often idle connections are looked for */

struct source; /* sources.c */
struct tls_server;
struct follow;
struct datagrams;
struct peer; /* peers.c */

enum input_kind { INPUT_DATAGRAM, INPUT_STREAM, INPUT_FILE, INPUT_PIPE };

struct watch {
    int fd;
    void (*ready)(struct remed_listener *listener, struct watch *watch, uint32_t events);
};

struct input {
    struct watch watch; /* first: a watch is cast to it */
    enum input_kind kind;
    uint32_t row;     /* of its counters */
    uint32_t dropped; /* the kernel's counter, as last seen */
    bool ended;
    bool always;  /* standard input that epoll does not take: a regular file */
    bool paused;  /* reading or accepting failed: not again until the sweep */
    bool failing; /* it can't be read: for now, or for good when it ended */
    uint64_t idle;
    struct tls_server *tls;
    struct follow *follow;
    struct remed_syslog_frames *frames; /* INPUT_PIPE */
    uint64_t oversize;                  /* of its frames, as counted so far */
    char *unlinks;                      /* a socket's path, to be removed at the end */
};

struct connection {
    struct watch watch; /* first: a watch is cast to it */
    struct input *input;
    struct remed_syslog_frames *frames;
    struct connection *next, *previous;
    void *ssl; /* NULL without TLS */
    bool shaking;
    bool gave;         /* a whole line */
    uint64_t made;     /* on the clock of heeded time */
    uint64_t heard;    /* the same */
    struct peer *peer; /* who else comes from there */
    uint64_t oversize; /* of its frames, as counted so far */
    uint32_t row;      /* for the time of one read */
    uint8_t family;    /* 4, 6; 0 on a local socket */
    uint8_t address[16];
};

/* Lines and datagrams that were read, and are to be handed out first. */
struct rest {
    struct connection *connection;
    struct input *pipe;
    size_t at, end; /* in the buffer; or datagrams */
    struct input *datagrams;
};

struct peers {
    struct peer **heads;
    uint32_t buckets;
    uint64_t secret[2];
};

struct sources {
    struct source *rows;
    uint32_t *heads;
    uint32_t capacity, count, buckets;
    uint32_t oldest, newest; /* senders, by when they were heard */
    uint64_t evicted;
    uint64_t secret[2];
};

struct remed_listener {
    struct remed_allocator allocator;
    struct remed_listener_opts opts;
    int epoll;
    uint64_t now;    /* host's clock, of this process, with its steps back taken out */
    uint64_t heeded; /* time that passed while connections were read: they are idle by that alone */
    uint64_t shift;  /* of the host's clock: the sum of its steps back */
    uint64_t received; /* wall clock, of this read */
    bool stopped, inside, doomed;
    struct sources sources;
    struct peers peers;
    struct input *inputs[REMED_LISTENER_INPUTS_MAX];
    uint32_t input_count, connection_count;
    struct connection *connections;
    struct datagrams *datagrams; /* made with the first such input */
    struct rest rest;
    uint64_t sweep;
    uint64_t said;       /* when a refusal was last told of */
    uint64_t silent_due; /* when it is worth looking for silent connections again */
    uint64_t refusals;   /* since then */
    int broken;          /* errno of standard input, to be told by process */
    bool lowered;        /* max_connections, and nobody was told yet */
    uint64_t lines;
    uint8_t buffer[READ_BYTES];
};

/* listener.c */
void remed_listener_say(const struct remed_listener *listener, enum remed_log_level level,
                        const char *format, ...) __attribute__((format(printf, 3, 4)));
int remed_listener_watch(const struct remed_listener *listener, struct watch *watch,
                         uint32_t events);
void remed_listener_rewatch(const struct remed_listener *listener, struct watch *watch,
                            uint32_t events);
/* Hands out one line, trimmed, under a source's row. */
void remed_listener_line(struct remed_listener *listener, uint32_t row, const char *text,
                         size_t length, bool cut);
uint64_t remed_listener_clock(void);
/* Leaves an input alone until the sweep, as it would fail at once again. */
void remed_listener_pause(struct remed_listener *listener, struct input *input);
/* Takes up again those that were left alone; true: some fail still. */
bool remed_listener_resume(struct remed_listener *listener);

/* sources.c */
int remed_sources_init(struct remed_listener *listener, struct remed_error *error);
void remed_sources_fini(struct remed_listener *listener);
struct remed_listener_source *remed_source(struct remed_listener *listener, uint32_t row);
/* A row that stays. */
uint32_t remed_source_pin(struct remed_listener *listener, const char *name);
void remed_source_unpin(struct remed_listener *listener);
/* The rows of an address (network order; family 4 or 6, 0: the input's own) and of a host's name.
 */
uint32_t remed_source_address(struct remed_listener *listener, uint32_t input, unsigned family,
                              const uint8_t *address);
uint32_t remed_source_host(struct remed_listener *listener, uint32_t input,
                           struct remed_syslog_text host);

/* peers.c: who has how many connections, and how many there may be */
int remed_peers_init(struct remed_listener *listener, struct remed_error *error);
void remed_peers_fini(struct remed_listener *listener);
/* Counts one more connection of an address (family 0: of the user of a local socket); false: no
 * memory. */
bool remed_peer_join(struct remed_listener *listener, struct connection *connection);
void remed_peer_leave(struct remed_listener *listener, struct connection *connection);
bool remed_peer_has_too_many(const struct remed_listener *listener,
                             const struct connection *connection);
/* Descriptors that connections leave to what else is opened: the next segment, a rotated file. */
bool remed_peers_fit_descriptor(int fd);
void remed_peers_fit_limit(struct remed_listener *listener);
void remed_peers_tell_limit(struct remed_listener *listener);

/* inputs.c */
int remed_input_open(struct remed_listener *listener, struct input *input, const char *uri,
                     struct remed_error *error);
void remed_input_close(struct remed_listener *listener, struct input *input);

/* bind.c: a socket that is bound, -1 after filling the error */
int remed_bind_network(const struct remed_uri *uri, int type, const char *port,
                       struct remed_error *error);
int remed_bind_local(const struct remed_uri *uri, int type, struct remed_error *error);

/* datagram.c */
int remed_datagrams_init(struct remed_listener *listener);
void remed_datagrams_fini(struct remed_listener *listener);
void remed_datagrams_ready(struct remed_listener *listener, struct watch *watch, uint32_t events);
void remed_datagrams_hand_out(struct remed_listener *listener);
void remed_datagrams_count_drops(struct remed_listener *listener, struct input *input);
bool remed_from_sockaddr(const struct sockaddr *from, uint8_t *family, uint8_t address[16]);

/* stream.c */
void remed_stream_accept(struct remed_listener *listener, struct watch *watch, uint32_t events);
void remed_stream_hand_out(struct remed_listener *listener);
void remed_stream_sweep(struct remed_listener *listener);
void remed_stream_close(struct remed_listener *listener, struct connection *connection);
int remed_pipe_init(struct remed_listener *listener, struct input *input,
                    struct remed_error *error);
void remed_pipe_ready(struct remed_listener *listener, struct watch *watch, uint32_t events);

/* tls.c: what a step gave */
enum { TLS_WANTS_READ = -1, TLS_WANTS_WRITE = -2, TLS_BROKEN = -3, TLS_CUT = -4 };
int remed_tls_server_new(struct remed_listener *listener, struct tls_server **server,
                         const struct remed_uri *uri, struct remed_error *error);
void remed_tls_server_free(struct remed_listener *listener, struct tls_server *server);
void *remed_tls_begin(const struct tls_server *server, int fd);
int remed_tls_shake(void *ssl);                        /* 1: done */
long remed_tls_read(void *ssl, void *to, size_t size); /* 0: the peer said the end */
bool remed_tls_has_more(const void *ssl);
void remed_tls_end(void *ssl);
void remed_tls_reason(char *text, size_t size);

/* follow.c */
int remed_follow_new(struct remed_listener *listener, struct input *input,
                     const struct remed_uri *uri, struct remed_error *error);
void remed_follow_free(struct remed_listener *listener, struct follow *follow);
/* Reads what is there, in bounds; true: more at once. */
bool remed_follow_read(struct remed_listener *listener, struct follow *follow);
uint64_t remed_follow_due(const struct follow *follow);
void remed_follow_mark(struct follow *follow);
int remed_follow_commit(struct follow *follow, struct remed_error *error);

#endif
