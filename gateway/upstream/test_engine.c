/* test_engine.c - the supervisor with a stand-in child: this very program, called as the engine would be.
 *
 * The name of the "model" tells the stand-in what to do. It answers /health and nothing else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/upstream/engine.h"

/* ---- the stand-in ---- */

/* What a child of ours must not have: an environment, our descriptors, a stdin with something in it. */
static bool surroundings_are_clean(void)
{
    char c;

    if (environ && *environ)
        return false;
    for (int fd = 3; fd < 64; fd++)
        if (fcntl(fd, F_GETFD) != -1 || errno != EBADF)
            return false;
    return read(0, &c, 1) == 0 && getpgrp() == getpid();
}

static int serve(const char *path, const char *reply)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
        return 9;
    for (;;) {
        const int s = accept(fd, NULL, NULL);
        char text[512];

        if (s < 0)
            return 9;
        if (read(s, text, sizeof(text)) > 0)
            (void)!write(s, reply, strlen(reply));
        close(s);
    }
}

static int stand_in(int argc, char **argv)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    const char *model = argc > 3 ? argv[3] : "", *listens = argc > 5 ? argv[5] : "";

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (argc < 7 || strcmp(argv[1], "serve") || strcmp(argv[2], "--model") || strcmp(argv[4], "--listen") ||
        strncmp(listens, "unix:", 5) || strcmp(argv[6], "--exit-with-parent"))
        return 7;
    listens += 5;
    if (strncmp(model, "dies=", 5) == 0)
        return 3;
    if (strncmp(model, "clean=", 6) == 0)
        return surroundings_are_clean() ? serve(listens, ok) : 8;
    if (strncmp(model, "stubborn=", 9) == 0)
        signal(SIGTERM, SIG_IGN);
    if (strncmp(model, "loading=", 8) == 0)
        return serve(listens, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
    if (strncmp(model, "garbage=", 8) == 0)
        return serve(listens, "\x16\x03\x01 what is this, and why is it so long");
    if (strncmp(model, "args=", 5) == 0)
        return argc == 11 && !strcmp(argv[7], "--device") && !strcmp(argv[8], "cpu") && !strcmp(argv[9], "--threads") &&
               !strcmp(argv[10], "2") ? serve(listens, ok) : 8;
    return serve(listens, ok);
}

/* ---- the tests ---- */

static struct event_base *base;
static struct engines *engines;
static struct problems ps;

static const struct engines_options quick = {
    .program = "/proc/self/exe", .backoff_ms = 20, .backoff_max_ms = 160, .stop_ms = 300, .probe_ms = 5,
};

static int setup(void **state)
{
    (void)state;
    problems_init(&ps);
    base = event_base_new();
    engines = engines_new(base, &quick, &ps);
    return engines ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    engines_free(engines);
    engines = NULL;
    event_base_free(base);
    problems_free(&ps);
    return 0;
}

static struct engine_child *want(const char *model)
{
    const struct engine_want w = { .provider = "local", .model = model, .dir = "/models/x", .device = "auto" };
    struct engine_child *c = engines_want(engines, &w);

    assert_non_null(c);
    return c;
}

static void turn(void)
{
    const struct timeval tv = { 0, 5000 };

    event_base_loopexit(base, &tv);
    event_base_dispatch(base);
}

/* Runs the loop until the state (or for 10 s: then it fails). */
static void until(const struct engine_child *c, enum engine_state state)
{
    const int64_t end = clock_mono_ms() + 10000;

    while (engine_state(c) != state) {
        if (clock_mono_ms() > end)
            fail_msg("state %d instead of %d", engine_state(c), state);
        turn();
    }
}

static void until_starts(const struct engine_child *c, unsigned n)
{
    const int64_t end = clock_mono_ms() + 10000;

    while (engine_starts(c) < n) {
        assert_true(clock_mono_ms() < end);
        turn();
    }
}

