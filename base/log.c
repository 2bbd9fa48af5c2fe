/* log.c - formats a line of at most 2 KiB and writes it once. Control characters in it become '?'. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static _Atomic int least_level = LOG_INFO;

void log_set_level(enum log_level least)
{
    atomic_store(&least_level, (int)least);
}

static size_t put_time(char *out, size_t room)
{
    const int64_t now = clock_wall_ms();
    const time_t secs = (time_t)(now / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&secs, &tm);
    n = strftime(out, room, "%Y-%m-%dT%H:%M:%S", &tm);
    n += (size_t)snprintf(out + n, room - n, ".%03dZ ", (int)(now % 1000));
    return n;
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
    if (write(STDERR_FILENO, line, n) < 0)
        return;    /* nowhere left to say it */
}
