/// Copies past the registers and tensor cores, for the emulation.
///
/// A copy arrives as late as it may: when its thread waits for it. Tensor cores multiply exactly and round each sum once.
/// Addresses that are not as aligned as the GPU wants them end the run.
let emulatedTensor = #"""
  #define MILLRACE_EMULATION

  namespace emulation {

  /// What a thread has asked for, in that order, and how often it said that a group of it is complete.
  template <class T> struct Pending {
    T* all;
    int count, room, group;
    void add(T task) {
      if (count == room) all = (T*)realloc(all, sizeof(T) * (size_t)(room = room * 2 + 8));
      task.group = group;
      all[count++] = task;
    }
    /// Does all of it but the last `left` groups.
    template <class Body> int finish(int left, Body body) {
      int done = 0;
      while (done < count && all[done].group < group - left) body(all[done++]);
      memmove(all, all + done, sizeof(T) * (size_t)(count -= done));
      return done;
    }
    void forget() { count = group = 0; }
  };
  struct Copy { void* to; const void* from; int bytes, valid, group; };
  static Pending<Copy> copies[mostThreads];
  /// Products of four warps, as each of their threads has a part of them.
  struct Multiplication {
    void (*run)(const Multiplication&);
    unsigned long long a, b;
    float* sums;
    int group;
  };
  static Pending<Multiplication> multiplications[mostThreads];
  /// Whether a thread has copies that came, and that it has not shown to the tensor cores of four warps.
  static bool hides[mostThreads];

  static void forgetTasks() {
    for (auto& pending : copies) pending.forget();
    for (auto& pending : multiplications) pending.forget();
    memset(hides, 0, sizeof hides);
  }
  static bool hasTasks(int number) { return copies[number].count > 0 || multiplications[number].count > 0; }
  static void checkAligned(const void* at, size_t bytes) {
    if ((size_t)at % bytes) fail("is at a place that is not as aligned as it says", current);
  }

  }  // namespace emulation

  template <int bytes> static void copy_async(void* to, const void* from, int valid) {
    emulation::checkAligned(to, bytes);
    emulation::checkAligned(from, bytes);
    emulation::copies[emulation::current].add({to, from, bytes, valid, 0});
  }
  static void commit_copies() { emulation::copies[emulation::current].group++; }
  template <int pending> static void wait_for_copies() {
    const int done = emulation::copies[emulation::current].finish(pending, [](const emulation::Copy& copy) {
      memcpy(copy.to, copy.from, (size_t)copy.valid);
      memset((char*)copy.to + copy.valid, 0, (size_t)(copy.bytes - copy.valid));
    });
    if (done > 0) emulation::hides[emulation::current] = true;
  }

  template <class T, int width> struct Pack;
  template <class T, int width> static Pack<T, width> load_pack(const T* at) {
    Pack<T, width> pack;
    emulation::checkAligned(at, alignof(Pack<T, width>));
    memcpy(&pack, at, sizeof pack);
    return pack;
  }
  template <class T, int width> static void store_pack(T* at, Pack<T, width> pack) {
    emulation::checkAligned(at, alignof(Pack<T, width>));
    memcpy(at, &pack, sizeof pack);
  }

  namespace emulation {

  /// What each lane of the warp shows to the others, between two meetings of all of them.
  static const void* shown[mostThreads];
  template <class Body> static void together(const void* mine, int line, Body body) {
    shown[current] = mine;
    meet(0xffffffffu, 0, none, 0, line);
    body(shown + current / 32 * 32, current % 32);
    meet(0xffffffffu, 1, none, 0, line);
  }

  }  // namespace emulation

  template <bool transposed> static void load_matrices(unsigned (&to)[4], const void* row) {
    emulation::checkAligned(row, 16);
    emulation::together(row, -1, [&](const void** rows, int lane) {
      for (int matrix = 0; matrix < 4; matrix++) {
        unsigned short pair[2];
        for (int e = 0; e < 2; e++) {
          const int r = transposed ? lane % 4 * 2 + e : lane / 4, c = transposed ? lane / 4 : lane % 4 * 2 + e;
          pair[e] = ((const unsigned short*)rows[matrix * 8 + r])[c];
        }
        to[matrix] = pair[0] | (unsigned)pair[1] << 16;
      }
    });
  }
  static unsigned to_tf32(float a) {
    unsigned bits;
    memcpy(&bits, &a, 4);
    return a != a || (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
  }

  namespace emulation {

  struct Fragments { unsigned a[4], b[2]; };
  /// Term `l` of what a register file of fragments has for a row of the left operand, or a column of the right one.
  template <class T> static double term(unsigned bits, int half) {
    T element;
    element.bits = (unsigned short)(bits >> half * 16);
    return widen(element);
  }
  template <class T> static double left(const void** lanes, int row, int l) {
    const Fragments& lane = *(const Fragments*)lanes[row % 8 * 4 + l % 8 / 2];
    return term<T>(lane.a[row / 8 + l / 8 * 2], l % 2);
  }
  template <class T> static double right(const void** lanes, int column, int l) {
    return term<T>(((const Fragments*)lanes[column * 4 + l % 8 / 2])->b[l / 8], l % 2);
  }
  template <> double left<float>(const void** lanes, int row, int l) {
    float element;
    memcpy(&element, &((const Fragments*)lanes[row % 8 * 4 + l % 4])->a[row / 8 + l / 4 * 2], 4);
    return element;
  }
  template <> double right<float>(const void** lanes, int column, int l) {
    float element;
    memcpy(&element, &((const Fragments*)lanes[column * 4 + l % 4])->b[l / 4], 4);
    return element;
  }

  }  // namespace emulation

  template <class T> static void tensor_multiply(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], T) {
    emulation::Fragments mine;
    memcpy(mine.a, a, sizeof a);
    memcpy(mine.b, b, sizeof b);
    emulation::together(&mine, -2, [&](const void** lanes, int lane) {
      for (int e = 0; e < 4; e++) {
        const int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        double sum = d[e];
        for (int l = 0; l < (sizeof(T) == 2 ? 16 : 8); l++)
          sum += emulation::left<T>(lanes, row, l) * emulation::right<T>(lanes, column, l);
        d[e] = (float)sum;
      }
    });
  }

  """#
