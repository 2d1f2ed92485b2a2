// Memory of the device and of the host, and copies between them.
#include "device.h"

#include <cstdlib>
#include <cstring>

namespace fake {

/// What stands before and behind all memory, and must stand there still when a kernel has ended.
static const size_t guardBytes = 256;
static const unsigned char guardByte = 0xab;

bool Device::lies(const std::map<uint64_t, size_t>& areas, uint64_t at, size_t bytes) {
  auto next = areas.upper_bound(at);
  if (next == areas.begin()) return false;
  --next;
  return at - next->first <= next->second && bytes <= next->second - (at - next->first);
}

static uint64_t reserve(std::map<uint64_t, size_t>& areas, size_t bytes, int filling) {
  const size_t whole = (bytes + 255) / 256 * 256 + 2 * guardBytes;
  unsigned char* const base = (unsigned char*)aligned_alloc(256, whole);
  if (!base) return 0;
  memset(base, guardByte, whole);
  memset(base + guardBytes, filling, bytes);
  areas[(uint64_t)base + guardBytes] = bytes;
  return (uint64_t)base + guardBytes;
}

bool Device::hasGuards(uint64_t at, size_t bytes) {
  const unsigned char* const base = (const unsigned char*)at;
  for (size_t byte = 0; byte < guardBytes; byte++)
    if (base[byte - guardBytes] != guardByte || base[bytes + byte] != guardByte) return false;
  return true;
}

CUresult streamOf(CUstream handle, Stream*& result) {
  if (!handle) {
    if (Capture* const capture = device().forbidding()) {
      capture->isInvalid = true;
      return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
    }
    return CUDA_ERROR_INVALID_HANDLE;
  }
  result = stream(handle);
  return result ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

}  // namespace fake

using namespace fake;

EXPORTED CUresult cuMemGetInfo_v2(size_t* free, size_t* total) {
  BEGIN;
  *total = device().room;
  *free = device().room - device().bytes;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuMemAlloc_v2(CUdeviceptr* result, size_t bytes) {
  BEGIN;
  if (const CUresult code = device().forbidden()) return code;
  if (!result || bytes == 0) return CUDA_ERROR_INVALID_VALUE;
  if (device().counted("allocation") || bytes > device().room - device().bytes) return CUDA_ERROR_OUT_OF_MEMORY;
  // Nobody may count on what stands in new memory: as a float it is none.
  *result = reserve(device().memory, bytes, 0xff);
  if (!*result) return CUDA_ERROR_OUT_OF_MEMORY;
  device().bytes += bytes;
  return CUDA_SUCCESS;
}
EXPORTED CUresult cuMemFree_v2(CUdeviceptr address) {
  BEGIN;
  if (const CUresult code = device().forbidden()) return code;
  const auto found = device().memory.find(address);
  if (found == device().memory.end()) return CUDA_ERROR_INVALID_VALUE;
  // As on a GPU, freeing waits for all that is going on.
  device().finishAll();
  device().bytes -= found->second;
  device().memory.erase(found);
  free((void*)(address - guardBytes));
  return device().failure;
}
EXPORTED CUresult cuMemHostAlloc(void** result, size_t bytes, unsigned flags) {
  BEGIN;
  if (const CUresult code = device().forbidden()) return code;
  if (!result || bytes == 0 || flags > 7) return CUDA_ERROR_INVALID_VALUE;
  if (device().counted("host_allocation")) return CUDA_ERROR_OUT_OF_MEMORY;
  *result = (void*)reserve(device().hostMemory, bytes, 0xff);
  return *result ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
EXPORTED CUresult cuMemFreeHost(void* base) {
  BEGIN;
  const auto found = device().hostMemory.find((uint64_t)base);
  if (found == device().hostMemory.end()) return CUDA_ERROR_INVALID_VALUE;
  // Does not wait: a copy that is still to come finds its memory gone.
  device().hostMemory.erase(found);
  free((char*)base - guardBytes);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void* from, size_t bytes, CUstream handle) {
  BEGIN_IN(handle);
  if (!from || !device().isMemory(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  device().counted("copies");
  Task task;
  if (device().isHost(from, bytes)) {
    task.run = [to, from, bytes] {
      if (!device().isMemory(to, bytes) || !device().isHost(from, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
      device().counted("arrived");
      memcpy((void*)to, from, bytes);
      return CUDA_SUCCESS;
    };
  } else if (in->capture) {
    in->capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  } else {
    // From ordinary memory the driver takes the bytes before it returns.
    const std::string taken((const char*)from, bytes);
    task.run = [to, taken] {
      if (!device().isMemory(to, taken.size())) return CUDA_ERROR_ILLEGAL_ADDRESS;
      memcpy((void*)to, taken.data(), taken.size());
      return CUDA_SUCCESS;
    };
  }
  return device().put(in, std::move(task));
}

EXPORTED CUresult cuMemcpyDtoHAsync_v2(void* to, CUdeviceptr from, size_t bytes, CUstream handle) {
  BEGIN_IN(handle);
  if (!to || !device().isMemory(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  device().counted("copies");
  const bool isHost = device().isHost(to, bytes);
  if (!isHost && in->capture) {
    in->capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  Task task;
  task.run = [to, from, bytes, isHost] {
    if (!device().isMemory(from, bytes) || (isHost && !device().isHost(to, bytes))) return CUDA_ERROR_ILLEGAL_ADDRESS;
    memcpy(to, (const void*)from, bytes);
    return CUDA_SUCCESS;
  };
  if (const CUresult code = device().put(in, std::move(task))) return code;
  // To ordinary memory the call returns when the bytes are there.
  return isHost ? CUDA_SUCCESS : device().finish(in);
}

EXPORTED CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream handle) {
  BEGIN_IN(handle);
  if (!device().isMemory(to, bytes) || !device().isMemory(from, bytes)) return CUDA_ERROR_INVALID_VALUE;
  device().counted("copies");
  Task task;
  task.run = [to, from, bytes] {
    if (!device().isMemory(to, bytes) || !device().isMemory(from, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    memmove((void*)to, (const void*)from, bytes);
    return CUDA_SUCCESS;
  };
  return device().put(in, std::move(task));
}

EXPORTED CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t bytes, CUstream handle) {
  BEGIN_IN(handle);
  if (!device().isMemory(to, bytes)) return CUDA_ERROR_INVALID_VALUE;
  Task task;
  task.run = [to, byte, bytes] {
    if (!device().isMemory(to, bytes)) return CUDA_ERROR_ILLEGAL_ADDRESS;
    memset((void*)to, byte, bytes);
    return CUDA_SUCCESS;
  };
  return device().put(in, std::move(task));
}
