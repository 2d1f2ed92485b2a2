#define _GNU_SOURCE
#include "CRuntime.h"
#include <stdio.h>
#include <sys/mman.h>

enum { hugePage = 2 << 20 };

// Large areas begin on a huge page, so that every page of them can be one.
static size_t rounded(size_t bytes) {
  size_t unit = bytes >= hugePage ? hugePage : 4096;
  return (bytes + unit - 1) / unit * unit;
}

void *millrace_map(size_t bytes) {
  size_t size = rounded(bytes == 0 ? 1 : bytes);
  if (size < bytes) return NULL;
  size_t slack = size >= hugePage ? hugePage : 0;
  char *area = mmap(NULL, size + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (area == MAP_FAILED) return NULL;
  char *base = area;
  if (slack > 0) {
    size_t before = (hugePage - (uintptr_t)area % hugePage) % hugePage;
    base = area + before;
    if (before > 0) munmap(area, before);
    if (slack > before) munmap(base + size, slack - before);
#ifdef MADV_HUGEPAGE
    madvise(base, size, MADV_HUGEPAGE);
#endif
  }
  return base;
}

void millrace_unmap(void *base, size_t bytes) { munmap(base, rounded(bytes == 0 ? 1 : bytes)); }

int64_t millrace_resident_bytes(void *base, size_t bytes) {
#ifdef __linux__
  enum { page = 4096, batch = 1 << 14 };
  unsigned char present[batch];
  int64_t resident = 0;
  for (size_t done = 0; done < bytes; done += (size_t)batch * page) {
    size_t length = bytes - done < (size_t)batch * page ? bytes - done : (size_t)batch * page;
    if (mincore((char *)base + done, length, present) != 0) return -1;
    for (size_t at = 0; at * page < length; at++) {
      if (present[at] & 1) resident += length - at * page < page ? (int64_t)(length - at * page) : page;
    }
  }
  return resident;
#else
  (void)base, (void)bytes;
  return -1;
#endif
}

int64_t millrace_last_cache_bytes(void) {
  // What `sysconf` says is sometimes the sum over all of a machine's caches.
  FILE *file = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "r");
  long size = 0;
  char unit = 0;
  if (file != NULL) {
    if (fscanf(file, "%ld%c", &size, &unit) < 1) size = 0;
    fclose(file);
  }
  int64_t bytes = unit == 'K' ? (int64_t)size << 10 : unit == 'M' ? (int64_t)size << 20 : size;
  return bytes > 0 ? bytes : 32 << 20;
}
