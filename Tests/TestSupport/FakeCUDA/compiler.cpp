// NVRTC: CUDA text as code of this processor, by the emulation's reading of CUDA and the C++ compiler.
#include "device.h"

#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>

namespace fake {

struct Program { std::string text, log = "", code = ""; };

static std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The folder of this library, where the emulation's prelude stands too.
static std::string folder() {
  Dl_info info;
  if (!dladdr((void*)&folder, &info)) return ".";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/'));
}

/// The table of kernels by which the driver finds and launches them.
static std::string table(const std::string& text) {
  static const std::regex heads("extern \"C\" __global__ void\\s+(?:__launch_bounds__\\((\\d+)(?:,\\s+\\d+)?\\)\\s+)?(\\w+)\\(");
  std::string entries;
  for (std::sregex_iterator at(text.begin(), text.end(), heads), end; at != end; ++at) {
    const std::string threads = (*at)[1].matched ? (*at)[1].str() : "0", name = (*at)[2].str();
    entries += "  {\"" + name + "\", fakeParameters(" + name + "), " + threads + R"(,
   [](void** pointers, long long grid, int block, long long sharedBytes, unsigned order, char* message, long long room) {
     static const emulation::Entry entry = {[](void** pointers) { emulation::call()" + name + R"(, pointers); }, true};
     return emulation::launch(entry, pointers, grid, block, sharedBytes, order, message, room);
   }},
)";
  }
  return R"(
struct FakeKernel {
  const char* name;
  int parameters, threads;
  int (*launch)(void**, long long, int, long long, unsigned, char*, long long);
};
template <class... T> constexpr int fakeParameters(void (*)(T...)) { return sizeof...(T); }
static const FakeKernel fakeKernels[] = {
)" + entries + R"(  {nullptr, 0, 0, nullptr}};
extern "C" __attribute__((visibility("default"))) const FakeKernel* fake_cuda_kernels() { return fakeKernels; }
)";
}

}  // namespace fake

using namespace fake;

EXPORTED nvrtcResult nvrtcVersion(int* major, int* minor) {
  *major = 99;
  *minor = 0;
  return NVRTC_SUCCESS;
}
EXPORTED const char* nvrtcGetErrorString(nvrtcResult code) {
  switch (code) {
  case NVRTC_SUCCESS: return "NVRTC_SUCCESS";
  case NVRTC_ERROR_INVALID_INPUT: return "NVRTC_ERROR_INVALID_INPUT";
  case NVRTC_ERROR_INVALID_PROGRAM: return "NVRTC_ERROR_INVALID_PROGRAM";
  case NVRTC_ERROR_INVALID_OPTION: return "NVRTC_ERROR_INVALID_OPTION";
  case NVRTC_ERROR_COMPILATION: return "NVRTC_ERROR_COMPILATION";
  default: return "NVRTC_ERROR unknown";
  }
}
EXPORTED nvrtcResult nvrtcCreateProgram(
    nvrtcProgram* result, const char* text, const char*, int headers, const char* const*, const char* const*) {
  if (!result || !text || headers != 0) return NVRTC_ERROR_INVALID_INPUT;
  *result = (nvrtcProgram) new Program{text};
  return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcDestroyProgram(nvrtcProgram* program) {
  if (!program || !*program) return NVRTC_ERROR_INVALID_PROGRAM;
  delete (Program*)*program;
  *program = nullptr;
  return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcCompileProgram(nvrtcProgram handle, int count, const char* const* options) {
  Program* const program = (Program*)handle;
  if (!program) return NVRTC_ERROR_INVALID_PROGRAM;
  bool hasArchitecture = false;
  const std::string others[] = {"--std=c++17", "--fmad=false", "-minimal", "--Ofast-compile=min"};
  for (int number = 0; number < count; number++) {
    const std::string option = options[number];
    if (option == "--gpu-architecture=sm_90a") hasArchitecture = true;
    else if (std::find(std::begin(others), std::end(others), option) == std::end(others)) {
      program->log = "nvrtc: error: invalid value for --gpu-architecture, or unknown option: " + option;
      return NVRTC_ERROR_INVALID_OPTION;
    }
  }
  // Code for no GPU in particular would be PTX, of which no machine code can be asked.
  if (!hasArchitecture) return NVRTC_ERROR_INVALID_OPTION;
  char scratch[] = "/tmp/fake-cuda-XXXXXX";
  if (!mkdtemp(scratch)) return NVRTC_ERROR_COMPILATION;
  const std::string base = scratch, source = base + "/emitted.cpp", library = base + "/emitted.so", log = base + "/log";
  std::ofstream(source, std::ios::binary) << contents(folder() + "/prelude.h") << program->text << table(program->text);
  const char* const compiler = getenv("CXX");
  const std::string command = std::string(compiler ? compiler : "c++") +
      " -std=c++17 -O1 -fPIC -shared -w -march=native -ffp-contract=off -fvisibility=hidden -o " + library + " " + source +
      " >" + log + " 2>&1";
  const bool isCompiled = system(command.c_str()) == 0;
  program->log = contents(log);
  program->code = contents(library);
  for (const std::string& file : {source, library, log}) unlink(file.c_str());
  rmdir(scratch);
  LOCK;
  device().counted("compiled");
  return isCompiled ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}
EXPORTED nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram program, size_t* bytes) {
  *bytes = ((Program*)program)->log.size() + 1;
  return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetProgramLog(nvrtcProgram program, char* log) {
  strcpy(log, ((Program*)program)->log.c_str());
  return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetCUBINSize(nvrtcProgram program, size_t* bytes) {
  *bytes = ((Program*)program)->code.size();
  return NVRTC_SUCCESS;
}
EXPORTED nvrtcResult nvrtcGetCUBIN(nvrtcProgram program, char* code) {
  memcpy(code, ((Program*)program)->code.data(), ((Program*)program)->code.size());
  return NVRTC_SUCCESS;
}
