#define _GNU_SOURCE
#include "CRuntime.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

// A caller publishes a job by raising `generation`; every worker handles its piece and lowers `pending`. Who has
// nothing to do looks for a few microseconds, since the next kernel mostly follows at once, and then sleeps.

typedef _Atomic uint32_t Word;

struct MillracePool {
  int64_t threads;
  pthread_mutex_t entry;
  pthread_t *workers;
  int64_t started;
  MillraceBody body;
  void *context;
  int64_t count, pieces;
  int stops;
  char **scratch;
  size_t scratchBytes;
#ifndef __linux__
  pthread_mutex_t lock;
  pthread_cond_t change;
#endif
  _Alignas(64) Word generation;
  Word sleepers;
  _Alignas(64) Word pending;
  Word callerSleeps;
};

typedef struct {
  MillracePool *pool;
  int64_t thread;
} Worker;

static _Thread_local MillracePool *insidePool;
static _Thread_local int64_t insideThread;

static void pauseBriefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

// Waits a few microseconds for `word` to differ from `old`; whether it does.
static int spin(Word *word, uint32_t old) {
  int64_t end = nanoseconds() + 4000;
  do {
    for (int i = 0; i < 16; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != old) return 1;
      pauseBriefly();
    }
  } while (nanoseconds() < end);
  return 0;
}

static void sleepWhile(MillracePool *pool, Word *word, uint32_t old) {
#ifdef __linux__
  (void)pool;
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
#else
  pthread_mutex_lock(&pool->lock);
  if (atomic_load(word) == old) pthread_cond_wait(&pool->change, &pool->lock);
  pthread_mutex_unlock(&pool->lock);
#endif
}

static void wake(MillracePool *pool, Word *word) {
#ifdef __linux__
  (void)pool;
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
#else
  (void)word;
  pthread_mutex_lock(&pool->lock);
  pthread_cond_broadcast(&pool->change);
  pthread_mutex_unlock(&pool->lock);
#endif
}

static void runPiece(MillracePool *pool, int64_t thread) {
  if (thread >= pool->pieces) return;
  int64_t whole = pool->count / pool->pieces, rest = pool->count % pool->pieces;
  int64_t begin = whole * thread + (thread < rest ? thread : rest);
  pool->body(pool->context, begin, begin + whole + (thread < rest), thread);
}

static void *work(void *argument) {
  Worker worker = *(Worker *)argument;
  free(argument);
  MillracePool *pool = worker.pool;
  insidePool = pool;
  insideThread = worker.thread;
  uint32_t seen = 0;
  for (;;) {
    while (!spin(&pool->generation, seen)) {
      atomic_fetch_add(&pool->sleepers, 1);
      if (atomic_load(&pool->generation) == seen) sleepWhile(pool, &pool->generation, seen);
      atomic_fetch_sub(&pool->sleepers, 1);
      if (atomic_load(&pool->generation) != seen) break;
    }
    seen = atomic_load(&pool->generation);
    if (pool->stops) return NULL;
    runPiece(pool, worker.thread);
    if (atomic_fetch_sub(&pool->pending, 1) == 1 && atomic_load(&pool->callerSleeps)) wake(pool, &pool->pending);
  }
}

static void publish(MillracePool *pool) {
  atomic_store(&pool->pending, (uint32_t)pool->started);
  atomic_fetch_add(&pool->generation, 1);
  if (atomic_load(&pool->sleepers) > 0) wake(pool, &pool->generation);
}

