/* test_serve.c - the program itself: its ready line, its signals, its exit codes. Runs the built tollgate-engine. */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"

struct fixture {
    char program[4096], model[4096], pro[4200];
    char dir[32], path[64], address[80];
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    snprintf(f->program, sizeof f->program, "%s/tollgate-engine", getenv("top_builddir"));
    snprintf(f->model, sizeof f->model, "%s/engine/models/tiny-random", getenv("top_srcdir"));
    snprintf(f->pro, sizeof f->pro, "other=%s/", f->model);
    snprintf(f->dir, sizeof f->dir, "test_serve.XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/socket", f->dir);
    snprintf(f->address, sizeof f->address, "unix:%s", f->path);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);    /* where a killed engine left it */
    rmdir(f->dir);
    free(f);
    return 0;
}

/* Starts the program with stdout and stderr into one pipe; *out is its reading end. */
static pid_t start(const struct fixture *f, const char *const *args, int *out)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        execv(f->program, (char *const *)args);
        _exit(127);
    }
    close(ends[1]);
    *out = ends[0];
    return pid;
}

/* All that comes until the pipe closes, or until a line end with `line`. */
static void read_text(int fd, bool line, struct buf *b)
{
    char c;

    buf_init(b, 1u << 20);
    buf_add_str(b, "");
    while (read(fd, &c, 1) == 1) {
        buf_add_char(b, c);
        if (line && c == '\n')
            return;
    }
}

static int status_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void expect(const struct fixture *f, const char *const *args, int status, const char *says)
{
    int out;
    const pid_t pid = start(f, args, &out);
    struct buf b;

    read_text(out, false, &b);
    close(out);
    if (status_of(pid) != status || !strstr(b.p, says))
        fail_msg("%s %s: %s", args[1], args[2] ? args[2] : "", b.p);
    buf_free(&b);
}

static void wrong_use_is_said_and_has_its_exit_code(void **state)
{
    const struct fixture *f = *state;
    const struct { const char *args[9]; int status; const char *says; } rows[] = {
        { { "e", "serve" }, 2, "--model is missing" },
        { { "e", "serve", "--model", f->model, "--slots", "0" }, 2, "from 1 to 64" },
        { { "e", "serve", "--model", f->model, "--device", "cuda" }, 2, "auto or cpu" },
        { { "e", "serve", "--model", f->model, "--listen", "0.0.0.0:80" }, 1, "unix:PATH" },
        { { "e", "serve", "--model", "/does/not/exist" }, 1, "/does/not/exist" },
        { { "e", "serve", "--model", f->model, "--model", f->model, "--listen", f->address }, 1, "twice" },
        { { "e", "serve", "--help" }, 0, "--exit-with-parent" },
        { { "e", "run", "--model", f->model, "--prompt", "hi", "--temperature", "9" }, 2, "from 0 to 2" },
        { { "e", "run", "--model", f->model, "--prompt", "\xff" }, 1, "UTF-8" },
        { { "e", "run", "--model", f->model, "--prompt", "hi", "--max-tokens", "3" }, 0, "\n" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(f, rows[i].args, rows[i].status, rows[i].says);
}

/* One request and the whole reply. */
static void get(const struct fixture *f, const char *path, struct buf *b)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char request[200];

    snprintf(to.sun_path, sizeof to.sun_path, "%s", f->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", path);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    read_text(fd, false, b);
    close(fd);
}

static void it_says_one_line_when_ready_and_ends_on_sigterm(void **state)
{
    const struct fixture *f = *state;
    const char *const args[] = { "e", "serve", "--model", f->model, "--model", f->pro, "--listen", f->address,
                                 "--threads", "1", NULL };
    int out;
    const pid_t pid = start(f, args, &out);
    struct buf b;

    read_text(out, true, &b);
    if (!strstr(b.p, "ready: tiny-random, other on unix:"))
        fail_msg("%s", b.p);
    buf_free(&b);
    get(f, "/v1/models", &b);
    assert_non_null(strstr(b.p, "\"id\":\"tiny-random\""));
    assert_non_null(strstr(b.p, "\"id\":\"other\""));
    buf_free(&b);
    kill(pid, SIGTERM);
    read_text(out, false, &b);
    assert_string_equal(b.p, "");
    buf_free(&b);
    close(out);
    assert_int_equal(status_of(pid), 0);
    assert_int_equal(access(f->path, F_OK), -1);
}

/* The engine's parent is a process in between, which ends once it has seen the ready line. */
static void it_ends_with_its_parent_if_told_to(void **state)
{
    const struct fixture *f = *state;
    const char *const args[] = { "e", "serve", "--model", f->model, "--listen", f->address, "--threads", "1",
                                 "--exit-with-parent", NULL };
    int ends[2];
    pid_t between;
    struct buf b;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    between = fork();
    if (between == 0) {
        int out;

        fcntl(ends[1], F_SETFD, 0);    /* the engine inherits it: it closes when the engine ends */
        start(f, args, &out);
        read_text(out, true, &b);
        _exit(strstr(b.p, "ready") ? 0 : 1);
    }
    close(ends[1]);
    assert_int_equal(status_of(between), 0);
    read_text(ends[0], false, &b);
    buf_free(&b);
    close(ends[0]);
    assert_int_equal(access(f->path, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_use_is_said_and_has_its_exit_code),
        cmocka_unit_test(it_says_one_line_when_ready_and_ends_on_sigterm),
        cmocka_unit_test(it_ends_with_its_parent_if_told_to),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
