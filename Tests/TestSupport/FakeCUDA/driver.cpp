// The device, its context and memory, modules and launches.
#include "device.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fake {

static thread_local CUcontext current = nullptr;
static int contextStorage;
static const CUcontext theContext = (CUcontext)&contextStorage;
/// What stands before and behind all memory, and must stand there still when a kernel has ended.
static const size_t guardBytes = 256;
static const unsigned char guardByte = 0xab;

Device& device() {
  static Device* const only = new Device();
  return *only;
}

/// Writes what was counted when the process ends.
static void writeCounts() {
  const char* const path = getenv("FAKE_CUDA_COUNTS");
  FILE* const file = path ? fopen(path, "w") : nullptr;
  if (!file) return;
  for (const auto& count : device().counts) fprintf(file, "%s %lld\n", count.first.c_str(), count.second);
  fclose(file);
}

Device::Device() {
  if (const char* order = getenv("FAKE_CUDA_ORDER")) isHasty = !strcmp(order, "hasty");
  if (const char* fault = getenv("FAKE_CUDA_FAULT")) setFault(fault);
  if (const char* bytes = getenv("FAKE_CUDA_MEMORY")) room = strtoull(bytes, nullptr, 10);
  atexit(writeCounts);
}

void Device::setFault(const std::string& text) {
  const size_t colon = text.find(':');
  fault = text.substr(0, colon);
  // Counted from now on.
  faultAt = counts[fault] + (colon == std::string::npos ? 1 : atoll(text.c_str() + colon + 1));
}

bool Device::counted(const char* what) { return ++counts[what] == faultAt && fault == what; }

bool Device::lies(const std::map<uint64_t, size_t>& areas, uint64_t at, size_t bytes) {
  auto next = areas.upper_bound(at);
  if (next == areas.begin()) return false;
  --next;
  return at - next->first <= next->second && bytes <= next->second - (at - next->first);
}

CUresult ready() {
  Device& device = fake::device();
  if (!device.isInitialized) return CUDA_ERROR_NOT_INITIALIZED;
  if (!current) return CUDA_ERROR_INVALID_CONTEXT;
  if (device.references == 0) return CUDA_ERROR_CONTEXT_IS_DESTROYED;
  if (device.counted("call")) device.fail(CUDA_ERROR_UNKNOWN, "the device is lost");
  return device.failure;
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

static bool hasGuards(uint64_t at, size_t bytes) {
  const unsigned char* const base = (const unsigned char*)at;
  for (size_t byte = 0; byte < guardBytes; byte++)
    if (base[byte - guardBytes] != guardByte || base[bytes + byte] != guardByte) return false;
  return true;
}

}  // namespace fake

using namespace fake;

#define LOCK std::lock_guard<std::recursive_mutex> guard(device().lock)
#define BEGIN \
  LOCK;       \
  if (const CUresult code = ready()) return code

/// Sets what shall fail, as FAKE_CUDA_FAULT does: `kernel:3` is the third from now on.
EXPORTED void fake_cuda_fault(const char* text) {
  LOCK;
  device().setFault(text);
}
/// How often something was done: `allocation`, `launch`, `replay`, `kernel`, `compiled`…
EXPORTED long long fake_cuda_count(const char* what) {
  LOCK;
  return device().counts[what];
}
/// Copies as early as they may be, or as late.
EXPORTED void fake_cuda_hasty(int isHasty) {
  LOCK;
  device().isHasty = isHasty != 0;
}
/// Bytes of the device that are taken.
EXPORTED long long fake_cuda_bytes() {
  LOCK;
  return (long long)device().bytes;
}

// Device and context

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
  case CUDA_ERROR_STREAM_CAPTURE_ISOLATION: *text = "dependency created on uncaptured work in another stream"; break;
  case CUDA_ERROR_STREAM_CAPTURE_IMPLICIT:
    *text = "operation would make the legacy stream depend on a capturing blocking stream";
    break;
  case CUDA_ERROR_CAPTURED_EVENT: *text = "operation not permitted on an event last recorded in a capturing stream"; break;
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
static const int mostShared = 227 << 10;
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

// Memory

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

/// The stream of a call that takes one; the legacy stream waits for everything, and is not for us.
static CUresult streamOf(CUstream handle, Stream*& result) {
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

#define BEGIN_IN(handle)  \
  BEGIN;                  \
  Stream* in = nullptr;   \
  if (const CUresult code = streamOf(handle, in)) return code

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

// Modules and launches

/// The table of a module's kernels, which `compiler.cpp` has written; `nullptr` where there is none.
static const Kernel* kernels(const Module& module) {
  typedef const Kernel* (*Table)();
  const Table table = module.handle ? (Table)dlsym(module.handle, "fake_cuda_kernels") : nullptr;
  return table ? table() : nullptr;
}

/// How long the file is that starts at `image`: its table of sections is its end.
static size_t imageBytes(const void* image) {
  const Elf64_Ehdr* const head = (const Elf64_Ehdr*)image;
  if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_ident[EI_CLASS] != ELFCLASS64) return 0;
  return head->e_shoff + (size_t)head->e_shnum * head->e_shentsize;
}

