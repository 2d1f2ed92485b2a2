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
    /// Whether threads wait for each other or shuffle.
    public var isCooperative: Bool
    /// The same, done by a library of matrix products, where there is one.
    public var library: LibraryProduct?
  }

  public enum Argument: Hashable, Sendable {
    case buffer(BufferID)
    case scratch
  }
}

/// Kernels as one text that NVRTC compiles.
public struct CUDAProgram: Hashable, Sendable {
  public private(set) var kernels: [CUDAText] = []

  /// Emits kernels with the mappings that go with them.
  public init(_ kernels: [(kernel: Kernel, mapping: ThreadMapping)]) throws(Violation) {
    for (number, item) in kernels.enumerated() {
      self.kernels.append(try CUDAEmitter.emit(item.kernel, as: item.mapping, prefix: "k\(number)_"))
    }
  }

  /// The whole text.
  public var text: String { deviceLibrary + kernels.map { "\n" + $0.functions }.joined() }
}
