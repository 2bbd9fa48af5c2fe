/* faulty.h - a file layer for tests: SQLite's own, but the n-th write, sync or truncate fails or ends the process.
 *
 *   faulty_install();                       once; then vfs = "faulty"
 *   faulty.at = 7; faulty.kind = FAULT_FULL;   the seventh operation from now, and with `sticky` all after it
 *
 * The counters are atomics: the writer and the checkpoint thread both write. A test's global: one a process. */
#ifndef TOLLGATE_GATEWAY_LEDGER_FAULTY_H
#define TOLLGATE_GATEWAY_LEDGER_FAULTY_H

#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum fault_kind {
    FAULT_FULL,        /* no space: nothing is written */
    FAULT_IO,          /* EIO */
    FAULT_SHORT,       /* half of the bytes are written, then no space */
    FAULT_KILL,        /* half of the bytes are written, then kill -9 */
};

static struct {
    _Atomic long count;        /* operations since the start */
    _Atomic long at;           /* the one that fails; 0: none */
    _Atomic bool sticky;
    _Atomic int kind;
    _Atomic long failed;
    _Atomic long syncs;
} faulty;

struct faulty_file {
    sqlite3_file base;
    sqlite3_file *real;        /* lies behind this struct */
};

static sqlite3_vfs *faulty_real_vfs;

static inline sqlite3_file *faulty_real(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

/* Counts one operation. True: it is to fail. */
static bool faulty_hits(void)
{
    long n = atomic_fetch_add(&faulty.count, 1) + 1, at = atomic_load(&faulty.at);

    if (!at || n < at || (n > at && !atomic_load(&faulty.sticky)))
        return false;
    atomic_fetch_add(&faulty.failed, 1);
    return true;
}

static int faulty_code(void)
{
    return atomic_load(&faulty.kind) == FAULT_IO ? SQLITE_IOERR_WRITE : SQLITE_FULL;
}

static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int kind = atomic_load(&faulty.kind);

    if (!faulty_hits())
        return faulty_real(f)->pMethods->xWrite(faulty_real(f), p, n, at);
    if (kind == FAULT_SHORT || kind == FAULT_KILL)
        faulty_real(f)->pMethods->xWrite(faulty_real(f), p, n / 2, at);
    if (kind == FAULT_KILL)
        raise(SIGKILL);
    return faulty_code();
}

static int faulty_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    if (!faulty_hits())
        return faulty_real(f)->pMethods->xTruncate(faulty_real(f), n);
    if (atomic_load(&faulty.kind) == FAULT_KILL)
        raise(SIGKILL);
    return atomic_load(&faulty.kind) == FAULT_IO ? SQLITE_IOERR_TRUNCATE : SQLITE_FULL;
}

static int faulty_sync(sqlite3_file *f, int flags)
{
    atomic_fetch_add(&faulty.syncs, 1);
    if (!faulty_hits())
        return faulty_real(f)->pMethods->xSync(faulty_real(f), flags);
    if (atomic_load(&faulty.kind) == FAULT_KILL)
        raise(SIGKILL);
    return atomic_load(&faulty.kind) == FAULT_IO ? SQLITE_IOERR_FSYNC : SQLITE_FULL;
}

#define FAULTY_PASS(name, params, args) \
    static int faulty_##name params { return faulty_real(f)->pMethods->name args; }
FAULTY_PASS(xRead, (sqlite3_file *f, void *p, int n, sqlite3_int64 at), (faulty_real(f), p, n, at))
FAULTY_PASS(xFileSize, (sqlite3_file *f, sqlite3_int64 *n), (faulty_real(f), n))
FAULTY_PASS(xLock, (sqlite3_file *f, int l), (faulty_real(f), l))
FAULTY_PASS(xUnlock, (sqlite3_file *f, int l), (faulty_real(f), l))
FAULTY_PASS(xCheckReservedLock, (sqlite3_file *f, int *r), (faulty_real(f), r))
FAULTY_PASS(xFileControl, (sqlite3_file *f, int op, void *p), (faulty_real(f), op, p))
FAULTY_PASS(xSectorSize, (sqlite3_file *f), (faulty_real(f)))
FAULTY_PASS(xDeviceCharacteristics, (sqlite3_file *f), (faulty_real(f)))
FAULTY_PASS(xShmMap, (sqlite3_file *f, int r, int n, int e, void volatile **p), (faulty_real(f), r, n, e, p))
FAULTY_PASS(xShmLock, (sqlite3_file *f, int o, int n, int flags), (faulty_real(f), o, n, flags))
FAULTY_PASS(xShmUnmap, (sqlite3_file *f, int d), (faulty_real(f), d))

static void faulty_xShmBarrier(sqlite3_file *f)
{
    faulty_real(f)->pMethods->xShmBarrier(faulty_real(f));
}

static int faulty_xClose(sqlite3_file *f)
{
    return faulty_real(f)->pMethods ? faulty_real(f)->pMethods->xClose(faulty_real(f)) : SQLITE_OK;
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2, .xClose = faulty_xClose, .xRead = faulty_xRead, .xWrite = faulty_write, .xTruncate = faulty_truncate,
    .xSync = faulty_sync, .xFileSize = faulty_xFileSize, .xLock = faulty_xLock, .xUnlock = faulty_xUnlock,
    .xCheckReservedLock = faulty_xCheckReservedLock, .xFileControl = faulty_xFileControl, .xSectorSize = faulty_xSectorSize,
    .xDeviceCharacteristics = faulty_xDeviceCharacteristics, .xShmMap = faulty_xShmMap, .xShmLock = faulty_xShmLock,
    .xShmBarrier = faulty_xShmBarrier, .xShmUnmap = faulty_xShmUnmap,
};

static int faulty_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct faulty_file *ff = (struct faulty_file *)f;
    int rc;

    (void)v;
    ff->real = (sqlite3_file *)(ff + 1);
    rc = faulty_real_vfs->xOpen(faulty_real_vfs, name, ff->real, flags, out);
    ff->base.pMethods = rc == SQLITE_OK ? &faulty_methods : NULL;
    return rc;
}

static void faulty_install(void)
{
    static sqlite3_vfs vfs;

    faulty_real_vfs = sqlite3_vfs_find(NULL);
    vfs = *faulty_real_vfs;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct faulty_file) + faulty_real_vfs->szOsFile;
    vfs.xOpen = faulty_open;
    sqlite3_vfs_register(&vfs, 0);
}

static inline void faulty_arm(long from_now, enum fault_kind kind, bool sticky)
{
    atomic_store(&faulty.kind, (int)kind);
    atomic_store(&faulty.sticky, sticky);
    atomic_store(&faulty.failed, 0);
    atomic_store(&faulty.at, from_now ? atomic_load(&faulty.count) + from_now : 0);
}

#endif
