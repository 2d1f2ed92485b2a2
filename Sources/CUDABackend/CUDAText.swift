import IR
import Runtime

/// A kernel as CUDA C++: a function for each stage, and how they are launched, one after the other.
public struct CUDAText: Hashable, Sendable {
  /// The functions, without the device library they call; none for a stage that is left out.
  public var functions: [Function] = []
  public var launches: [Launch] = []
  /// All functions.
  public var text: String { functions.map(\.text).joined() }
  /// A stage as a function.
  public struct Function: Hashable, Sendable {
    public var name: String
    public var form: Form

    /// All of a function but its name: functions of one form are one.
    public struct Form: Hashable, Sendable {
      /// What it tells the compiler of its launches.
      var bounds: String
      var parameters: String
      var body: String
      var sharedBytes: Int
      /// Whether threads wait for each other or for copies, or shuffle.
      var isCooperative: Bool
      /// Products of matrices, each of which is a lot to compile.
      var products: Int
      var isOfWarpgroups: Bool
    }

    public var text: String {
      wrapped("extern \"C\" __global__ void \(form.bounds) \(name)(\(form.parameters)) {", indent: 0) + form.body + "}\n"
    }

    /// What compiling it takes, about: bytes of text, and what a function and a product are worth of them.
    var work: Int { form.body.utf8.count + 2 << 10 + form.products * 12 << 10 }
  }

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
  /// The functions of all stages. Stages that differ in nothing but names share one: many sums of pieces do, and updates of
  /// parameters.
  public private(set) var functions: [CUDAText.Function] = []
  /// The launches of each kernel, which name the functions.
  public private(set) var kernels: [[CUDAText.Launch]] = []

  /// Emits kernels with the mappings that go with them.
  ///
  /// - Parameter isLeftOut: whether a stage of a kernel is done in another way, so that nobody needs its function.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)],
    where isLeftOut: (_ kernel: Int, _ stage: Int) -> Bool = { _, _ in false }
  ) throws(Diagnostic) {
    var names: [CUDAText.Function.Form: String] = [:]
    let leftOut = kernels.enumerated().map { number, item in
      Set(item.mapping.stages.indices.filter { isLeftOut(number, $0) })
    }
    let pool = ThreadPool(threads: min(kernels.count, ThreadPool.defaultThreads))
    let texts = try pool.map(Array(kernels.indices)) { (number) throws(Diagnostic) in
      let (kernel, mapping) = kernels[number]
      do throws(Violation) {
        return try CUDAEmitter.emit(kernel, as: mapping, prefix: "k\(number)_", leavingOut: leftOut[number])
      } catch { throw Diagnostic(error.message) }
    }
    for text in texts {
      var shared: [String: String] = [:]
      for function in text.functions {
        if let known = names[function.form] {
          shared[function.name] = known
        } else {
          names[function.form] = function.name
          functions.append(function)
        }
      }
      self.kernels.append(
        text.launches.map { launch in
          var launch = launch
          launch.function = shared[launch.function] ?? launch.function
          return launch
        })
    }
  }

  /// Bytes of global memory that a kernel's launches need besides its buffers, one after the other.
  public func scratchBytes(of kernel: Int) -> Int { kernels[kernel].map(\.scratchBytes).max() ?? 0 }

  /// Bytes that suffice for every kernel.
  public var scratchBytes: Int { kernels.indices.map(scratchBytes).max() ?? 0 }

  /// The whole text.
  public var text: String { text(of: Array(functions.indices)) }

  /// The functions in pieces that are compiled each by itself, those that take longest first: each piece is a part of what is
  /// left for all threads, so that the last ones are small and no thread has much to do when the others are done.
  ///
  /// - Parameter least: the work that is worth a piece.
  func pieces(for threads: Int, of least: Int) -> [[Int]] {
    var left = functions.reduce(0) { $0 + $1.work }
    var pieces: [[Int]] = []
    var (piece, work, wanted) = ([Int](), 0, max(left / (2 * threads), least))
    for number in functions.indices.sorted(by: { (functions[$1].work, $0) < (functions[$0].work, $1) }) {
      piece.append(number)
      work += functions[number].work
      guard work >= wanted else { continue }
      pieces.append(piece.sorted())
      left -= work
      (piece, work, wanted) = ([], 0, max(left / (2 * threads), least))
    }
    return piece.isEmpty ? pieces : pieces + [piece.sorted()]
  }

  /// The text of some functions, which compiles by itself.
  public func text(of numbers: [Int]) -> String {
    let needsWarpgroups = numbers.contains { functions[$0].form.isOfWarpgroups }
    return deviceLibrary + (needsWarpgroups ? warpgroupLibrary : "") + numbers.map { "\n" + functions[$0].text }.joined()
  }
}
