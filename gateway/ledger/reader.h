/* reader.h - questions to the ledger that a caller asks: answered by a thread of their own, so that no worker reads a disk.
 *
 * One reader thread for the process with one connection that only reads; WAL lets it read beside the writer. A worker asks
 * with a ticket of its own and gets it back, with the document, on its port. */
#ifndef TOLLGATE_GATEWAY_LEDGER_READER_H
#define TOLLGATE_GATEWAY_LEDGER_READER_H

#include "base/span.h"

struct reader;
struct reader_port;

enum reader_rc { READER_OK, READER_NOT_FOUND, READER_FAILED };

/* `path`: the ledger's file, which must be there. NULL: no memory or no thread. */
struct reader *reader_new(const char *path);
/* Waits for the question that is being answered. All ports must be freed. */
void reader_free(struct reader *r);

/* A worker's port; *fd is readable when answers wait and belongs to the port. NULL: no memory or no descriptor. */
struct reader_port *reader_port_new(struct reader *r, int *fd);
/* Loop thread: `done` gets each answer; `text` is borrowed for the call. */
void reader_port_drain(struct reader_port *p, void (*done)(void *arg, uint64_t ticket, enum reader_rc rc, struct span text),
                       void *arg);
/* Answers still to come are forgotten. */
void reader_port_free(struct reader_port *p);

/* The trace (trace.h) of request `id`, to its own key alone. False: too many questions wait already. Any thread. */
bool reader_ask_trace(struct reader *r, struct reader_port *p, uint64_t ticket, struct span id, struct span key_id)
    __attribute__((warn_unused_result));

#endif
