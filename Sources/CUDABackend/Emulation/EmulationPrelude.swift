/// CUDA's execution model for one processor core, in C++: what emitted text finds in the place of NVRTC's built-ins.
///
/// A block's threads are fibers: each runs until it waits, and a switch is a few instructions. A barrier holds until
/// all threads have come to the same one; a shuffle until all lanes of its mask have come to the same one. Where that
/// cannot happen, the run ends with what each thread waits for. Shared memory is what the launch asks for, filled with
/// NaN before every block. Blocks run one after the other; the order of threads is the caller's, so that a forgotten
/// barrier shows in one order or another.
package let emulationPrelude = executionModel + emulatedTensor + emulatedWarpgroups + "#line 1 \"emitted.cu\"\n"

private let executionModel = #"""
  // The C headers alone: those of C++ take longer to read than most programs.
  #define _GLIBCXX_INCLUDE_NEXT_C_HEADERS 1
  #include <math.h>
  #include <stddef.h>
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <sys/mman.h>

  #define __global__
  #define __device__
  #define __shared__
  #define __forceinline__ inline
  #define __noinline__
  static inline float rsqrtf(float a) { return 1.0f / sqrtf(a); }
  #define __launch_bounds__(...)
  #define __align__(bytes) __attribute__((aligned(bytes)))

  struct Index { unsigned x, y, z; };
  static Index threadIdx, blockIdx, blockDim, gridDim;
  __attribute__((aligned(1024), visibility("hidden"))) unsigned char shared[(256 << 10) + 64];

  namespace emulation {

  // Fibers.

  #if defined(__x86_64__)
  extern "C" __attribute__((visibility("hidden"))) void millrace_switch(void** from, void* to);
  asm(".text\n.type millrace_switch, @function\nmillrace_switch:\n"
      "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
      "  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n"
      "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n");
  struct Fiber {
    void* at;
    void start(char* top, void (*entry)()) {
      void** frame = (void**)top;
      *--frame = nullptr;
      *--frame = (void*)entry;
      for (int number = 0; number < 6; number++) *--frame = nullptr;
      at = frame;
    }
  };
  static void change(Fiber& from, Fiber& to) { millrace_switch(&from.at, to.at); }
  #elif defined(__aarch64__)
  extern "C" __attribute__((visibility("hidden"))) void millrace_switch(void** from, void* to);
  asm(".text\n.type millrace_switch, %function\nmillrace_switch:\n"
      "  sub sp, sp, #160\n"
      "  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n"
      "  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
      "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
      "  mov x9, sp\n  str x9, [x0]\n  mov sp, x1\n"
      "  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n"
      "  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
      "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
      "  add sp, sp, #160\n  ret\n");
  struct Fiber {
    void* at;
    void start(char* top, void (*entry)()) {
      void** frame = (void**)(top - 160);
      memset(frame, 0, 160);
      frame[11] = (void*)entry;
      at = frame;
    }
  };
  static void change(Fiber& from, Fiber& to) { millrace_switch(&from.at, to.at); }
  #else
  }
  #include <ucontext.h>
  namespace emulation {
  struct Fiber {
    ucontext_t context;
    void start(char* top, void (*entry)()) {
      getcontext(&context);
      context.uc_stack.ss_sp = top - (128 << 10);
      context.uc_stack.ss_size = 128 << 10;
      context.uc_link = nullptr;
      makecontext(&context, entry, 0);
    }
  };
  static void change(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }
  #endif

  // Threads of the block that runs.

  enum State { ready, atBarrier, inShuffle, ended };
  enum Shuffle { exchange, down, up, pick, none };
  struct Thread {
    Fiber fiber;
    State state;
    int line;
    unsigned mask;
    Shuffle shuffle;
    int operand;
    unsigned long long value;
  };
  static const int mostThreads = 1024;
  static const size_t stackBytes = 128 << 10;
  static Thread threads[mostThreads];
  static Fiber scheduler;
  static char* stacks;
  static int count, current, atBarriers, endedThreads;
  static void (*function)(void**);
  static void** arguments;
  static char failure[512];

  static void suspend() { change(threads[current].fiber, scheduler); }

  /// Drops what threads have asked for and not waited for: copies to shared memory, products; whether a thread has some.
  static void forgetTasks();
  static bool hasTasks(int number);

  static void fail(const char* why, int number) {
    const Thread& thread = threads[number];
    snprintf(failure, sizeof failure, "block %u, thread %d, line %d: %s", blockIdx.x, number, thread.line, why);
  }

  static void enter() {
    function(arguments);
    if (hasTasks(current)) fail("ends while copies or products are on their way", current);
    threads[current].state = ended;
    endedThreads++;
    suspend();
  }

  static void barrier(int line) {
    Thread& thread = threads[current];
    thread.line = line;
    thread.state = atBarrier;
    if (++atBarriers == count) {
      for (int number = 0; number < count; number++) {
        if (threads[number].line != line) fail("waits at another barrier than the last thread of its block", number);
        threads[number].state = ready;
      }
      atBarriers = 0;
      if (!failure[0]) return;
    }
    suspend();
  }

  /// What the lane gets that comes with `value`, once all lanes of `mask` have come.
  static unsigned long long meet(unsigned mask, unsigned long long value, Shuffle shuffle, int operand, int line) {
    Thread& thread = threads[current];
    thread.line = line;
    thread.state = inShuffle;
    thread.mask = mask;
    thread.shuffle = shuffle;
    thread.operand = operand;
    thread.value = value;
    const int first = current / 32 * 32;
    if (!(mask >> (current - first) & 1)) fail("shuffles with a mask that leaves it out", current);
    bool complete = !failure[0];
    for (int lane = 0; lane < 32 && complete; lane++) {
      if (!(mask >> lane & 1)) continue;
      const int number = first + lane;
      if (number >= count) {
        fail("shuffles with a lane that the block does not have", current);
        complete = false;
        continue;
      }
      const Thread& other = threads[number];
      if (other.state != inShuffle) { complete = false; continue; }
      if (other.mask != mask || other.line != line || other.shuffle != shuffle) {
        fail("shuffles, but another lane of its mask does something else", current);
        complete = false;
      }
    }
    if (!complete) {
      suspend();
      return thread.value;
    }
    unsigned long long results[32];
    for (int lane = 0; lane < 32; lane++) {
      if (!(mask >> lane & 1)) continue;
      const Thread& other = threads[first + lane];
      int source = lane;
      switch (other.shuffle) {
      case exchange: source = lane ^ other.operand; break;
      case down: source = lane + other.operand; break;
      case up: source = lane - other.operand; break;
      case pick: source = other.operand & 31; break;
      case none: break;
      }
      const bool exists = source >= 0 && source < 32;
      // What a lane outside the mask has is undefined.
      if (!exists) source = lane;
      results[lane] = mask >> source & 1 ? threads[first + source].value : 0xa5a5a5a5a5a5a5a5ull;
    }
    for (int lane = 0; lane < 32; lane++) {
      if (!(mask >> lane & 1)) continue;
      threads[first + lane].value = results[lane];
      threads[first + lane].state = ready;
    }
    return thread.value;
  }

  template <class T> T meet(unsigned mask, T value, Shuffle shuffle, int operand, int line) {
    static_assert(sizeof(T) <= 8, "shuffles take up to 8 bytes");
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof value);
    bits = meet(mask, bits, shuffle, operand, line);
    memcpy(&value, &bits, sizeof value);
    return value;
  }

  /// 0: ascending, 1: descending, else a shuffle.
  static void arrange(int* order, unsigned how) {
    for (int number = 0; number < count; number++) order[number] = how == 1 ? count - 1 - number : number;
    if (how < 2) return;
    unsigned state = how;
    for (int number = count - 1; number > 0; number--) {
      state = state * 1664525u + 1013904223u;
      int& other = order[(state >> 8) % (unsigned)(number + 1)];
      const int mine = order[number];
      order[number] = other;
      other = mine;
    }
  }

  static bool block(const int* order, bool cooperative) {
    if (!cooperative) {
      for (int number = 0; number < count; number++) {
        current = order[number];
        threadIdx.x = (unsigned)current;
        function(arguments);
      }
      return true;
    }
    atBarriers = endedThreads = 0;
    forgetTasks();
    for (int number = 0; number < count; number++) {
      threads[number].state = ready;
      threads[number].line = 0;
      threads[number].fiber.start(stacks + (number + 1) * stackBytes, enter);
    }
    while (endedThreads < count) {
      bool progress = false;
      for (int number = 0; number < count; number++) {
        if (threads[order[number]].state != ready) continue;
        progress = true;
        current = order[number];
        threadIdx.x = (unsigned)current;
        change(scheduler, threads[current].fiber);
        if (failure[0]) return false;
      }
      if (progress) continue;
      for (int number = 0; number < count; number++) {
        if (threads[number].state == ended) continue;
        fail(threads[number].state == atBarrier ? "waits at a barrier that not all threads of its block reach"
                                                : "waits for lanes that do not come", number);
        return false;
      }
    }
    return true;
  }

  template <size_t... number> struct Numbers {};
  template <size_t count, size_t... rest> struct Below : Below<count - 1, count - 1, rest...> {};
  template <size_t... number> struct Below<0, number...> { typedef Numbers<number...> type; };

  template <class... T, size_t... number>
  static void call(void (*kernel)(T...), void** pointers, Numbers<number...>) {
    kernel((T)pointers[number]...);
  }
  template <class... T> static void call(void (*kernel)(T...), void** pointers) {
    call(kernel, pointers, typename Below<sizeof...(T)>::type());
  }

  struct Entry {
    void (*function)(void**);
    bool cooperative;
  };

  static int launch(const Entry& entry, void** pointers, long long grid, int block, long long sharedBytes,
                    unsigned order, char* message, long long capacity) {
    failure[0] = 0;
    function = entry.function;
    arguments = pointers;
    count = block;
    blockDim = {(unsigned)block, 1, 1};
    gridDim = {(unsigned)grid, 1, 1};
    threadIdx = blockIdx = {0, 0, 0};
    if (block < 1 || block > mostThreads) snprintf(failure, sizeof failure, "a block of %d threads", block);
    if (sharedBytes > (256 << 10)) snprintf(failure, sizeof failure, "a block of %lld shared bytes", sharedBytes);
    if (!failure[0] && entry.cooperative && !stacks) {
      const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
      void* const memory = mmap(nullptr, mostThreads * stackBytes, PROT_READ | PROT_WRITE, kind, -1, 0);
      if (memory == MAP_FAILED) snprintf(failure, sizeof failure, "no memory for the stacks of threads");
      else stacks = (char*)memory;
    }
    static int threadOrder[mostThreads];
    if (!failure[0]) arrange(threadOrder, order);
    for (long long number = 0; number < grid && !failure[0]; number++) {
      blockIdx.x = (unsigned)number;
      memset(shared, 0xff, (size_t)sharedBytes);
      memset(shared + sharedBytes, 0xa5, 64);
      if (!emulation::block(threadOrder, entry.cooperative)) break;
      for (int byte = 0; byte < 64; byte++)
        if (shared[sharedBytes + byte] != 0xa5)
          snprintf(failure, sizeof failure, "block %lld stores past its %lld bytes of shared memory", number,
                   sharedBytes);
    }
    if (!failure[0]) return 0;
    snprintf(message, (size_t)capacity, "%s", failure);
    return 1;
  }

  }  // namespace emulation

  #define __syncthreads() emulation::barrier(__LINE__)
  #define __syncwarp(mask) ((void)emulation::meet((unsigned)(mask), 0, emulation::none, 0, __LINE__))
  #define __shfl_xor_sync(mask, value, by) emulation::meet(mask, value, emulation::exchange, by, __LINE__)
  #define __shfl_down_sync(mask, value, by) emulation::meet(mask, value, emulation::down, by, __LINE__)
  #define __shfl_up_sync(mask, value, by) emulation::meet(mask, value, emulation::up, by, __LINE__)
  #define __shfl_sync(mask, value, lane) emulation::meet(mask, value, emulation::pick, lane, __LINE__)

  template <class T> static inline T __ldg(const T* at) { return *at; }
  static inline int __float_as_int(float a) {
    int bits;
    memcpy(&bits, &a, 4);
    return bits;
  }
  static inline float __int_as_float(int bits) {
    float a;
    memcpy(&a, &bits, 4);
    return a;
  }

  """#
