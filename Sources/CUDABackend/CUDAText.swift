import IR

/// A kernel as CUDA C++: a function for each stage, and how they are launched, one after the other.
public struct CUDAText: Hashable, Sendable {
  /// The functions, without the device library they call.
  public var functions: String
  public var launches: [Launch]
  /// Bytes of global memory that the launches need besides the buffers of the kernel.
  public var scratchBytes: Int { launches.map(\.scratchBytes).max() ?? 0 }

  /// The start of one stage.
  public struct Launch: Hashable, Sendable {
    public var function: String
    /// Blocks, 0 if there is nothing to do, and threads of each.
    public var grid: Int
    public var block: Int
    public var sharedBytes: Int
    public var scratchBytes: Int
    /// The pointers the function takes.
    public var arguments: [Argument]
    /// Whether threads wait for each other or for copies, or shuffle.
    public var isCooperative: Bool
    /// The same, done by a library of matrix products, where there is one.
    public var library: LibraryProduct?
  }

  public enum Argument: Hashable, Sendable {
    case buffer(BufferID)
    case scratch
  }
}

/// Where the buffers of a kernel, locals aside, and the scratch memory stand on a device.
struct DevicePlaces {
  private var buffers: [Int: UInt64] = [:]
  private let scratch: UInt64

  /// - Parameter addresses: those of inputs, outputs and workspace in the kernel's order.
  init(of kernel: Kernel, at addresses: [UInt64], scratch: UInt64) throws(Diagnostic) {
    let passed = kernel.buffers.indices.filter { kernel.buffers[$0].role != .local }
    guard addresses.count == passed.count else {
      throw Diagnostic("kernel '\(kernel.name)' takes \(passed.count) buffers, got \(addresses.count)")
    }
    for (buffer, address) in zip(passed, addresses) { buffers[buffer] = address }
    self.scratch = scratch
  }

  subscript(buffer: BufferID) -> UInt64 { buffers[buffer.index] ?? 0 }
  subscript(argument: CUDAText.Argument) -> UInt64 {
    switch argument {
    case .buffer(let id): self[id]
    case .scratch: scratch
    }
  }
}

/// Kernels as one text that NVRTC compiles.
public struct CUDAProgram: Hashable, Sendable {
  public private(set) var kernels: [CUDAText] = []

  /// Emits kernels with the mappings that go with them.
  ///
  /// - Parameter isLeftOut: whether a stage of a kernel is done in another way, so that nobody needs its function.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)],
    where isLeftOut: (_ kernel: Int, _ stage: Int) -> Bool = { _, _ in false }
  ) throws(Violation) {
    for (number, item) in kernels.enumerated() {
      let leftOut = Set(item.mapping.stages.indices.filter { isLeftOut(number, $0) })
      self.kernels.append(
        try CUDAEmitter.emit(item.kernel, as: item.mapping, prefix: "k\(number)_", leavingOut: leftOut))
    }
  }

  /// Bytes of global memory that launches need besides the buffers of their kernels, one after the other.
  public var scratchBytes: Int { kernels.map(\.scratchBytes).max() ?? 0 }

  /// The whole text.
  public var text: String { text(of: kernels.indices) }

  /// The kernels in pieces that are compiled each by itself: a piece ends where it has `bytes` of text.
  func pieces(of bytes: Int) -> [Range<Int>] {
    var pieces: [Range<Int>] = []
    var (first, count) = (0, 0)
    for (number, kernel) in kernels.enumerated() {
      count += kernel.functions.utf8.count
      if count >= bytes || number == kernels.count - 1 {
        pieces.append(first..<number + 1)
        (first, count) = (number + 1, 0)
      }
    }
    return pieces
  }

  /// The text of some kernels, which compiles by itself.
  public func text(of numbers: Range<Int>) -> String {
    let functions = kernels[numbers].map { "\n" + $0.functions }.joined()
    return deviceLibrary + (functions.contains("warpgroup_tile<") ? warpgroupLibrary : "") + functions
  }
}
