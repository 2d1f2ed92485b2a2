#include "CRuntime.h"

// OpenBLAS starts threads as soon as it is loaded, and again when it is told how many to have. They look for work for a
// tenth of a second, on processors that others want; none comes, for its products are computed on the thread that asks.

#ifdef __linux__
// Ends them; what OpenBLAS itself calls before a fork. Absent where it is not linked.
extern int blas_thread_shutdown_(void) __attribute__((weak));

void millrace_end_blas_threads(void) {
  if (blas_thread_shutdown_) blas_thread_shutdown_();
}
__attribute__((constructor)) static void atStart(void) { millrace_end_blas_threads(); }
#else
void millrace_end_blas_threads(void) {}
#endif