EXPORTED CUresult cuModuleLoadData(CUmodule* result, const void* image) {
  BEGIN;
  if (const CUresult code = device().forbidden()) return code;
  if (!result || !image) return CUDA_ERROR_INVALID_VALUE;
  const size_t bytes = imageBytes(image);
  if (bytes == 0) return CUDA_ERROR_INVALID_IMAGE;
  const int file = memfd_create("module", MFD_CLOEXEC);
  if (file < 0 || write(file, image, bytes) != (ssize_t)bytes) return CUDA_ERROR_INVALID_IMAGE;
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  const auto module = std::make_shared<Module>();
  module->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!module->handle) fprintf(stderr, "fake CUDA: %s\n", dlerror());
  // The loader knows files by name: the number is not given again, or the next module would be this one.
  if (!kernels(*module)) return CUDA_ERROR_INVALID_IMAGE;
  device().counted("modules");
  device().modules[module.get()] = module;
  *result = (CUmodule)module.get();
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuModuleUnload(CUmodule handle) {
  BEGIN;
  const auto found = device().modules.find((Module*)handle);
  if (found == device().modules.end()) return CUDA_ERROR_INVALID_HANDLE;
  found->second->isLoaded = false;
  device().modules.erase(found);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuModuleGetFunction(CUfunction* result, CUmodule handle, const char* name) {
  BEGIN;
  const auto found = device().modules.find((Module*)handle);
  if (found == device().modules.end()) return CUDA_ERROR_INVALID_HANDLE;
  for (const Kernel* kernel = kernels(*found->second); kernel->name; kernel++) {
    if (strcmp(kernel->name, name) != 0) continue;
    auto& place = device().functions[{found->first, name}];
    if (!place) place.reset(new Function{found->second, kernel});
    device().knownFunctions.insert(place.get());
    *result = (CUfunction)place.get();
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}

EXPORTED CUresult cuFuncSetAttribute(CUfunction handle, CUfunction_attribute attribute, int value) {
  BEGIN;
  Function* const function = (Function*)handle;
  if (!device().knownFunctions.count(function)) return CUDA_ERROR_INVALID_HANDLE;
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_ERROR_INVALID_VALUE;
  if (value < 0 || value > mostShared) return CUDA_ERROR_INVALID_VALUE;
  function->mostShared = value;
  return CUDA_SUCCESS;
}

/// Does a launch: now is its turn.
static CUresult runKernel(const Function& function, std::vector<uint64_t> values, unsigned grid, unsigned block, unsigned shared) {
  Device& device = fake::device();
  const char* const name = function.kernel->name;
  if (device.counted("kernel")) return device.fail(CUDA_ERROR_ILLEGAL_ADDRESS, std::string(name) + " is made to fail");
  if (!function.module->isLoaded) return device.fail(CUDA_ERROR_ILLEGAL_ADDRESS, std::string(name) + " is not loaded any more");
  for (uint64_t value : values)
    if (!device.isMemory(value, 0)) return device.fail(CUDA_ERROR_ILLEGAL_ADDRESS, std::string(name) + " gets an address of no memory");
  char message[512];
  if (function.kernel->launch((void**)values.data(), grid, (int)block, shared, 0, message, sizeof message) != 0)
    return device.fail(CUDA_ERROR_LAUNCH_FAILED, std::string(name) + ": " + message);
  for (const auto& area : device.memory)
    if (!hasGuards(area.first, area.second))
      return device.fail(CUDA_ERROR_ILLEGAL_ADDRESS, std::string(name) + " writes where no memory is");
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuLaunchKernel(
    CUfunction handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY, unsigned blockZ,
    unsigned shared, CUstream streamHandle, void** parameters, void** extra) {
  BEGIN_IN(streamHandle);
  Function* const function = (Function*)handle;
  if (!device().knownFunctions.count(function) || !function->module->isLoaded) return CUDA_ERROR_INVALID_HANDLE;
  if (device().counted("launch")) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (gridX == 0 || gridX > 0x7fffffffu || gridY != 1 || gridZ != 1 || blockX == 0 || blockY != 1 || blockZ != 1)
    return CUDA_ERROR_INVALID_VALUE;
  if (blockX > 1024 || (function->kernel->threads > 0 && (int)blockX > function->kernel->threads)) return CUDA_ERROR_INVALID_VALUE;
  if ((int)shared > function->mostShared) return CUDA_ERROR_INVALID_VALUE;
  if (extra || (function->kernel->parameters > 0 && !parameters)) return CUDA_ERROR_INVALID_VALUE;
  // The values are taken now: the caller's places are gone when it is the launch's turn.
  std::vector<uint64_t> values;
  for (int number = 0; number < function->kernel->parameters; number++) values.push_back(*(const uint64_t*)parameters[number]);
  Task task;
  task.isKernel = true;
  task.run = [function, values, gridX, blockX, shared] { return runKernel(*function, values, gridX, blockX, shared); };
  return device().put(in, std::move(task));
}