MillracePool *millrace_pool_create(int64_t threads) {
  MillracePool *pool = NULL;
  if (posix_memalign((void **)&pool, 64, sizeof *pool) != 0) return NULL;
  *pool = (MillracePool){.threads = threads < 1 ? 1 : threads};
  pthread_mutex_init(&pool->entry, NULL);
#ifndef __linux__
  pthread_mutex_init(&pool->lock, NULL);
  pthread_cond_init(&pool->change, NULL);
#endif
  pool->workers = calloc((size_t)pool->threads, sizeof *pool->workers);
  pool->scratch = calloc((size_t)pool->threads, sizeof *pool->scratch);
  int complete = pool->workers != NULL && pool->scratch != NULL;
  while (complete && pool->started < pool->threads - 1) {
    Worker *worker = malloc(sizeof *worker);
    if (worker != NULL) *worker = (Worker){pool, pool->started + 1};
    if (worker == NULL || pthread_create(&pool->workers[pool->started], NULL, work, worker) != 0) {
      free(worker);
      complete = 0;
    } else {
      pool->started++;
    }
  }
  if (complete) return pool;
  millrace_pool_destroy(pool);
  return NULL;
}

static void releaseScratch(MillracePool *pool) {
  for (int64_t thread = 0; pool->scratch != NULL && thread < pool->threads; thread++) {
    if (pool->scratch[thread] != NULL) millrace_unmap(pool->scratch[thread], pool->scratchBytes);
    pool->scratch[thread] = NULL;
  }
  pool->scratchBytes = 0;
}

void millrace_pool_destroy(MillracePool *pool) {
  pool->stops = 1;
  publish(pool);
  for (int64_t i = 0; i < pool->started; i++) pthread_join(pool->workers[i], NULL);
  releaseScratch(pool);
  free(pool->workers);
  free(pool->scratch);
  pthread_mutex_destroy(&pool->entry);
  free(pool);
}

void millrace_pool_run(MillracePool *pool, int64_t count, int64_t pieces, MillraceBody body, void *context) {
  if (count <= 0) return;
  if (insidePool == pool) {
    body(context, 0, count, insideThread);
    return;
  }
  pthread_mutex_lock(&pool->entry);
  MillracePool *outerPool = insidePool;
  int64_t outerThread = insideThread;
  insidePool = pool;
  insideThread = 0;
  if (pieces > pool->threads) pieces = pool->threads;
  if (pieces > count) pieces = count;
  if (pieces <= 1) {
    body(context, 0, count, 0);
  } else {
    pool->body = body;
    pool->context = context;
    pool->count = count;
    pool->pieces = pieces;
    publish(pool);
    runPiece(pool, 0);
    uint32_t left;
    while ((left = atomic_load(&pool->pending)) != 0) {
      if (spin(&pool->pending, left)) continue;
      atomic_store(&pool->callerSleeps, 1);
      if (atomic_load(&pool->pending) == left) sleepWhile(pool, &pool->pending, left);
      atomic_store(&pool->callerSleeps, 0);
    }
  }
  insidePool = outerPool;
  insideThread = outerThread;
  pthread_mutex_unlock(&pool->entry);
}

typedef struct {
  MillracePool *pool;
  MillraceStage stage;
  void *const *buffers;
} StageCall;

static void runStage(void *context, int64_t begin, int64_t end, int64_t thread) {
  StageCall *call = context;
  call->stage(call->buffers, begin, end, call->pool->scratch[thread]);
}

void millrace_pool_run_stage(MillracePool *pool, int64_t count, int64_t pieces, MillraceStage stage,
                             void *const *buffers) {
  StageCall call = {pool, stage, buffers};
  millrace_pool_run(pool, count, pieces, runStage, &call);
}

int millrace_pool_reserve(MillracePool *pool, size_t bytes) {
  if (insidePool == pool) return pool->scratchBytes >= bytes;
  pthread_mutex_lock(&pool->entry);
  int enough = 1;
  if (pool->scratchBytes < bytes) {
    releaseScratch(pool);
    pool->scratchBytes = bytes;
    for (int64_t thread = 0; thread < pool->threads; thread++) {
      pool->scratch[thread] = millrace_map(bytes);
      if (pool->scratch[thread] == NULL) enough = 0;
    }
    if (!enough) releaseScratch(pool);
  }
  pthread_mutex_unlock(&pool->entry);
  return enough;
}

int64_t millrace_available_cores(void) {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  long online = sysconf(_SC_NPROCESSORS_ONLN);
  return online < 1 ? 1 : online;
}
