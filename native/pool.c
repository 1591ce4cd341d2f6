/* A small persistent thread pool.
 * Workers take the tasks of one job at a time, spin a little for the next job, then sleep. It schedules
 * nothing, queues nothing and never blocks a second caller, which simply runs its tasks itself. After fork()
 * the child starts a pool of its own at its first job.
 *
 * A job is published as a ticket: its number in the high half, how many of its tasks are untaken in the low
 * half. A task is taken by compare-and-swap of the whole ticket, and only of a ticket that has some left: then
 * the job is not over, and its fields, read before the swap, are its own. (A bound beside the ticket would not
 * do: a worker that slept through the end of a job could hold an old ticket against the bound of the next.) */
#define _POSIX_C_SOURCE 200809L
#include "chronos_native.h"

enum { MAX_THREADS = 256 };

#ifdef _WIN32 /* no pthreads: everything runs in the caller */

void pool_run(pool_task *task, void *context, size_t n) {
    for (size_t i = 0; i < n; i++)
        task(context, i);
}

int chronos_set_threads(int n) {
    (void)n;
    return 1;
}
int chronos_threads(void) { return 1; }

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { SPIN_NS = 50000 }; /* longer than the Python between two products of a decode step */

typedef struct {
    _Atomic uint64_t ticket;
    _Atomic(pool_task *) task; /* the job; written only while every task of the last one is done */
    _Atomic(void *) context;
    _Atomic uint32_t n, done;
    _Atomic int sleepers, quit;
    pthread_mutex_t lock; /* for sleeping only */
    pthread_cond_t wake;
    int workers;
    pthread_t threads[MAX_THREADS];
} pool;

static pool *current;              /* the owner's to make, use and free */
static atomic_flag owned = ATOMIC_FLAG_INIT;
static _Atomic int wanted = 1;

static uint32_t job_of(uint64_t ticket) { return (uint32_t)(ticket >> 32); }
static uint32_t left_of(uint64_t ticket) { return (uint32_t)ticket; }

static void pause_cpu(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void work(pool *p) {
    uint64_t ticket = atomic_load(&p->ticket);
    uint32_t job = job_of(ticket);
    while (job_of(ticket) == job && left_of(ticket)) {
        pool_task *task = atomic_load_explicit(&p->task, memory_order_relaxed);
        void *context = atomic_load_explicit(&p->context, memory_order_relaxed);
        uint32_t n = atomic_load_explicit(&p->n, memory_order_relaxed);
        if (atomic_compare_exchange_weak(&p->ticket, &ticket, ticket - 1)) {
            task(context, n - left_of(ticket));
            atomic_fetch_add(&p->done, 1);
            ticket = atomic_load(&p->ticket);
        }
    }
}

/* Returns when a job other than `job` is there, or 0 when the pool is to end. */
static int wait_for_job(pool *p, uint32_t job) {
    int64_t start = now_ns();
    do
        for (int i = 0; i < 64; i++) {
            if (atomic_load(&p->quit))
                return 0;
            if (job_of(atomic_load(&p->ticket)) != job)
                return 1;
            pause_cpu();
        }
    while (now_ns() - start < SPIN_NS);
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add(&p->sleepers, 1); /* before the last look: the publisher looks at it after publishing */
    while (job_of(atomic_load(&p->ticket)) == job && !atomic_load(&p->quit))
        pthread_cond_wait(&p->wake, &p->lock);
    atomic_fetch_sub(&p->sleepers, 1);
    pthread_mutex_unlock(&p->lock);
    return !atomic_load(&p->quit);
}

static void *worker(void *argument) {
    pool *p = argument;
    uint32_t seen = 0; /* the first job is number 1 */
    while (wait_for_job(p, seen)) {
        seen = job_of(atomic_load(&p->ticket));
        work(p);
    }
    return NULL;
}

static void wake_sleepers(pool *p) {
    if (atomic_load(&p->sleepers)) {
        pthread_mutex_lock(&p->lock);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
    }
}

static void stop(pool *p) {
    atomic_store(&p->quit, 1);
    wake_sleepers(p);
    for (int i = 0; i < p->workers; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* As many workers as the system gives; with none the caller does all the work. */
static pool *start(int workers) {
    pool *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    sigset_t all, before; /* signals are for the interpreter's threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (p->workers < workers && pthread_create(&p->threads[p->workers], NULL, worker, p) == 0)
        p->workers++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p;
}

/* In the child only the forking thread lives: forget the parent's pool, whose threads did not come along. */
static void after_fork(void) {
    current = NULL;
    atomic_flag_clear(&owned);
}

static void publish(pool *p, pool_task *task, void *context, size_t n) {
    uint32_t job = job_of(atomic_load(&p->ticket)) + 1;
    atomic_store_explicit(&p->task, task, memory_order_relaxed);
    atomic_store_explicit(&p->context, context, memory_order_relaxed);
    atomic_store_explicit(&p->n, (uint32_t)n, memory_order_relaxed);
    atomic_store(&p->done, 0);
    atomic_store(&p->ticket, (uint64_t)job << 32 | (uint32_t)n);
    wake_sleepers(p);
}

static void wait_until_done(pool *p, size_t n) {
    int64_t start = now_ns();
    while (atomic_load(&p->done) != n)
        if (now_ns() - start < SPIN_NS)
            pause_cpu();
        else
            sched_yield(); /* the worker may have lost its core to us */
}

void pool_run(pool_task *task, void *context, size_t n) {
    int threads = atomic_load(&wanted);
    if (n > 1 && threads > 1 && !atomic_flag_test_and_set(&owned)) {
        static int registered; /* guarded by `owned` */
        if (!registered)
            registered = pthread_atfork(NULL, NULL, after_fork) == 0;
        if (!current && registered)
            current = start(threads - 1);
        if (current) {
            publish(current, task, context, n);
            work(current);
            wait_until_done(current, n);
            n = 0;
        }
        atomic_flag_clear(&owned);
    }
    for (size_t i = 0; i < n; i++)
        task(context, i);
}

int chronos_set_threads(int n) {
    n = n < 1 ? 1 : n > MAX_THREADS ? MAX_THREADS : n;
    while (atomic_flag_test_and_set(&owned))
        sched_yield();
    if (current && current->workers != n - 1) {
        stop(current);
        current = NULL;
    }
    atomic_store(&wanted, n);
    atomic_flag_clear(&owned);
    return n;
}

int chronos_threads(void) { return atomic_load(&wanted); }

#endif
