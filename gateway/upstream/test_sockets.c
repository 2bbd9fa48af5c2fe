/* test_sockets.c - folders that processes leave behind, in a folder of this test's own. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/upstream/sockets.h"

static int set_up(void **state)
{
    char under[] = "/tmp/test-sockets-XXXXXX";

    *state = mkdtemp(under) ? strdup(under) : NULL;
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    const int rc = rmdir(*state);    /* fails when anything is left */

    free(*state);
    return rc;
}

static void put_socket(const char *folder)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(a.sun_path, sizeof a.sun_path, "%s/1.sock", folder);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    close(fd);
}

/* What a process that was killed has left; `path` has room for 128. */
static void leave_one(const char *under, char *path)
{
    int pipe_fd[2], status;
    pid_t pid;

    assert_int_equal(pipe(pipe_fd), 0);
    pid = fork();
    if (pid == 0) {
        struct sockets s;

        if (!sockets_make(&s, under) || write(pipe_fd[1], s.path, strlen(s.path) + 1) < 0)
            _exit(1);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(read(pipe_fd[0], path, 128) > 0);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    put_socket(path);
}

static void what_a_dead_process_left_is_removed_by_the_next(void **state)
{
    struct sockets s;
    char path[128];

    leave_one(*state, path);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(sockets_make(&s, *state));
    assert_int_equal(access(path, F_OK), -1);
    sockets_remove(&s);
}

static void what_a_living_one_uses_stays(void **state)
{
    struct sockets one, two;
    char path[128];

    assert_true(sockets_make(&one, *state));
    put_socket(one.path);
    snprintf(path, sizeof path, "%s/1.sock", one.path);
    assert_true(sockets_make(&two, *state));
    assert_int_equal(access(path, F_OK), 0);
    sockets_remove(&two);
    assert_int_equal(access(path, F_OK), 0);
    sockets_remove(&one);
    assert_int_equal(access(path, F_OK), -1);
}

static void files_of_others_stay(void **state)
{
    struct sockets s;
    char path[128], file[160];

    leave_one(*state, path);
    snprintf(file, sizeof file, "%s/precious", path);
    close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_true(sockets_make(&s, *state));
    assert_int_equal(access(file, F_OK), 0);
    unlink(file);
    sockets_remove(&s);
    assert_true(sockets_make(&s, *state));
    assert_int_equal(access(path, F_OK), -1);
    sockets_remove(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_dead_process_left_is_removed_by_the_next, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_living_one_uses_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(files_of_others_stay, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
