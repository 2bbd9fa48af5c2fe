/* log.h - one line an event on stderr: "2026-11-24T17:30:00.123Z warn: text". The only mutable globals of the house.
 *
 * A line never holds a prompt, an answer, a key or a query string. Control characters in it become '?', so that text
 * from outside cannot forge a line; it is cut at 2 KiB. Thread-safe: a line is one write(2).
 * A reader of the log that has stopped stops nobody: lines that its pipe has no room for are dropped, and counted in the
 * log once it reads again. */
#ifndef TOLLGATE_BASE_LOG_H
#define TOLLGATE_BASE_LOG_H

#include "base/span.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level least);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

#endif
