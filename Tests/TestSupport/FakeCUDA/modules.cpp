// Modules and launches.
#include "device.h"

#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

using namespace fake;

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

/// A launch as it stands in a stream.
struct Launch {
  const Function* function;
  /// The values are taken when it is put there: the caller's places are gone when it is the launch's turn.
  std::vector<uint64_t> values;
  unsigned grid, block, shared;

  CUresult fail(CUresult code, const std::string& why) const {
    return device().fail(code, function->kernel->name + (" " + why));
  }

  /// Now is its turn.
  CUresult run() const {
    if (device().counted("kernel")) return fail(CUDA_ERROR_ILLEGAL_ADDRESS, "is made to fail");
    if (!function->module->isLoaded) return fail(CUDA_ERROR_ILLEGAL_ADDRESS, "is not loaded any more");
    for (uint64_t value : values)
      if (!device().isMemory(value, 0)) return fail(CUDA_ERROR_ILLEGAL_ADDRESS, "gets an address of no memory");
    std::vector<uint64_t> pointers = values;
    char message[512];
    if (function->kernel->launch((void**)pointers.data(), grid, (int)block, shared, 0, message, sizeof message) != 0)
      return fail(CUDA_ERROR_LAUNCH_FAILED, message);
    for (const auto& area : device().memory)
      if (!Device::hasGuards(area.first, area.second))
        return fail(CUDA_ERROR_ILLEGAL_ADDRESS, "writes where no memory is");
    return CUDA_SUCCESS;
  }
};

EXPORTED CUresult cuLaunchKernel(
    CUfunction handle, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,
    unsigned blockZ, unsigned shared, CUstream streamHandle, void** parameters, void** extra) {
  BEGIN_IN(streamHandle);
  Function* const function = (Function*)handle;
  if (!device().knownFunctions.count(function) || !function->module->isLoaded) return CUDA_ERROR_INVALID_HANDLE;
  if (device().counted("launch")) return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
  if (gridX == 0 || gridX > 0x7fffffffu || gridY != 1 || gridZ != 1 || blockX == 0 || blockY != 1 || blockZ != 1)
    return CUDA_ERROR_INVALID_VALUE;
  const Kernel& kernel = *function->kernel;
  if (blockX > 1024 || (kernel.threads > 0 && (int)blockX > kernel.threads)) return CUDA_ERROR_INVALID_VALUE;
  if ((int)shared > function->mostShared) return CUDA_ERROR_INVALID_VALUE;
  if (extra || (kernel.parameters > 0 && !parameters)) return CUDA_ERROR_INVALID_VALUE;
  Launch launch = {function, {}, gridX, blockX, shared};
  for (int number = 0; number < kernel.parameters; number++)
    launch.values.push_back(*(const uint64_t*)parameters[number]);
  Task task;
  task.isKernel = true;
  task.run = [launch] { return launch.run(); };
  return device().put(in, std::move(task));
}
