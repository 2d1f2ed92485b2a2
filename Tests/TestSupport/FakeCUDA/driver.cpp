// The device and its context.
#include "device.h"

#include <cstdio>

namespace fake {

static thread_local CUcontext current = nullptr;
static int contextStorage;
static const CUcontext theContext = (CUcontext)&contextStorage;
CUresult ready() {
  Device& device = fake::device();
  if (!device.isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (device.references == 0) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (device.counted("call")) device.fail(CUDA_ERROR_UNKNOWN, "the device is lost");
  return device.failure;
}

}  // namespace fake

using namespace fake;

EXPORTED CUresult cuGetErrorString(CUresult code, const char** text) {
  switch (code) {
  case CUDA_SUCCESS: *text = "no error"; break;
  case CUDA_ERROR_INVALID_VALUE: *text = "invalid argument"; break;
  case CUDA_ERROR_OUT_OF_MEMORY: *text = "out of memory"; break;
  case CUDA_ERROR_NOT_INITIALIZED: *text = "initialization error"; break;
  case CUDA_ERROR_INVALID_DEVICE: *text = "invalid device ordinal"; break;
  case CUDA_ERROR_INVALID_IMAGE: *text = "device kernel image is invalid"; break;
  case CUDA_ERROR_INVALID_CONTEXT: *text = "invalid device context"; break;
  case CUDA_ERROR_INVALID_HANDLE: *text = "invalid resource handle"; break;
  case CUDA_ERROR_NOT_FOUND: *text = "named symbol not found"; break;
  case CUDA_ERROR_NOT_READY: *text = "device not ready"; break;
  case CUDA_ERROR_ILLEGAL_ADDRESS: *text = "an illegal memory access was encountered"; break;
  case CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES: *text = "too many resources requested for launch"; break;
  case CUDA_ERROR_CONTEXT_IS_DESTROYED: *text = "context is destroyed"; break;
  case CUDA_ERROR_LAUNCH_FAILED: *text = "unspecified launch failure"; break;
  case CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: *text = "operation not permitted when stream is capturing"; break;
  case CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: *text = "operation failed due to a previous error during capture"; break;
  case CUDA_ERROR_STREAM_CAPTURE_UNJOINED: *text = "capturing stream has unjoined work"; break;
  case CUDA_ERROR_STREAM_CAPTURE_ISOLATION: *text = "dependency created on uncaptured work in another stream"; break;
  case CUDA_ERROR_STREAM_CAPTURE_IMPLICIT:
    *text = "operation would make the legacy stream depend on a capturing blocking stream";
    break;
  case CUDA_ERROR_CAPTURED_EVENT:
    *text = "operation not permitted on an event last recorded in a capturing stream";
    break;
  case CUDA_ERROR_UNKNOWN: *text = "unknown error"; break;
  default: *text = nullptr; return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuInit(unsigned flags) {
  LOCK;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  device().isInitialized = true;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDriverGetVersion(int* version) {
  // No driver has it, so that no code of ours is taken for a GPU's.
  *version = 99000;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDeviceGetCount(int* count) {
  LOCK;
  if (!device().isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  *count = 1;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDeviceGet(CUdevice* result, int number) {
  LOCK;
  if (!device().isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  *result = 0;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDeviceGetName(char* name, int room, CUdevice number) {
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  snprintf(name, (size_t)room, "Fake GPU");
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDeviceTotalMem_v2(size_t* bytes, CUdevice number) {
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  *bytes = device().room;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice number) {
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  switch (attribute) {
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: *value = 9; break;
  case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: *value = 0; break;
  case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: *value = 132; break;
  case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: *value = mostShared; break;
  case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: *value = 50 << 20; break;
  case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: *value = 5120; break;
  case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: *value = 2619000; break;
  default: return CUDA_ERROR_INVALID_VALUE;
  }
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDevicePrimaryCtxRetain(CUcontext* result, CUdevice number) {
  LOCK;
  if (!device().isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  device().references++;
  *result = theContext;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuDevicePrimaryCtxRelease_v2(CUdevice number) {
  LOCK;
  if (number != 0) return CUDA_ERROR_INVALID_DEVICE;
  if (device().references == 0) return CUDA_ERROR_INVALID_CONTEXT;
  device().references--;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuCtxSetCurrent(CUcontext context) {
  LOCK;
  if (!device().isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (context && context != theContext) return CUDA_ERROR_INVALID_CONTEXT;
  if (context && device().references == 0) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  current = context;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuCtxSynchronize() {
  BEGIN;
  for (Stream* each : device().streams)
    if (each->capture) {
      each->capture->isInvalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  return device().finishAll();
}
