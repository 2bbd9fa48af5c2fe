/* test_crash.c - kill -9 at any instant: what was acknowledged is there, once; nothing stays open; audit is green.
 *
 * A child serves with three worker threads that open and settle at random. For each ticket that came back it writes a
 * line to a pipe before it goes on; the parent kills it at a random moment, or (every other round) lets the n-th write
 * to a file of the ledger be its last, half done. Then the ledger is opened again and compared with the lines. */
#include "gateway/ledger/fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/log.h"
#include "gateway/ledger/faulty.h"

#define ROUNDS 60
#define LIFE_LINES 3000    /* acknowledged in one life: a fast machine would fill a ledger that takes hours to audit 60 times */
#define WORKERS 3
#define SLOTS 8
#define LINE 33                /* "O" or "S", an id, a blank, end of line: one write of less than PIPE_BUF is whole */

struct worker {
    struct fixture *f;
    struct ledger_port *port;
    int fd, pipe, index;
    unsigned seed;
    uint64_t serial;
    struct sample slots[SLOTS];
    int phase[SLOTS];          /* 0 free, 1 opening, 2 open, 3 settling, 4 opening and settled */
};

static void say(int pipe, char what, const char *id)
{
    char line[LINE + 1];

    snprintf(line, sizeof line, "%c%s \n", what, id);
    if (write(pipe, line, LINE) != LINE)
        _exit(2);
}

static void on_ticket(void *arg, uint64_t ticket, enum ledger_rc rc)
{
    struct worker *w = arg;
    size_t i = ticket - 1;

    if (rc != LEDGER_OK)
        _exit(3);
    say(w->pipe, w->phase[i] == 3 ? 'S' : 'O', w->slots[i].id);
    w->phase[i] = w->phase[i] == 1 ? 2 : 0;
}

static void step(struct worker *w, size_t i)
{
    struct fixture mine = *w->f;       /* tickets go to this worker's port */
    enum ledger_rc rc = LEDGER_OK;

    mine.port = w->port;
    if (w->phase[i] == 0) {
        sample_init(&mine, &w->slots[i], (uint64_t)w->index << 32 | w->serial++);
        rc = sample_open(&mine, &w->slots[i], i + 1);
        w->phase[i] = 1;
        if (rc == LEDGER_OK && rand_r(&w->seed) % 2) {    /* at once, perhaps before its open is written */
            rc = sample_settle(&mine, &w->slots[i], 0);
            w->phase[i] = 4;
        }
    } else if (w->phase[i] == 2) {
        rc = sample_settle(&mine, &w->slots[i], i + 1);
        w->phase[i] = 3;
    }
    if (rc != LEDGER_OK)
        _exit(4);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;

    for (;;) {
        struct pollfd p = { w->fd, POLLIN, 0 };

        for (size_t i = 0; i < SLOTS; i++)
            if (rand_r(&w->seed) % 3)
                step(w, i);
        if (poll(&p, 1, 1) > 0)
            ledger_port_drain(w->port, on_ticket, w);
    }
    return NULL;
}

static void child(struct fixture *f, int pipe, unsigned seed, long die_at)
{
    static struct worker workers[WORKERS];
    pthread_t t;

    log_set_level(LOG_ERROR);
    f->vfs = "faulty";
    f->now_ms = AT_MS + (int64_t)seed * 1000;
    if (die_at)
        faulty_arm(die_at, FAULT_KILL, false);
    fixture_open(f);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){ .f = f, .pipe = pipe, .index = i, .seed = seed * 31 + (unsigned)i };
        workers[i].port = ledger_port_new(f->l, &workers[i].fd);
        if (pthread_create(&t, NULL, worker_main, &workers[i]) != 0)
            _exit(5);
    }
    for (;;)
        pause();
}

/* Reads the lines of one life to the end; counts those whose row is not as it was acknowledged. */
static size_t compare(struct fixture *f, const char *lines, size_t n, size_t *settled)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *open, *done;
    size_t wrong = 0;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    open = db_prepare(db, "SELECT count(*) FROM reservations WHERE request_id = ?1 AND state IN ('settled', 'estimated')", NULL);
    done = db_prepare(db, "SELECT count(*) FROM attempts a JOIN requests r ON r.id = a.request_id WHERE a.request_id = ?1 AND"
                      " a.usage_source = 'reported' AND a.cost_nano = 20000 AND r.cost_nano = 20000 AND r.status = 200", NULL);
    for (size_t at = 0; at + LINE <= n; at += LINE) {
        sqlite3_stmt *st = lines[at] == 'O' ? open : done;

        db_bind_span(st, 1, (struct span){ lines + at + 1, ROW_ID_BYTES });
        wrong += !(sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int(st, 0) == 1);
        *settled += lines[at] == 'S';
        sqlite3_reset(st);
    }
    sqlite3_finalize(open);
    sqlite3_finalize(done);
    sqlite3_close(db);
    return wrong;
}

/* One life: returns what it had acknowledged. */
static size_t live_and_die(struct fixture *f, unsigned round, char *lines, size_t room)
{
    int ends[2], status;
    size_t n = 0;
    ssize_t got;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(f, ends[1], round + 1, round % 2 ? 1 + (long)(round * 37 % 400) : 0);
    }
    close(ends[1]);
    if (round % 2 == 0) {
        usleep(3000 + round * 977 % 60000);
        kill(pid, SIGKILL);
    }
    /* By write, or by this limit should it have written too little. */
    for (int64_t until = clock_mono_ms() + 1500;;) {
        struct pollfd p = { ends[0], POLLIN, 0 };

        if (poll(&p, 1, 50) > 0) {
            got = read(ends[0], lines + n, room - n);
            if (got <= 0)
                break;
            n += (size_t)got;
        }
        if (clock_mono_ms() > until || n == room)
            kill(pid, SIGKILL);
    }
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return n;
}

static void nothing_acknowledged_is_lost_and_nothing_is_twice(void **state)
{
    static char lines[LIFE_LINES * LINE];
    struct fixture *f = *state;
    size_t opened = 0, settled = 0, wrong = 0;
    int64_t estimated = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t n = live_and_die(f, round, lines, sizeof lines), before = settled;
        struct audit_result r;

        f->now_ms = AT_MS + 100000;
        f->vfs = NULL;
        fixture_open(f);
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM reservations WHERE state = 'open'"), 0);
        assert_int_equal(fixture_int(f, "SELECT count(*) FROM requests WHERE status IS NULL"), 0);
        fixture_close(f);
        wrong += compare(f, lines, n, &settled);
        opened += n / LINE - (settled - before);
        assert_string_equal(fixture_audit(f, &r), "");
        assert_int_equal(wrong, 0);
    }
    estimated = fixture_int(f, "SELECT count(*) FROM attempts WHERE usage_source = 'estimated'");
    printf("%d kills: %zu reservations and %zu settlements acknowledged, 0 lost, 0 twice; %lld attempts closed at their bound\n",
           ROUNDS, opened, settled, (long long)estimated);
    assert_true(settled > ROUNDS && estimated > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_acknowledged_is_lost_and_nothing_is_twice, fixture_setup, fixture_teardown),
    };

    faulty_install();
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
