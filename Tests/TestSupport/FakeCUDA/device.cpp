// What the device counts, and what shall fail on it.
#include "device.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fake {

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

}  // namespace fake

using namespace fake;

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
