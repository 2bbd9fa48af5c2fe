/* trace.h - one request as the ledger has it: its row, its attempts, its reservations, as a JSON document.
 *
 * Names are those of the columns (DESIGN section 8). Money is there twice: `..._nano` as an integer of nano-dollars and
 * `..._usd` as an exact decimal string. `attempts` is the list of attempts. `status` is null while it is under way. */
#ifndef TOLLGATE_GATEWAY_LEDGER_TRACE_H
#define TOLLGATE_GATEWAY_LEDGER_TRACE_H

#include "base/buf.h"
#include "gateway/ledger/db.h"

enum trace_rc {
    TRACE_OK,
    TRACE_UNDER_WAY,       /* `out` is as for OK, but the request's row is not finished: what ended may be about to be written */
    TRACE_NOT_FOUND,       /* no such request of this key: whether it is another's is not told */
    TRACE_FAILED,          /* the ledger does not answer */
};

/* One moment: all is read in one transaction. The document goes into `out`, which is empty after NOT_FOUND and FAILED. */
enum trace_rc trace_write(sqlite3 *db, struct span id, struct span key_id, struct buf *out) __attribute__((warn_unused_result));

#endif
