/* pages.h - what the gateway answers by itself: its health, its models. */
#ifndef TOLLGATE_GATEWAY_PAGES_H
#define TOLLGATE_GATEWAY_PAGES_H

#include "gateway/request/request.h"

/* At once, but for the trace of a request: that is asked of the ledger's reader, and pages_trace replies. */
void pages_reply(struct request *r);
void pages_trace(struct request *r, enum reader_rc rc, struct span text);

#endif
