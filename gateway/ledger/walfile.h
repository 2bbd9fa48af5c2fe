/* walfile.h - a file layer under the writer's connection that writes the frames of a commit in one piece.
 *
 * SQLite writes each page of a commit to its log in two system calls, of 24 and 4096 bytes: some 20 to 40 a commit,
 * half of what the kernel takes for it. Here they gather in memory and leave in one write, with the frame that makes
 * them a commit. All else passes through to the layer below; only the log's file is touched.
 *
 * Nothing is promised less. SQLite tells readers of a commit (in shared memory) only after the write of its last frame
 * has returned, and that is when all of them have been written; a sync, a read or a look at the file's size writes
 * first what has gathered; a write that fails fails the commit, and what had gathered is forgotten with it.
 *
 * The connection must not spill its cache (PRAGMA cache_spill = OFF): frames are then written by commits only, the last
 * of each with its mark, so that nothing is in memory between two of them. */
#ifndef TOLLGATE_GATEWAY_LEDGER_WALFILE_H
#define TOLLGATE_GATEWAY_LEDGER_WALFILE_H

struct walfile;

/* Over the layer `below` (NULL: the system's), registered with SQLite under a name of its own. NULL: no memory, or no
 * such layer. Freed when no connection uses it any more. */
struct walfile *walfile_new(const char *below);
void walfile_free(struct walfile *w);
const char *walfile_name(const struct walfile *w);

#endif
