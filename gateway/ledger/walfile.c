/* walfile.c - see walfile.h. Owns the gathered bytes; knows of SQLite's log format only what a frame's head is. */
#include "gateway/ledger/walfile.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_MAX 122880      /* bytes; SQLite's unix layer takes less than 128 KiB a write. A larger commit: several pieces */
#define FRAME_HEAD 24          /* sqlite.org/fileformat2.html, 4.1: bytes 4 to 7 are not 0 in the last frame of a commit */

struct walfile {
    sqlite3_vfs vfs;           /* first: xOpen gets it back */
    sqlite3_vfs *below;
    char name[48];
};

struct log_file {
    sqlite3_file base;
    sqlite3_file *real;        /* lies behind this struct */
    char *bytes;               /* gathered, to be written at `at` */
    int n;
    sqlite3_int64 at;
    bool commits;              /* the frame whose head came last ends a commit */
};

static struct log_file *log_of(sqlite3_file *f)
{
    return (struct log_file *)(void *)f;
}

/* Writes what has gathered; forgets it also when that fails: the commit it belongs to is rolled back then. */
static int flush(struct log_file *l)
{
    int n = l->n;

    l->n = 0;
    return n ? l->real->pMethods->xWrite(l->real, l->bytes, n, l->at) : SQLITE_OK;
}

static bool has_room(struct log_file *l)
{
    if (!l->bytes)
        l->bytes = malloc(GATHER_MAX);
    return l->bytes != NULL;
}

static int log_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    const unsigned char *head = p;
    struct log_file *l = log_of(f);
    bool last = n != FRAME_HEAD && l->commits;
    int rc = SQLITE_OK;

    if (l->n && (at != l->at + l->n || n > GATHER_MAX - l->n))
        rc = flush(l);
    if (rc != SQLITE_OK)
        return rc;
    l->commits = n == FRAME_HEAD && (head[4] | head[5] | head[6] | head[7]);
    if (n > GATHER_MAX || !has_room(l)) {
        rc = flush(l);
        return rc == SQLITE_OK ? l->real->pMethods->xWrite(l->real, p, n, at) : rc;
    }
    if (!l->n)
        l->at = at;
    memcpy(l->bytes + l->n, p, (size_t)n);
    l->n += n;
    return last ? flush(l) : SQLITE_OK;
}

static int log_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    int rc = flush(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->real->pMethods->xRead(log_of(f)->real, p, n, at) : rc;
}

static int log_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = flush(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->real->pMethods->xTruncate(log_of(f)->real, n) : rc;
}

static int log_sync(sqlite3_file *f, int flags)
{
    int rc = flush(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->real->pMethods->xSync(log_of(f)->real, flags) : rc;
}

static int log_size(sqlite3_file *f, sqlite3_int64 *n)
{
    int rc = flush(log_of(f));

    return rc == SQLITE_OK ? log_of(f)->real->pMethods->xFileSize(log_of(f)->real, n) : rc;
}

/* What SQLite asks of its log without meaning its content. */
static int log_lock(sqlite3_file *f, int kind)
{
    return log_of(f)->real->pMethods->xLock(log_of(f)->real, kind);
}

static int log_unlock(sqlite3_file *f, int kind)
{
    return log_of(f)->real->pMethods->xUnlock(log_of(f)->real, kind);
}

static int log_check_lock(sqlite3_file *f, int *locked)
{
    return log_of(f)->real->pMethods->xCheckReservedLock(log_of(f)->real, locked);
}

static int log_control(sqlite3_file *f, int op, void *arg)
{
    return log_of(f)->real->pMethods->xFileControl(log_of(f)->real, op, arg);
}

static int log_sector_size(sqlite3_file *f)
{
    return log_of(f)->real->pMethods->xSectorSize(log_of(f)->real);
}

static int log_characteristics(sqlite3_file *f)
{
    return log_of(f)->real->pMethods->xDeviceCharacteristics(log_of(f)->real);
}

static int log_close(sqlite3_file *f)
{
    struct log_file *l = log_of(f);

    free(l->bytes);            /* of a commit that was never ended, if anything */
    return l->real->pMethods ? l->real->pMethods->xClose(l->real) : SQLITE_OK;
}

static const sqlite3_io_methods log_methods = {
    .iVersion = 1, .xClose = log_close, .xRead = log_read, .xWrite = log_write, .xTruncate = log_truncate, .xSync = log_sync,
    .xFileSize = log_size, .xLock = log_lock, .xUnlock = log_unlock, .xCheckReservedLock = log_check_lock,
    .xFileControl = log_control, .xSectorSize = log_sector_size, .xDeviceCharacteristics = log_characteristics,
};

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    struct walfile *w = (struct walfile *)(void *)vfs;
    struct log_file *l = log_of(f);
    int rc;

    if (!(flags & SQLITE_OPEN_WAL))
        return w->below->xOpen(w->below, name, f, flags, out_flags);
    *l = (struct log_file){ .real = (sqlite3_file *)(void *)(l + 1) };
    rc = w->below->xOpen(w->below, name, l->real, flags, out_flags);
    if (rc == SQLITE_OK)
        l->base.pMethods = &log_methods;
    return rc;
}

struct walfile *walfile_new(const char *below)
{
    struct walfile *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->below = sqlite3_vfs_find(below);
    if (w->below) {
        w->vfs = *w->below;
        snprintf(w->name, sizeof w->name, "tollgate-%p", (void *)w);
        w->vfs.zName = w->name;
        w->vfs.pNext = NULL;
        w->vfs.szOsFile = (int)sizeof(struct log_file) + w->below->szOsFile;
        w->vfs.xOpen = open_file;
    }
    if (!w->below || sqlite3_vfs_register(&w->vfs, 0) != SQLITE_OK) {
        free(w);
        return NULL;
    }
    return w;
}

void walfile_free(struct walfile *w)
{
    if (!w)
        return;
    sqlite3_vfs_unregister(&w->vfs);
    free(w);
}

const char *walfile_name(const struct walfile *w)
{
    return w->name;
}
