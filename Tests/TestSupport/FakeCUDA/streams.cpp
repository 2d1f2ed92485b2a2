// Streams, events, captures and graphs.
#include "device.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace fake {

double now() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

Stream* stream(CUstream handle) {
  Stream* const found = (Stream*)handle;
  return device().streams.count(found) ? found : nullptr;
}

CUresult Device::fail(CUresult code, const std::string& why) {
  if (failure == CUDA_SUCCESS) {
    failure = code;
    fprintf(stderr, "fake CUDA: %s\n", why.c_str());
  }
  return failure;
}

CUresult Device::put(Stream* stream, Task task) {
  if (stream->capture) {
    if (stream->capture->isInvalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    Graph& graph = stream->capture->graph;
    graph.before.push_back(stream->front);
    stream->front = {graph.tasks.size()};
    graph.tasks.push_back(std::move(task));
    return CUDA_SUCCESS;
  }
  stream->tasks.push_back(std::move(task));
  if (!isHasty) return CUDA_SUCCESS;
  // A copy may let another stream go on.
  for (bool isProgress = true; isProgress;) {
    isProgress = false;
    for (Stream* each : streams)
      while (each->done < each->tasks.size()) {
        const Task& next = each->tasks[each->done];
        if (next.isKernel || (next.waitsFor && !next.waitsFor->isReached)) break;
        step(each);
        isProgress = true;
      }
  }
  return CUDA_SUCCESS;
}

void Device::step(Stream* stream) {
  Task task = std::move(stream->tasks[stream->done++]);
  if (stream->done == stream->tasks.size()) {
    stream->tasks.clear();
    stream->done = 0;
  }
  if (task.waitsFor) return reach(task.waitsFor);
  if (failure != CUDA_SUCCESS) return;
  const CUresult code = task.run();
  if (code != CUDA_SUCCESS) fail(code, "the work of a stream failed");
}

void Device::reach(const std::shared_ptr<Point>& point) {
  while (!point->isReached && point->stream->done < point->stream->tasks.size()) step(point->stream);
}

CUresult Device::finish(Stream* stream) {
  while (stream->done < stream->tasks.size()) step(stream);
  return failure;
}

CUresult Device::finishAll() {
  for (Stream* each : streams) finish(each);
  return failure;
}

Capture* Device::forbidding() {
  for (Stream* each : streams) {
    Capture* const capture = each->capture.get();
    if (!capture || capture->mode == CU_STREAM_CAPTURE_MODE_RELAXED) continue;
    if (capture->mode == CU_STREAM_CAPTURE_MODE_GLOBAL || capture->thread == std::this_thread::get_id()) return capture;
  }
  return nullptr;
}

CUresult Device::forbidden() {
  Capture* const capture = forbidding();
  if (!capture) return CUDA_SUCCESS;
  capture->isInvalid = true;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

}  // namespace fake

using namespace fake;

#define STREAM(name, handle)               \
  Stream* const name = fake::stream(handle); \
  if (!name) return CUDA_ERROR_INVALID_HANDLE

EXPORTED CUresult cuStreamCreate(CUstream* result, unsigned flags) {
  BEGIN;
  if (!result || flags > CU_STREAM_NON_BLOCKING) return CUDA_ERROR_INVALID_VALUE;
  device().counted("streams");
  Stream* const made = new Stream();
  device().streams.insert(made);
  *result = (CUstream)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuStreamDestroy_v2(CUstream handle) {
  BEGIN;
  STREAM(stream, handle);
  device().finish(stream);
  device().streams.erase(stream);
  // Points of it may outlive the stream.
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuStreamSynchronize(CUstream handle) {
  BEGIN;
  STREAM(stream, handle);
  if (stream->capture) {
    stream->capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  }
  if (const CUresult code = device().forbidden()) return code;
  return device().finish(stream);
}

EXPORTED CUresult cuStreamWaitEvent(CUstream handle, CUevent eventHandle, unsigned flags) {
  BEGIN;
  STREAM(stream, handle);
  Event* const event = (Event*)eventHandle;
  if (!device().events.count(event)) return CUDA_ERROR_INVALID_HANDLE;
  if (flags != 0) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture && stream->capture != event->capture) {
    // Work of the capture cannot wait for what stands outside.
    stream->capture->isInvalid = true;
    return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
  }
  if (event->capture) {
    if (event->capture->isEnded) return CUDA_ERROR_CAPTURED_EVENT;
    stream->capture = event->capture;
    stream->front.insert(event->front.begin(), event->front.end());
    return CUDA_SUCCESS;
  }
  if (!event->point) return CUDA_SUCCESS;
  Task task;
  task.waitsFor = event->point;
  return device().put(stream, std::move(task));
}

EXPORTED CUresult cuStreamBeginCapture_v2(CUstream handle, CUstreamCaptureMode mode) {
  BEGIN;
  STREAM(stream, handle);
  if (mode < CU_STREAM_CAPTURE_MODE_GLOBAL || mode > CU_STREAM_CAPTURE_MODE_RELAXED) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture) return CUDA_ERROR_INVALID_VALUE;
  stream->capture = std::make_shared<Capture>(Capture{mode, std::this_thread::get_id(), stream});
  stream->front = {};
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuStreamEndCapture(CUstream handle, CUgraph* result) {
  BEGIN;
  STREAM(stream, handle);
  if (!result) return CUDA_ERROR_INVALID_VALUE;
  *result = nullptr;
  if (!stream->capture) return CUDA_ERROR_INVALID_VALUE;
  if (stream->capture->mode != CU_STREAM_CAPTURE_MODE_RELAXED && stream->capture->thread != std::this_thread::get_id())
    return CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD;
  if (stream->capture->origin != stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
  const std::shared_ptr<Capture> capture = stream->capture;
  std::set<size_t> joined = stream->front;
  capture->isEnded = true;
  for (Stream* each : device().streams)
    if (each->capture == capture) {
      each->capture = nullptr;
      each->front = {};
    }
  if (capture->isInvalid) return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  // All that was captured comes before the end of the first stream.
  for (size_t task = capture->graph.tasks.size(); task-- > 0;) {
    if (!joined.count(task)) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    joined.insert(capture->graph.before[task].begin(), capture->graph.before[task].end());
  }
  Graph* const graph = new Graph(std::move(capture->graph));
  device().graphs.insert(graph);
  *result = (CUgraph)graph;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuEventCreate(CUevent* result, unsigned flags) {
  BEGIN;
  if (!result) return CUDA_ERROR_INVALID_VALUE;
  device().counted("events");
  Event* const made = new Event{(flags & CU_EVENT_DISABLE_TIMING) == 0};
  device().events.insert(made);
  *result = (CUevent)made;
  return CUDA_SUCCESS;
}

#define EVENT(name, handle)               \
  Event* const name = (Event*)(handle);   \
  if (!device().events.count(name)) return CUDA_ERROR_INVALID_HANDLE

EXPORTED CUresult cuEventDestroy_v2(CUevent handle) {
  BEGIN;
  EVENT(event, handle);
  device().events.erase(event);
  delete event;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuEventRecord(CUevent handle, CUstream streamHandle) {
  BEGIN;
  EVENT(event, handle);
  STREAM(stream, streamHandle);
  event->capture = stream->capture;
  event->front = stream->front;
  if (event->capture) return CUDA_SUCCESS;
  const auto point = std::make_shared<Point>(Point{stream});
  event->point = point;
  Task task;
  task.run = [point] {
    point->isReached = true;
    point->milliseconds = now();
    return CUDA_SUCCESS;
  };
  return device().put(stream, std::move(task));
}

EXPORTED CUresult cuEventSynchronize(CUevent handle) {
  BEGIN;
  EVENT(event, handle);
  if (event->capture) return CUDA_ERROR_CAPTURED_EVENT;
  if (const CUresult code = device().forbidden()) return code;
  if (event->point) device().reach(event->point);
  return device().failure;
}

EXPORTED CUresult cuEventElapsedTime(float* milliseconds, CUevent startHandle, CUevent endHandle) {
  BEGIN;
  EVENT(start, startHandle);
  EVENT(end, endHandle);
  if (!start->point || !end->point || !start->isTimed || !end->isTimed) return CUDA_ERROR_INVALID_HANDLE;
  if (!start->point->isReached || !end->point->isReached) return CUDA_ERROR_NOT_READY;
  *milliseconds = (float)(end->point->milliseconds - start->point->milliseconds);
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphInstantiateWithFlags(CUgraphExec* result, CUgraph handle, unsigned long long flags) {
  BEGIN;
  if (!device().graphs.count((Graph*)handle)) return CUDA_ERROR_INVALID_HANDLE;
  if (!result || flags != 0) return CUDA_ERROR_INVALID_VALUE;
  device().counted("graphs");
  Graph* const made = new Graph(*(Graph*)handle);
  device().executables.insert(made);
  *result = (CUgraphExec)made;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphLaunch(CUgraphExec handle, CUstream streamHandle) {
  BEGIN;
  Graph* const graph = (Graph*)handle;
  if (!device().executables.count(graph)) return CUDA_ERROR_INVALID_HANDLE;
  STREAM(stream, streamHandle);
  const bool fails = device().counted("replay");
  Task task;
  task.isKernel = true;
  task.run = [graph = *graph, fails] {
    if (fails) return device().fail(CUDA_ERROR_ILLEGAL_ADDRESS, "a graph is made to fail");
    // The last task first that may be done: whatever does not wait, and must, is done too early.
    std::vector<size_t> waiting(graph.tasks.size());
    std::vector<std::vector<size_t>> after(graph.tasks.size());
    std::set<size_t> ready;
    for (size_t task = 0; task < graph.tasks.size(); task++) {
      waiting[task] = graph.before[task].size();
      if (waiting[task] == 0) ready.insert(task);
      for (size_t other : graph.before[task]) after[other].push_back(task);
    }
    while (!ready.empty()) {
      const size_t next = *ready.rbegin();
      ready.erase(next);
      if (const CUresult code = graph.tasks[next].run()) return code;
      for (size_t other : after[next])
        if (--waiting[other] == 0) ready.insert(other);
    }
    return CUDA_SUCCESS;
  };
  return device().put(stream, std::move(task));
}

EXPORTED CUresult cuGraphDestroy(CUgraph handle) {
  BEGIN;
  if (!device().graphs.erase((Graph*)handle)) return CUDA_ERROR_INVALID_HANDLE;
  delete (Graph*)handle;
  return CUDA_SUCCESS;
}

EXPORTED CUresult cuGraphExecDestroy(CUgraphExec handle) {
  BEGIN;
  if (!device().executables.erase((Graph*)handle)) return CUDA_ERROR_INVALID_HANDLE;
  delete (Graph*)handle;
  return CUDA_SUCCESS;
}
