/// Products of four warps (`wgmma`), for the emulation.
///
/// Each thread does its part of a product as late as it may: when it waits for it, from what then is in shared memory. It
/// reads that as a descriptor tells, in the layouts of the PTX ISA, sums exactly, and rounds once. Copies that a thread of
/// the block has not shown to the tensor cores end the run.
let emulatedWarpgroups = #"""

  namespace emulation {

  /// Element (`line`, `term`) of the matrix that a descriptor tells of: a row of the left operand, or a column of the right
  /// one. Turned, its lines in memory are those of a term.
  template <class T> static double element(unsigned long long descriptor, bool isTurned, int line, int term) {
    const unsigned start = (descriptor & 0x3fff) << 4, panel = (descriptor >> 16 & 0x3fff) << 4;
    const unsigned eightLines = (descriptor >> 32 & 0x3fff) << 4;
    const unsigned at = isTurned ? start + line / 64 * panel + line % 64 * 2 + term / 8 * eightLines + term % 8 * 128
                                 : start + line / 8 * eightLines + line % 8 * 128 + term * 2;
    T element;
    memcpy(&element.bits, shared + (at ^ (at >> 7 & 7) << 4), 2);
    return widen(element);
  }
  template <class T, int count, bool turnedA, bool turnedB> static void multiply(const Multiplication& task) {
    const int lane = current % 32, warp = current / 32 % 4;
    for (int e = 0; e < count; e++) {
      const int row = warp * 16 + lane / 4 + e % 4 / 2 * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;
      double sum = task.sums[e];
      for (int term = 0; term < 16; term++)
        sum += element<T>(task.a, turnedA, row, term) * element<T>(task.b, turnedB, column, term);
      task.sums[e] = (float)sum;
    }
  }

  }  // namespace emulation

  static unsigned shared_address(const void* at) { return (unsigned)((const unsigned char*)at - shared); }
  static void show_copies() { emulation::hides[emulation::current] = false; }
  static void begin_products() {}
  template <bool turnedA, bool turnedB, int count, class T>
  static void start_product(float (&sums)[count], unsigned long long a, unsigned long long b, T) {
    for (int number = 0; number < emulation::count; number++)
      if (emulation::hides[number]) emulation::fail("has copied what it does not show to the tensor cores", number);
    if (a >> 62 != 1 || b >> 62 != 1) emulation::fail("multiplies what has no 128-byte swizzling", emulation::current);
    auto* const run = emulation::multiply<T, count, turnedA, turnedB>;
    emulation::multiplications[emulation::current].add({run, a, b, sums, 0});
  }
  static void commit_products() { emulation::multiplications[emulation::current].group++; }
  template <int pending> static void wait_for_products() {
    emulation::multiplications[emulation::current].finish(
        pending, [](const emulation::Multiplication& task) { task.run(task); });
  }

  """#
