/* test_offload.c - jobs go out, run elsewhere, and come back to the one who sent them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "gateway/server/offload.h"

#define JOBS 300

struct thing {
    struct offload_job job;
    pthread_t ran_by;
    pthread_mutex_t *gate;    /* held by the test as long as the job shall not end; may be NULL */
    _Atomic bool *began;
    int ran, ended, came_back;
    unsigned order;
};

static unsigned returned;

static void run(void *ctx)
{
    struct thing *t = ctx;

    t->ran_by = pthread_self();
    t->ran++;
    if (t->began)
        atomic_store(t->began, true);
    if (t->gate) {
        pthread_mutex_lock(t->gate);
        pthread_mutex_unlock(t->gate);
    }
    t->ended++;
}

static void back(void *ctx)
{
    struct thing *t = ctx;

    t->came_back++;
    t->order = returned++;
}

static struct offload_job *job_of(struct thing *t)
{
    t->job = (struct offload_job){ .run = run, .back = back, .ctx = t };
    return &t->job;
}

/* Drains until `n` have come back in all. A job that never comes ends the test by its harness' time-out. */
static void await(struct offload_port *p, int fd, unsigned n)
{
    while (returned < n) {
        struct pollfd w = { .fd = fd, .events = POLLIN };

        assert_true(poll(&w, 1, 10000) == 1);
        offload_port_drain(p);
    }
}

static void a_job_runs_on_another_thread_and_comes_back_on_this_one(void **state)
{
    struct offload *o = offload_new();
    struct thing t = { 0 };
    struct offload_port *p;
    int fd;

    (void)state;
    returned = 0;
    assert_non_null(o);
    p = offload_port_new(o, &fd);
    assert_non_null(p);
    offload_send(p, job_of(&t));
    await(p, fd, 1);
    assert_int_equal(t.ran, 1);
    assert_int_equal(t.came_back, 1);
    assert_false(pthread_equal(t.ran_by, pthread_self()));
    assert_int_equal(offload_busy(o), 0);
    offload_stop(o);
    offload_port_free(p);
    offload_free(o);
}

static void many_jobs_each_run_and_come_back_once(void **state)
{
    static struct thing things[JOBS];
    struct offload *o = offload_new();
    struct offload_port *p;
    int fd;

    (void)state;
    returned = 0;
    p = offload_port_new(o, &fd);
    for (size_t round = 1; round <= 3; round++) {
        for (size_t i = 0; i < JOBS; i++)
            offload_send(p, job_of(&things[i]));
        await(p, fd, (unsigned)(round * JOBS));
    }
    for (size_t i = 0; i < JOBS; i++) {
        assert_int_equal(things[i].ran, 3);
        assert_int_equal(things[i].came_back, 3);
    }
    offload_stop(o);
    offload_port_free(p);
    offload_free(o);
}

static void a_job_comes_back_to_the_port_that_sent_it(void **state)
{
    struct offload *o = offload_new();
    struct thing a = { 0 }, b = { 0 };
    struct offload_port *p, *q;
    int pfd, qfd;

    (void)state;
    returned = 0;
    p = offload_port_new(o, &pfd);
    q = offload_port_new(o, &qfd);
    offload_send(p, job_of(&a));
    offload_send(q, job_of(&b));
    await(p, pfd, 1);
    assert_int_equal(a.came_back, 1);
    assert_int_equal(b.came_back, 0);
    await(q, qfd, 2);
    assert_int_equal(b.came_back, 1);
    offload_stop(o);
    offload_port_free(p);
    offload_port_free(q);
    offload_free(o);
}

static void it_is_full_while_very_many_wait_and_not_after(void **state)
{
    static struct thing things[JOBS];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    struct offload *o = offload_new();
    struct offload_port *p;
    int fd;

    (void)state;
    returned = 0;
    p = offload_port_new(o, &fd);
    pthread_mutex_lock(&gate);
    assert_false(offload_full(o));
    for (size_t i = 0; i < JOBS; i++) {
        things[i].gate = &gate;
        offload_send(p, job_of(&things[i]));
    }
    assert_true(offload_full(o));
    assert_int_equal(offload_busy(o), JOBS);
    pthread_mutex_unlock(&gate);
    await(p, fd, JOBS);
    assert_false(offload_full(o));
    offload_stop(o);
    offload_port_free(p);
    offload_free(o);
}

static void a_stop_waits_for_what_runs_and_runs_no_more(void **state)
{
    static struct thing things[10];
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    _Atomic bool began = false;
    struct offload *o = offload_new();
    struct offload_port *p;
    int fd, ran = 0;

    (void)state;
    returned = 0;
    p = offload_port_new(o, &fd);
    pthread_mutex_lock(&gate);
    for (size_t i = 0; i < 10; i++) {
        things[i] = (struct thing){ .gate = &gate, .began = &began };
        offload_send(p, job_of(&things[i]));
    }
    while (!atomic_load(&began))
        ;
    pthread_mutex_unlock(&gate);
    offload_stop(o);
    for (size_t i = 0; i < 10; i++)
        ran += things[i].ran;
    assert_true(ran >= 1);
    for (size_t i = 0; i < 10; i++)
        assert_true(things[i].ran == 0 || things[i].ended == 1);
    assert_int_equal(returned, 0);    /* nobody drains any more */
    offload_port_free(p);
    offload_free(o);
}

static void count(void *ctx)
{
    atomic_fetch_add((_Atomic int *)ctx, 1);
}

static void what_does_not_come_back_is_run_in_any_case(void **state)
{
    static struct offload_job jobs[JOBS];
    struct offload *o = offload_new();
    _Atomic int ran = 0;
    struct offload_port *p;
    int fd;

    (void)state;
    returned = 0;
    p = offload_port_new(o, &fd);
    for (size_t i = 0; i < JOBS; i++) {
        jobs[i] = (struct offload_job){ .run = count, .ctx = &ran };
        offload_send(p, &jobs[i]);
    }
    offload_stop(o);    /* in the midst of them */
    assert_int_equal(ran, JOBS);
    offload_port_free(p);
    offload_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_runs_on_another_thread_and_comes_back_on_this_one),
        cmocka_unit_test(many_jobs_each_run_and_come_back_once),
        cmocka_unit_test(a_job_comes_back_to_the_port_that_sent_it),
        cmocka_unit_test(it_is_full_while_very_many_wait_and_not_after),
        cmocka_unit_test(what_does_not_come_back_is_run_in_any_case),
        cmocka_unit_test(a_stop_waits_for_what_runs_and_runs_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
