/// Copies past the registers and tensor cores, for the emulation.
///
/// A copy arrives as late as it may: when its thread waits for it. Tensor cores multiply exactly and round each sum once.
/// Addresses that are not as aligned as the GPU wants them end the run.
let emulatedTensor = #"""
  #define MILLRACE_EMULATION

  namespace emulation {

  struct Copy { void* to; const void* from; int bytes, valid, group; };
  /// Copies of a thread in the order in which it asked for them.
  struct Copies {
    Copy* all;
    int count, room;
    void add(Copy copy) {
      if (count == room) all = (Copy*)realloc(all, sizeof(Copy) * (size_t)(room = room * 2 + 8));
      all[count++] = copy;
    }
    void drop(int first) { memmove(all, all + first, sizeof(Copy) * (size_t)(count -= first)); }
  };
  static Copies copies[mostThreads];
  static int groups[mostThreads];

  static void forgetCopies() {
    for (auto& pending : copies) pending.count = 0;
    memset(groups, 0, sizeof groups);
  }
  static bool hasCopies(int number) { return copies[number].count > 0; }
  static void checkAligned(const void* at, size_t bytes) {
    if ((size_t)at % bytes) fail("is at a place that is not as aligned as it says", current);
  }

  }  // namespace emulation

  template <int bytes> static void copy_async(void* to, const void* from, int valid) {
    emulation::checkAligned(to, bytes);
    emulation::checkAligned(from, bytes);
    emulation::copies[emulation::current].add({to, from, bytes, valid, emulation::groups[emulation::current]});
  }
  static void commit_copies() { emulation::groups[emulation::current]++; }
  template <int pending> static void wait_for_copies() {
    auto& copies = emulation::copies[emulation::current];
    int done = 0;
    while (done < copies.count && copies.all[done].group < emulation::groups[emulation::current] - pending) {
      const emulation::Copy& copy = copies.all[done++];
      memcpy(copy.to, copy.from, (size_t)copy.valid);
      memset((char*)copy.to + copy.valid, 0, (size_t)(copy.bytes - copy.valid));
    }
    copies.drop(done);
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
