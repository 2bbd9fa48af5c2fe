/* turns.c - a library to preload (LD_PRELOAD) into the gateway: how long does a worker go without looking at its sockets?
 *
 * Stands between libevent and epoll_wait and measures from each return to the next call, on the worker threads alone (by
 * their names, worker-N). What it finds is in the file named by TURNS_FILE: four 64-bit numbers, which the reader may
 * zero at any time. The processor's time is beside the clock's, since a busy machine takes the thread away in between. */
#define _GNU_SOURCE    /* RTLD_NEXT */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LONG_NS 5000000

struct found {
    _Atomic int64_t wall_ns, cpu_ns;    /* of the longest turns */
    _Atomic int64_t turns, over;        /* all; those above LONG_NS */
};

static struct found *found;
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);

static __thread enum { UNKNOWN, WORKER, OTHER } thread_is;
static __thread int64_t from_wall_ns, from_cpu_ns;

static int64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("TURNS_FILE");
    const int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    void *p = MAP_FAILED;

    *(void **)&real_epoll_wait = dlsym(RTLD_NEXT, "epoll_wait");
    if (fd >= 0 && ftruncate(fd, sizeof *found) == 0)
        p = mmap(NULL, sizeof *found, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p != MAP_FAILED)
        found = p;
}

static void know_thread(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    thread_is = strncmp(name, "worker-", 7) == 0 ? WORKER : OTHER;
}

static void raise_to(_Atomic int64_t *most, int64_t n)
{
    int64_t had = atomic_load_explicit(most, memory_order_relaxed);

    while (n > had && !atomic_compare_exchange_weak_explicit(most, &had, n, memory_order_relaxed, memory_order_relaxed))
        ;
}

int epoll_wait(int ep, struct epoll_event *events, int n, int timeout_ms)
{
    int got;

    if (found && thread_is == UNKNOWN)
        know_thread();
    if (found && thread_is == WORKER && from_wall_ns) {
        const int64_t wall = now_ns(CLOCK_MONOTONIC) - from_wall_ns, cpu = now_ns(CLOCK_THREAD_CPUTIME_ID) - from_cpu_ns;

        raise_to(&found->wall_ns, wall);
        raise_to(&found->cpu_ns, cpu);
        atomic_fetch_add_explicit(&found->turns, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&found->over, wall > LONG_NS, memory_order_relaxed);
    }
    got = real_epoll_wait(ep, events, n, timeout_ms);
    if (found && thread_is == WORKER) {
        from_wall_ns = now_ns(CLOCK_MONOTONIC);
        from_cpu_ns = now_ns(CLOCK_THREAD_CPUTIME_ID);
    }
    return got;
}
