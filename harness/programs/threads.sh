# 64 threads of glibc's and of musl's pthreads: mutexes, conditions, barriers, keys, cancellation, rwlocks, semaphores, signals.
cd /tmp && cat > t.c <<'C'
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
enum { THREADS = 64, ROUNDS = 200 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, turn_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turned = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_barrier_t barrier;
static pthread_key_t key;
static sem_t few;
static long sum, turn, destroyed, made, serial, table[2], torn, inside, most, signals;
static __thread long mine;
static void make(void) { made++; }
static void destroy(void *p) { __atomic_add_fetch(&destroyed, (long)p, __ATOMIC_SEQ_CST); }
static void on_signal(int n) { (void)n; __atomic_add_fetch(&signals, 1, __ATOMIC_SEQ_CST); }
static void *work(void *p) {
    long me = (long)p;
    pthread_once(&once, make); pthread_setspecific(key, (void *)1);
    for (int i = 0; i < ROUNDS; i++) { mine++; pthread_mutex_lock(&lock); sum++; pthread_mutex_unlock(&lock); }
    if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) __atomic_add_fetch(&serial, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 5; i++) { pthread_mutex_lock(&turn_lock); while (turn % THREADS != me) pthread_cond_wait(&turned, &turn_lock); turn++; pthread_cond_broadcast(&turned); pthread_mutex_unlock(&turn_lock); }
    for (int i = 0; i < 50; i++)
        if (me % 8 == 0) { pthread_rwlock_wrlock(&table_lock); table[0]++; sched_yield(); table[1]++; pthread_rwlock_unlock(&table_lock); }
        else { pthread_rwlock_rdlock(&table_lock); if (table[0] != table[1]) torn++; pthread_rwlock_unlock(&table_lock); }
    while (sem_wait(&few)) {}
    long n = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST); if (n > 4) most = n;
    sched_yield(); __atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST); sem_post(&few);
    pthread_barrier_wait(&barrier);
    return (void *)mine;
}
static void *forever(void *p) { pthread_setspecific(key, (void *)1); for (;;) pause(); return p; }
int main(void) {
    pthread_t t[THREADS]; long total = 0, cancelled = 0; void *r; pthread_attr_t small;
    pthread_attr_init(&small); pthread_attr_setstacksize(&small, 1 << 17); pthread_key_create(&key, destroy); pthread_barrier_init(&barrier, 0, THREADS); sem_init(&few, 0, 4);
    for (long i = 0; i < THREADS; i++) if (pthread_create(t + i, &small, work, (void *)i)) return 1;
    for (int i = 0; i < THREADS; i++) { pthread_join(t[i], &r); total += (long)r; }
    printf("sum %ld total %ld once %ld serial %ld turns %ld table %ld torn %ld above four %ld keys %ld\n", sum, total, made, serial, turn, table[0], torn, most, destroyed);
    signal(SIGUSR1, on_signal);
    for (long i = 0; i < THREADS; i++) if (pthread_create(t + i, &small, forever, 0)) return 2;
    for (int i = 0; i < THREADS; i++) pthread_kill(t[i], SIGUSR1);
    while (__atomic_load_n(&signals, __ATOMIC_SEQ_CST) < THREADS) sched_yield();
    for (int i = 0; i < THREADS; i++) pthread_cancel(t[i]);
    for (int i = 0; i < THREADS; i++) { pthread_join(t[i], &r); cancelled += r == PTHREAD_CANCELED; }
    pthread_mutexattr_t a; pthread_mutexattr_init(&a); pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK); pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
    pthread_mutex_t m; int inherit = pthread_mutex_init(&m, &a); pthread_mutex_lock(&m); int again = pthread_mutex_lock(&m); pthread_mutex_unlock(&m);
    struct timespec soon; clock_gettime(CLOCK_REALTIME, &soon); soon.tv_nsec = (soon.tv_nsec + 1000000) % 1000000000; pthread_mutex_lock(&lock); int late = pthread_cond_timedwait(&turned, &lock, &soon);
    printf("signals %ld cancelled %ld keys %ld inherit %d again %d late %d\n", signals, cancelled, destroyed, inherit, again == EDEADLK, late == ETIMEDOUT);
    for (int i = 0; i < 4; i++) if (!fork()) { pthread_t c; pthread_create(&c, &small, forever, 0); pthread_cancel(c); pthread_join(c, &r); _exit(r == PTHREAD_CANCELED ? 0 : 1); }
    int s, well = 0; while (wait(&s) > 0) well += s == 0; printf("children %d\n", well);
    return 9;
}
C
gcc -O1 -w -pthread t.c -o glibc && ./glibc; echo $?; gcc -O1 -w -pthread -static t.c -o static 2>/dev/null && ./static; echo $?; musl-gcc -O1 -w -pthread t.c -o musl && ./musl; echo $?; musl-gcc -static -O1 -w t.c -o ms && ./ms; echo $?