static void run_for(int ms)
{
    for (const int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
        turn();
}

static void a_child_becomes_ready_when_its_health_says_so(void **state)
{
    struct engine_child *c = want("good");
    struct stat st;
    char dir[256];

    (void)state;
    assert_int_equal(engine_state(c), ENGINE_STARTING);
    until(c, ENGINE_READY);
    assert_true(engine_pid(c) > 0);
    assert_int_equal(engine_starts(c), 1);
    snprintf(dir, sizeof(dir), "%s", engine_socket(c));
    *strrchr(dir, '/') = '\0';
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

static void it_has_no_environment_no_descriptors_and_its_own_group(void **state)
{
    (void)state;
    setenv("PROVIDER_KEY", "sk-secret", 1);
    until(want("clean"), ENGINE_READY);
}

static void arguments_are_passed_as_configured(void **state)
{
    const struct engine_want w = { .provider = "local", .model = "args", .dir = "/m", .device = "cpu", .threads = 2 };

    (void)state;
    until(engines_want(engines, &w), ENGINE_READY);
}

static void one_that_loads_or_babbles_is_not_ready(void **state)
{
    struct engine_child *loading = want("loading"), *garbage = want("garbage");

    (void)state;
    run_for(150);
    assert_int_equal(engine_state(loading), ENGINE_STARTING);
    assert_int_equal(engine_state(garbage), ENGINE_STARTING);
    assert_int_equal(engine_starts(loading), 1);
}

static void a_killed_child_comes_back(void **state)
{
    struct engine_child *c = want("good");
    int pid;

    (void)state;
    until(c, ENGINE_READY);
    pid = engine_pid(c);
    kill(pid, SIGKILL);
    until(c, ENGINE_DOWN);
    assert_int_equal(engine_pid(c), 0);
    until(c, ENGINE_READY);
    assert_int_equal(engine_starts(c), 2);
    assert_int_not_equal(engine_pid(c), pid);
}

static void one_that_dies_at_once_is_started_ever_more_slowly(void **state)
{
    struct engine_child *c = want("dies");
    const int64_t begin = clock_mono_ms();

    (void)state;
    until_starts(c, 6);    /* after 20 + 40 + 80 + 160 + 160 ms of waiting */
    assert_true(clock_mono_ms() - begin >= 400);    /* timers of a loop may be a little early */
}

static void a_program_that_cannot_run_does_not_spin(void **state)
{
    struct engine_child *c;
    const struct engines_options o = { .program = "/nonexistent/engine", .backoff_ms = 50, .backoff_max_ms = 50 };
    struct engines *e;

    (void)state;
    assert_null(engines_new(base, &o, &ps));    /* told at the start */
    assert_int_equal(ps.errors, 1);
    e = engines_new(base, &(struct engines_options){ .program = "/bin/true", .backoff_ms = 50, .backoff_max_ms = 50 }, &ps);
    c = engines_want(e, &(struct engine_want){ .provider = "p", .model = "m", .dir = "d" });
    run_for(220);
    assert_true(engine_starts(c) >= 2 && engine_starts(c) <= 6);
    engines_free(e);
}

static void equal_wants_are_one_child_and_others_another(void **state)
{
    struct engine_child *a = want("good"), *b = want("good"), *c = want("other");

    (void)state;
    assert_ptr_equal(a, b);
    assert_ptr_not_equal(a, c);
    assert_string_not_equal(engine_socket(a), engine_socket(c));
}

static void a_reload_stops_what_it_does_not_want_after_the_grace(void **state)
{
    struct engine_child *old = want("old"), *kept = want("kept");
    int pid;

    (void)state;
    engines_sweep(engines, 0);    /* the start */
    until(old, ENGINE_READY);
    until(kept, ENGINE_READY);
    pid = engine_pid(kept);
    want("kept");
    engines_sweep(engines, 100);
    run_for(50);
    assert_int_equal(engine_state(old), ENGINE_READY);    /* old requests finish */
    until(old, ENGINE_STOPPED);
    assert_int_equal(engine_pid(old), 0);
    run_for(50);
    assert_int_equal(engine_pid(kept), pid);
    assert_int_equal(engine_state(kept), ENGINE_READY);
    assert_ptr_equal(want("old"), old);                   /* and back */
    until(old, ENGINE_READY);
}

static void wanted_again_within_the_grace_it_goes_on(void **state)
{
    struct engine_child *c = want("good");
    int pid;

    (void)state;
    until(c, ENGINE_READY);
    pid = engine_pid(c);
    engines_sweep(engines, 50);    /* wanted since the last one */
    engines_sweep(engines, 50);    /* not any more */
    want("good");
    engines_sweep(engines, 50);
    run_for(150);
    assert_int_equal(engine_pid(c), pid);
    assert_int_equal(engine_state(c), ENGINE_READY);
}

static void a_config_that_was_not_taken_leaves_no_child(void **state)
{
    struct engine_child *kept = want("kept"), *tried;
    int pid;

    (void)state;
    engines_sweep(engines, 0);
    until(kept, ENGINE_READY);
    pid = engine_pid(kept);
    want("kept");
    tried = want("tried");
    until(tried, ENGINE_READY);
    engines_unwant(engines);
    until(tried, ENGINE_STOPPED);
    want("kept");
    engines_sweep(engines, 0);    /* and the next good one is as if it had never been */
    run_for(50);
    assert_int_equal(engine_state(tried), ENGINE_STOPPED);
    assert_int_equal(engine_pid(kept), pid);
}

static void one_that_ignores_sigterm_or_is_stopped_is_killed(void **state)
{
    struct engine_child *stubborn = want("stubborn"), *frozen = want("frozen");
    int pid, pid2;
    const int64_t begin = clock_mono_ms();

    (void)state;
    until(stubborn, ENGINE_READY);
    until(frozen, ENGINE_READY);
    pid = engine_pid(stubborn);
    pid2 = engine_pid(frozen);
    kill(pid2, SIGSTOP);
    engines_free(engines);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(kill(pid2, 0), -1);
    assert_true(clock_mono_ms() - begin < 5000);
    engines = engines_new(base, &quick, &ps);
}

static void the_folder_of_sockets_goes_with_it(void **state)
{
    struct engine_child *c = want("good");
    char dir[256];

    (void)state;
    until(c, ENGINE_READY);
    snprintf(dir, sizeof(dir), "%s", engine_socket(c));
    *strrchr(dir, '/') = '\0';
    engines_free(engines);
    assert_int_equal(access(dir, F_OK), -1);
    engines = engines_new(base, &quick, &ps);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(a_child_becomes_ready_when_its_health_says_so),
        T(it_has_no_environment_no_descriptors_and_its_own_group),
        T(arguments_are_passed_as_configured),
        T(one_that_loads_or_babbles_is_not_ready),
        T(a_killed_child_comes_back),
        T(one_that_dies_at_once_is_started_ever_more_slowly),
        T(a_program_that_cannot_run_does_not_spin),
        T(equal_wants_are_one_child_and_others_another),
        T(a_reload_stops_what_it_does_not_want_after_the_grace),
        T(wanted_again_within_the_grace_it_goes_on),
        T(a_config_that_was_not_taken_leaves_no_child),
        T(one_that_ignores_sigterm_or_is_stopped_is_killed),
        T(the_folder_of_sockets_goes_with_it),
    };

    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return stand_in(argc, argv);
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
