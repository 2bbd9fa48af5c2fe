/* server.h - the engine's HTTP: OpenAI-compatible, on a unix socket or on loopback. There are no keys here; who may
 * connect is the file's mode (0600) or the machine. Everything runs on the event base's thread but the workers.
 *
 *   POST /v1/chat/completions   GET /v1/models, /v1/models/NAME   GET /health   POST /tokenize
 *
 * (`/v1` may be left out or put before /tokenize.) */
#ifndef TOLLGATE_ENGINE_SERVER_H
#define TOLLGATE_ENGINE_SERVER_H

#include <event2/event.h>

#include "base/problem.h"
#include "engine/api.h"
#include "engine/connection.h"

#define SERVER_MODELS_MAX 16

struct server;

/* 1024 connections, heads of 32 KiB, bodies of 4 MiB, times for clients on the same machine. */
extern const struct connection_limits server_default_limits;

struct server *server_new(struct event_base *base, const struct connection_limits *limits);
/* Closes all, stops the workers, removes the unix socket. NULL is legal. */
void server_free(struct server *s);

/* Starts a worker for a model (notify and notify_ctx are the server's) and serves it under `name`, which is copied.
 * False without memory or thread, when there are too many or one has the name. */
bool server_add_model(struct server *s, const char *name, const struct worker_config *config, double temperature,
                      double top_p);

/* "unix:PATH" (a dead socket of an earlier run is removed; mode 0600), "127.0.0.1:PORT" or "[::1]:PORT" (port 0: any).
 * False with a problem. */
bool server_listen(struct server *s, const char *address, struct problems *ps);
/* The port that was bound; 0 for a unix socket. */
int server_port(const struct server *s);

/* Takes no more connections, lets running requests end for `ms` at most, then leaves the base's loop. */
void server_drain(struct server *s, int ms);

#endif
