// A GPU that is this processor: what driver, compiler and library of products share.
//
// Streams are queues whose work is done as LATE as it may be: when somebody waits for it. So a host buffer that is reused
// too early, or a stream that should have waited for another, gives wrong numbers or an error each time, never by luck.
// With FAKE_CUDA_ORDER=hasty copies are done as EARLY as they may be, and kernels late: that shows what is overwritten
// while it is still read.
#pragma once
#include "cuda_api.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace fake {

struct Stream;

/// A place in a stream that an event marks.
struct Point {
  Stream* stream;
  bool isReached = false;
  double milliseconds = 0;
};

/// Something a stream does: work, or waiting for a point of another stream.
struct Task {
  bool isKernel = false;
  std::function<CUresult()> run;
  std::shared_ptr<Point> waitsFor;
};

/// Tasks, and for each those that come before it.
struct Graph {
  std::vector<Task> tasks;
  std::vector<std::set<size_t>> before;
};

struct Capture {
  CUstreamCaptureMode mode;
  std::thread::id thread;
  /// The stream that the capture began in; others join it by waiting for an event of the capture.
  Stream* origin;
  bool isInvalid = false, isEnded = false;
  Graph graph = {};
};

struct Stream {
  std::vector<Task> tasks;
  size_t done = 0;
  std::shared_ptr<Capture> capture;
  /// Tasks of the capture that whatever comes next in this stream waits for.
  std::set<size_t> front;
};
struct Event {
  bool isTimed;
  /// Where it was recorded last: in a capture, behind some of its tasks, or in a stream.
  std::shared_ptr<Capture> capture = nullptr;
  std::set<size_t> front = {};
  std::shared_ptr<Point> point = nullptr;
};

/// The table that `compiler.cpp` writes at the end of a module.
struct Kernel {
  const char* name;
  int parameters, threads;
  /// Pointers, blocks, threads of each, shared bytes, order of threads, message and its room; 0 if all is well.
  int (*launch)(void**, long long, int, long long, unsigned, char*, long long);
};
struct Module {
  void* handle = nullptr;
  bool isLoaded = true;
};
struct Function {
  std::shared_ptr<Module> module;
  const Kernel* kernel;
  int mostShared = 48 << 10;
};

/// Everything there is, behind one lock. The driver's handles are addresses of what stands here.
struct Device {
  std::recursive_mutex lock;
  bool isInitialized = false, isHasty = false;
  int references = 0;
  /// What every call answers once something went wrong on the device.
  CUresult failure = CUDA_SUCCESS;

  std::map<uint64_t, size_t> memory, hostMemory;
  size_t bytes = 0, room = (size_t)8 << 30;
  std::set<Stream*> streams;
  std::set<Event*> events;
  std::set<Graph*> graphs, executables;
  std::map<Module*, std::shared_ptr<Module>> modules;
  std::map<std::pair<Module*, std::string>, std::unique_ptr<Function>> functions;
  std::set<Function*> knownFunctions;

  std::map<std::string, long long> counts;
  /// Kind and number of what shall fail: `allocation`, `host_allocation`, `launch` (it is refused), `kernel` and `replay`
  /// (they fail when it is their turn), `algorithm` (a product is not supported), `call` (the device is lost).
  std::string fault;
  long long faultAt = 0;

  Device();
  ~Device();
  /// Counts something, and says whether this is the one that shall fail.
  bool counted(const char* what);
  void setFault(const std::string& text);

  /// Whether nobody wrote right before or behind some memory.
  static bool hasGuards(uint64_t at, size_t bytes);
  static bool lies(const std::map<uint64_t, size_t>& areas, uint64_t at, size_t bytes);
  bool isMemory(uint64_t at, size_t bytes) const { return lies(memory, at, bytes); }
  bool isHost(const void* at, size_t bytes) const { return lies(hostMemory, (uint64_t)at, bytes); }

  /// Puts a task into a stream, or into the graph that is captured from it.
  CUresult put(Stream* stream, Task task);
  void step(Stream* stream);
  CUresult finish(Stream* stream);
  CUresult finishAll();
  void reach(const std::shared_ptr<Point>& point);
  /// Whether this thread captures in a way that forbids what allocates or waits.
  Capture* forbidding();
  CUresult forbidden();
  CUresult fail(CUresult code, const std::string& why);
};

Device& device();
/// What a call needs first: a context of this thread, and a device that works.
CUresult ready();
/// The stream of a handle; `nullptr` where it is none.
Stream* stream(CUstream handle);
/// The same for work: the legacy stream waits for everything, and is not for us.
CUresult streamOf(CUstream handle, Stream*& result);
/// Bytes of shared memory that a block may ask for.
static const int mostShared = 227 << 10;
double now();

}  // namespace fake

#define LOCK std::lock_guard<std::recursive_mutex> guard(fake::device().lock)
/// How nearly every call begins.
#define BEGIN \
  LOCK;       \
  if (const CUresult code = fake::ready()) return code
/// How a call begins that puts work into a stream, `in`.
#define BEGIN_IN(handle)      \
  BEGIN;                      \
  fake::Stream* in = nullptr; \
  if (const CUresult code = fake::streamOf(handle, in)) return code
