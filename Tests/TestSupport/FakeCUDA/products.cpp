// cuBLASLt: products of matrices column by column, computed in the plainest way from what the descriptors say.
#include "device.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace fake {

struct Matrix {
  int type;
  int64_t rows, columns, leading;
  int32_t batch = 1;
  int64_t stride = 0;

  int64_t elementBytes() const { return type == CUDA_R_32F ? 4 : 2; }
  /// Bytes from the first element to the end of the last.
  size_t bytes() const {
    return (size_t)(((batch - 1) * stride + (columns - 1) * leading + rows) * elementBytes());
  }
  bool isValid() const { return rows > 0 && columns > 0 && leading >= rows && batch > 0; }
};
struct Product {
  int compute, scale;
  int32_t transposesA = 0, transposesB = 0;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 7, alignment[4] = {256, 256, 256, 256};
};
/// What stands in an algorithm: which product it was chosen for, and what it wants.
struct Algorithm {
  uint64_t magic;
  int64_t m, n, k;
  uint64_t workspace;
  uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm is 64 bytes");
static const uint64_t magic = 0x616c676f72697468;

static float widen(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}
static uint32_t bitsOf(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}
static float load(const char* at, int type) {
  uint16_t half;
  if (type == CUDA_R_32F) {
    float value;
    memcpy(&value, at, 4);
    return value;
  }
  memcpy(&half, at, 2);
  if (type == CUDA_R_16BF) return widen((uint32_t)half << 16);
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float sign = half & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  return sign * (exponent ? ldexpf(1024 + fraction, exponent - 25) : ldexpf(fraction, -24));
}
static void store(char* at, int type, float value) {
  if (type == CUDA_R_32F) {
    memcpy(at, &value, 4);
    return;
  }
  uint16_t half;
  if (type == CUDA_R_16BF) {
    const uint32_t bits = bitsOf(value);
    half = value != value ? (uint16_t)(bits >> 16 | 0x40) : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  } else {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const float size = fabsf(value);
    if (value != value) half = 0x7e00;
    else if (size >= 65520) half = 0x7c00;
    else if (size < 0x1p-14f) half = (uint16_t)nearbyintf(ldexpf(size, 24));
    else {
      int exponent;
      frexpf(size, &exponent);
      half = (uint16_t)(nearbyintf(ldexpf(size, 11 - exponent)) + ((exponent + 13) << 10));
    }
    half |= sign;
  }
  memcpy(at, &half, 2);
}
/// A factor as tensor cores take it.
static float rounded(float value, const Product& product) {
  if (product.compute != CUBLAS_COMPUTE_32F_FAST_TF32 || !std::isfinite(value)) return value;
  return widen((bitsOf(value) + 0x1000) & 0xffffe000u);
}

static int64_t rowsOf(const Matrix& matrix, int transposes) { return transposes ? matrix.columns : matrix.rows; }
static int64_t columnsOf(const Matrix& matrix, int transposes) { return transposes ? matrix.rows : matrix.columns; }

/// Whether the library takes the product at all.
static cublasStatus_t check(const Product& p, const Matrix& a, const Matrix& b, const Matrix& c, const Matrix& d) {
  for (const Matrix* matrix : {&a, &b, &c, &d})
    if (!matrix->isValid()) return CUBLAS_STATUS_INVALID_VALUE;
  if (rowsOf(a, p.transposesA) != d.rows || columnsOf(b, p.transposesB) != d.columns) return CUBLAS_STATUS_INVALID_VALUE;
  if (columnsOf(a, p.transposesA) != rowsOf(b, p.transposesB)) return CUBLAS_STATUS_INVALID_VALUE;
  if (c.rows != d.rows || c.columns != d.columns || c.type != d.type) return CUBLAS_STATUS_INVALID_VALUE;
  if (a.batch != d.batch || b.batch != d.batch || c.batch != d.batch) return CUBLAS_STATUS_INVALID_VALUE;
  if (a.type != b.type || p.scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (d.type != CUDA_R_32F && d.type != a.type) return CUBLAS_STATUS_NOT_SUPPORTED;
  if (p.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a.type != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  return CUBLAS_STATUS_SUCCESS;
}

/// op(matrix) of one product of a batch, its lines of `count` terms one after the other.
static std::vector<float> lines(
    const Product& p, const Matrix& matrix, const char* at, int64_t number, bool isAlongColumns, int64_t lines,
    int64_t count) {
  std::vector<float> result;
  result.reserve((size_t)(lines * count));
  for (int64_t line = 0; line < lines; line++)
    for (int64_t term = 0; term < count; term++) {
      const int64_t row = isAlongColumns ? term : line, column = isAlongColumns ? line : term;
      const int64_t place = number * matrix.stride + row + column * matrix.leading;
      result.push_back(rounded(load(at + place * matrix.elementBytes(), matrix.type), p));
    }
  return result;
}

static void multiply(
    const Product& p, const Matrix& a, const char* atA, const Matrix& b, const char* atB, const Matrix& d, char* atD,
    float alpha, float beta) {
  const int64_t k = columnsOf(a, p.transposesA);
  for (int64_t number = 0; number < d.batch; number++) {
    const std::vector<float> left = lines(p, a, atA, number, p.transposesA, d.rows, k);
    const std::vector<float> right = lines(p, b, atB, number, !p.transposesB, d.columns, k);
    for (int64_t j = 0; j < d.columns; j++)
      for (int64_t i = 0; i < d.rows; i++) {
        double sum = 0;
        for (int64_t l = 0; l < k; l++) sum += (double)left[(size_t)(i * k + l)] * (double)right[(size_t)(j * k + l)];
        char* const place = atD + (number * d.stride + i + j * d.leading) * d.elementBytes();
        // With a beta of nothing, the old numbers are not even read: they may be none.
        store(place, d.type, (float)(alpha * sum + (beta != 0 ? beta * (double)load(place, d.type) : 0)));
      }
  }
}

template <class T> static cublasStatus_t set(T& place, const void* from, size_t bytes) {
  if (!from || bytes != sizeof(T)) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(&place, from, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace fake

using namespace fake;

EXPORTED size_t cublasLtGetVersion() { return 990000; }
EXPORTED cublasStatus_t cublasLtCreate(cublasLtHandle_t* result) {
  LOCK;
  if (ready() != CUDA_SUCCESS) return CUBLAS_STATUS_NOT_INITIALIZED;
  *result = (cublasLtHandle_t) new int(0);
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete (int*)handle;
  return CUBLAS_STATUS_SUCCESS;
}

EXPORTED cublasStatus_t cublasLtMatmulDescCreate(
    cublasLtMatmulDesc_t* result, cublasComputeType_t compute, cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32) return CUBLAS_STATUS_INVALID_VALUE;
  *result = (cublasLtMatmulDesc_t) new Product{(int)compute, (int)scale};
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete (Product*)product;
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatmulDescSetAttribute(
    cublasLtMatmulDesc_t product, cublasLtMatmulDescAttributes_t attribute, const void* value, size_t bytes) {
  int32_t* place = nullptr;
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSA) place = &((Product*)product)->transposesA;
  if (attribute == CUBLASLT_MATMUL_DESC_TRANSB) place = &((Product*)product)->transposesB;
  if (!place || set(*place, value, bytes) != CUBLAS_STATUS_SUCCESS) return CUBLAS_STATUS_INVALID_VALUE;
  return *place == CUBLAS_OP_N || *place == CUBLAS_OP_T ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

EXPORTED cublasStatus_t cublasLtMatrixLayoutCreate(
    cublasLtMatrixLayout_t* result, cudaDataType type, uint64_t rows, uint64_t columns, int64_t leading) {
  if (type != CUDA_R_32F && type != CUDA_R_16F && type != CUDA_R_16BF) return CUBLAS_STATUS_INVALID_VALUE;
  *result = (cublasLtMatrixLayout_t) new Matrix{(int)type, (int64_t)rows, (int64_t)columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t matrix) {
  delete (Matrix*)matrix;
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatrixLayoutSetAttribute(
    cublasLtMatrixLayout_t matrix, cublasLtMatrixLayoutAttribute_t attribute, const void* value, size_t bytes) {
  switch (attribute) {
  case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return set(((Matrix*)matrix)->batch, value, bytes);
  case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return set(((Matrix*)matrix)->stride, value, bytes);
  default: return CUBLAS_STATUS_INVALID_VALUE;
  }
}

EXPORTED cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* result) {
  *result = (cublasLtMatmulPreference_t) new Preference();
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete (Preference*)preference;
  return CUBLAS_STATUS_SUCCESS;
}
EXPORTED cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t handle, cublasLtMatmulPreferenceAttributes_t attribute, const void* value, size_t bytes) {
  Preference& preference = *(Preference*)handle;
  switch (attribute) {
  case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return set(preference.workspace, value, bytes);
  case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return set(preference.reductions, value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return set(preference.alignment[0], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return set(preference.alignment[1], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return set(preference.alignment[2], value, bytes);
  case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return set(preference.alignment[3], value, bytes);
  default: return CUBLAS_STATUS_INVALID_VALUE;
  }
}

EXPORTED cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t product, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
    cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,
    cublasLtMatmulHeuristicResult_t results[], int* count) {
  if (!handle || !product || !a || !b || !c || !d || !preference || wanted < 1) return CUBLAS_STATUS_INVALID_VALUE;
  const Product& p = *(Product*)product;
  const Preference& preferred = *(Preference*)preference;
  *count = 0;
  if (const cublasStatus_t status = check(p, *(Matrix*)a, *(Matrix*)b, *(Matrix*)c, *(Matrix*)d)) return status;
  LOCK;
  if (device().counted("algorithm")) return CUBLAS_STATUS_NOT_SUPPORTED;
  const Matrix& left = *(Matrix*)a;
  const Matrix& into = *(Matrix*)d;
  Algorithm algorithm = {magic, into.rows, into.columns, columnsOf(left, p.transposesA), 0, {}};
  // Parts of sums are added up in the workspace, if that is allowed and there is one.
  if (preferred.reductions & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
    algorithm.workspace = std::min<uint64_t>(preferred.workspace, 1 << 20);
  memcpy(algorithm.alignment, preferred.alignment, sizeof algorithm.alignment);
  results[0] = {};
  memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  results[0].workspaceSize = algorithm.workspace;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  results[0].wavesCount = 1;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

EXPORTED cublasStatus_t cublasLtMatmul(
    cublasLtHandle_t handle, cublasLtMatmulDesc_t product, const void* alpha, const void* atA,
    cublasLtMatrixLayout_t layoutA, const void* atB, cublasLtMatrixLayout_t layoutB, const void* beta, const void* atC,
    cublasLtMatrixLayout_t layoutC, void* atD, cublasLtMatrixLayout_t layoutD, const cublasLtMatmulAlgo_t* algo,
    void* workspace, size_t workspaceBytes, cudaStream_t in) {
  LOCK;
  if (!handle || ready() != CUDA_SUCCESS) return CUBLAS_STATUS_NOT_INITIALIZED;
  Stream* const stream = fake::stream((CUstream)in);
  if (!stream || !alpha || !beta || !algo) return CUBLAS_STATUS_INVALID_VALUE;
  const Product p = *(Product*)product;
  const Matrix a = *(Matrix*)layoutA, b = *(Matrix*)layoutB, c = *(Matrix*)layoutC, d = *(Matrix*)layoutD;
  if (const cublasStatus_t status = check(p, a, b, c, d)) return status;
  Algorithm algorithm;
  memcpy(&algorithm, algo, sizeof algorithm);
  const bool isChosen = algorithm.magic == magic && algorithm.m == d.rows && algorithm.n == d.columns &&
      algorithm.k == columnsOf(a, p.transposesA);
  if (!isChosen || workspaceBytes < algorithm.workspace) return CUBLAS_STATUS_INVALID_VALUE;
  // We multiply in place only.
  if (atC != atD) return CUBLAS_STATUS_NOT_SUPPORTED;
  const void* const places[4] = {atA, atB, atC, atD};
  for (int number = 0; number < 4; number++)
    if ((uint64_t)places[number] % algorithm.alignment[number]) return CUBLAS_STATUS_INVALID_VALUE;
  if (algorithm.workspace > 0 && (uint64_t)workspace % 256) return CUBLAS_STATUS_INVALID_VALUE;
  const float scale = *(const float*)alpha, adds = *(const float*)beta;
  device().counted("products");
  Task task;
  task.isKernel = true;
  task.run = [=]() -> CUresult {
    Device& device = fake::device();
    const bool isMemory = device.isMemory((uint64_t)atA, a.bytes()) && device.isMemory((uint64_t)atB, b.bytes()) &&
        device.isMemory((uint64_t)atD, d.bytes()) &&
        (algorithm.workspace == 0 || device.isMemory((uint64_t)workspace, algorithm.workspace));
    if (!isMemory) return device.fail(CUDA_ERROR_ILLEGAL_ADDRESS, "a product gets matrices of no memory");
    // Whoever keeps something in the workspace loses it.
    if (algorithm.workspace > 0) memset(workspace, 0xee, algorithm.workspace);
    multiply(p, a, (const char*)atA, b, (const char*)atB, d, (char*)atD, scale, adds);
    return CUDA_SUCCESS;
  };
  return device().put(stream, std::move(task)) == CUDA_SUCCESS ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
