#pragma once
#include <stddef.h>
#include <stdint.h>

// Threads (pool.c)

typedef struct MillracePool MillracePool;
/// Handles the iterations begin ..< end; `thread` is below the pool's size and runs one piece at a time.
typedef void (*MillraceBody)(void *_Nullable context, int64_t begin, int64_t end, int64_t thread);
/// A stage of a compiled kernel: the iterations begin ..< end of its parallel loop.
typedef void (*MillraceStage)(void *_Nullable const *_Nonnull buffers, int64_t begin, int64_t end,
                              void *_Nullable scratch);

/// A pool of `threads` threads, the caller counted; NULL if the system gives no more threads.
MillracePool *_Nullable millrace_pool_create(int64_t threads);
void millrace_pool_destroy(MillracePool *_Nonnull pool);
/// Runs 0 ..< count in at most `pieces` contiguous pieces and returns when all are done.
void millrace_pool_run(MillracePool *_Nonnull pool, int64_t count, int64_t pieces, MillraceBody _Nonnull body,
                       void *_Nullable context);
/// Makes sure that each thread has `bytes` of scratch memory; 0 if there is no memory.
int millrace_pool_reserve(MillracePool *_Nonnull pool, size_t bytes);
void millrace_pool_run_stage(MillracePool *_Nonnull pool, int64_t count, int64_t pieces, MillraceStage _Nonnull stage,
                             void *_Nullable const *_Nonnull buffers);
/// Processors this process may run on.
int64_t millrace_available_cores(void);

// Threads of others (blas.c)

/// Ends the threads that OpenBLAS keeps, if it is linked; it starts new ones should it need them.
void millrace_end_blas_threads(void);

// Memory (arena.c)

/// Zeroed memory, aligned to 64 bytes at least, on huge pages where the system has them; NULL if there is none.
void *_Nullable millrace_map(size_t bytes);
void millrace_unmap(void *_Nonnull base, size_t bytes);
/// Bytes of pages of an area from `millrace_map` that are in memory, because something touched them; -1 if unknown.
int64_t millrace_resident_bytes(void *_Nonnull base, size_t bytes);
/// Bytes of the processor's last cache; a usual size where the system does not tell.
int64_t millrace_last_cache_bytes(void);

// Digests (sha256.c)

/// SHA-256 (FIPS 180-4).
void millrace_sha256(const void *_Nullable bytes, size_t count, uint8_t *_Nonnull digest32);

// Signals (interrupt.c)

/// From now on the first SIGINT or SIGTERM is only noted; the second ends the process as ever.
void millrace_interrupt_install(void);
/// The signal that came, or 0.
int millrace_interrupt_signal(void);
/// Forgets the signal and gives the signals their usual meaning.
void millrace_interrupt_remove(void);
