#pragma once
#include <cblas.h>
#include <stdint.h>

/// Whether the library is to see a matrix as the transpose of a row-major one.
static inline int millrace_is_transposed(int64_t columns, int64_t columnStride) { return columns != 1 && columnStride != 1; }

static inline blasint millrace_leading(int64_t rows, int64_t columns, int64_t rowStride, int64_t columnStride) {
  int transposed = millrace_is_transposed(columns, columnStride);
  int64_t stride = transposed ? columnStride : rowStride;
  int64_t least = transposed ? rows : columns;
  // A matrix of one row never takes a step, so its stride may be anything; the library wants a legal one.
  return (blasint)(stride < least ? least : stride);
}

/// `C = A · B`, or `C += A · B`, for matrices with one stride 1 each.
static inline void millrace_sgemm(int64_t m, int64_t n, int64_t k, const float *a, int64_t aRow, int64_t aColumn,
                                  const float *b, int64_t bRow, int64_t bColumn, float *c, int64_t cRow, int64_t cColumn,
                                  int64_t accumulates) {
  if (m <= 0 || n <= 0) return;
  if (k < 0) k = 0;
  if (millrace_is_transposed(n, cColumn)) {
    millrace_sgemm(n, m, k, b, bColumn, bRow, a, aColumn, aRow, c, cColumn, cRow, accumulates);
    return;
  }
  cblas_sgemm(CblasRowMajor, millrace_is_transposed(k, aColumn) ? CblasTrans : CblasNoTrans,
              millrace_is_transposed(n, bColumn) ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, 1,
              a, millrace_leading(m, k, aRow, aColumn), b, millrace_leading(k, n, bRow, bColumn), accumulates ? 1 : 0, c,
              millrace_leading(m, n, cRow, cColumn));
}
