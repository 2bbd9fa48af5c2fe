/* mock_run.c - the mock as a child process, talked to in the simplest way there is. */
#include "tests/mock/mock_run.h"

#include <arpa/inet.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 24

bool mock_run_start(struct mock_run *m, const char *const *args)
{
    const char *top = getenv("top_builddir");
    char program[4096], line[256], *argv[ARGS_MAX + 3], exit_too[] = "--exit-with-parent";
    posix_spawn_file_actions_t files;
    int out[2], rc;
    size_t n = 0;
    bool ready = false;
    FILE *f;

    *m = (struct mock_run){ .pid = 0 };
    snprintf(program, sizeof(program), "%s/tests/mock_upstream", top ? top : ".");
    argv[n++] = program;
    argv[n++] = exit_too;
    for (size_t i = 0; args[i] && n < ARGS_MAX; i++)
        argv[n++] = (char *)(uintptr_t)args[i];
    argv[n] = NULL;
    if (pipe(out))
        return false;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, out[1], 1);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    rc = posix_spawn(&m->pid, program, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    close(out[1]);
    f = fdopen(out[0], "r");
    while (!rc && f && !ready && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        ready = strcmp(line, "ready") == 0;
        if (strncmp(line, "listening on ", 13) == 0 && m->n_listens < MOCK_LISTENS)
            snprintf(m->listens[m->n_listens++], sizeof(m->listens[0]), "%.127s", line + 13);
    }
    if (f)
        fclose(f);
    if (!ready)
        fprintf(stderr, "cannot run %s\n", program);
    return ready;
}

void mock_run_stop(struct mock_run *m)
{
    if (m->pid > 0) {
        kill(m->pid, SIGTERM);
        waitpid(m->pid, NULL, 0);
    }
    m->pid = 0;
}

static int dial(const char *address)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    const size_t colon = span_find(span_str(address), ':');
    uint64_t port = 0;
    int fd;

    span_to_u64(span_skip(span_str(address), colon + 1), 65535, &port);
    a.sin_port = htons((uint16_t)port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool mock_run_ask(const struct mock_run *m, const char *method, const char *path, struct span body, struct buf *out)
{
    const int fd = dial(m->listens[0]);
    struct buf b;
    char piece[65536];
    size_t at = 0;
    ssize_t n = 1;
    bool ok = false;

    if (fd < 0)
        return false;
    buf_init(&b, (size_t)1 << 30);
    buf_printf(&b, "%s %s HTTP/1.1\r\nHost: mock\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method, path, body.n);
    buf_add_span(&b, body);
    while (at < b.n && n > 0) {
        n = send(fd, b.p + at, b.n - at, MSG_NOSIGNAL);
        at += n > 0 ? (size_t)n : 0;
    }
    buf_clear(&b);
    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        buf_add(&b, piece, (size_t)n);
    at = span_find_span(buf_span(&b), SPAN_LIT("\r\n\r\n"));
    if (span_starts(buf_span(&b), SPAN_LIT("HTTP/1.1 200")) && at < b.n) {
        buf_clear(out);
        buf_add_span(out, span_skip(buf_span(&b), at + 4));
        ok = true;
    }
    buf_free(&b);
    close(fd);
    return ok;
}

long mock_run_stat(const struct mock_run *m, const char *name)
{
    struct buf b;
    char key[64];
    long value = -1;
    size_t at;

    buf_init(&b, 65536);
    snprintf(key, sizeof(key), "\"%s\":", name);
    if (mock_run_ask(m, "GET", "/mock/stats", SPAN_NONE, &b)) {
        at = span_find_span(buf_span(&b), span_str(key));
        if (at < b.n)
            value = strtol(b.p + at + strlen(key), NULL, 10);
    }
    buf_free(&b);
    return value;
}
