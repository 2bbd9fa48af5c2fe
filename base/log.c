/* log.c - formats a line of at most 2 KiB and writes it once, or drops it: nobody waits for who reads the log. Control
 * characters in it become '?'. */
#include "base/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic int least_level = LOG_INFO;

/* One line at a time, so that what poll said of the pipe is still so for the write. */
static struct {
    pthread_mutex_t lock;
    unsigned long dropped;         /* lines, since the last that went out */
} out = { .lock = PTHREAD_MUTEX_INITIALIZER };

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

static size_t put_time(char *to, size_t room)
{
    const int64_t now = clock_wall_ms();
    const time_t secs = (time_t)(now / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&secs, &tm);
    n = strftime(to, room, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(to + n, room - n, ".%03dZ ", (int)(now % 1000));
    return n;
}

/* A pipe that says POLLOUT takes PIPE_BUF bytes, more than a line. False: it is full, or a terminal is stopped. */
static bool takes_a_line(void)
{
    struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

    return poll(&p, 1, 0) != 0;    /* broken: write says so */
}

static void put_line(const char *line, size_t n)
{
    char note[96];

    pthread_mutex_lock(&out.lock);
    if (out.dropped && takes_a_line()) {
        size_t m = put_time(note, sizeof note);

        m += (size_t)snprintf(note + m, sizeof note - m, "warn: %lu lines are missing here: nobody read them\n", out.dropped);
        if (write(STDERR_FILENO, note, m) >= 0)
            out.dropped = 0;
    }
    if (!takes_a_line() || write(STDERR_FILENO, line, n) < 0)
        out.dropped++;
    pthread_mutex_unlock(&out.lock);
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    char line[2048];
    size_t n;
    int more;
    va_list ap;

    if ((int)level < atomic_load(&least_level))
        return;
    n = put_time(line, sizeof line);
    n += (size_t)snprintf(line + n, sizeof line - n, "%s: ", names[level]);
    va_start(ap, fmt);
    more = vsnprintf(line + n, sizeof line - n - 1, fmt, ap);
    va_end(ap);
    if (more > 0) {
        const size_t end = n + (size_t)more < sizeof line - 2 ? n + (size_t)more : sizeof line - 2;

        for (size_t i = n; i < end; i++)
            if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
                line[i] = '?';
        n = end;
    }
    line[n++] = '\n';
    put_line(line, n);
}
