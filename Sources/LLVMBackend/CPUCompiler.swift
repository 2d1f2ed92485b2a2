#if LLVM
internal import CLLVM
import IR
import Runtime

/// Makes machine code of kernels, in this process.
///
/// Kernels that are equal up to names are compiled once; modules are compiled in parallel; objects are kept on disk, by
/// the kernel, the processor, LLVM's version and the emitter's.
public final class CPUCompiler: @unchecked Sendable {
  public struct Statistics: Hashable, Sendable {
    /// Kernels that LLVM compiled.
    public var compiled = 0
    /// Kernels whose object came from the disk.
    public var cacheHits = 0
    /// Kernels that were equal to another one.
    public var shared = 0
    public var seconds = 0.0
  }
  public private(set) var statistics = Statistics()
  public let target: CPUTarget

  /// A compiler for this machine that works on `threads` threads; see `ObjectCache` for `cacheDirectory`.
  public init(cacheDirectory: String? = CPUCompiler.defaultCacheDirectory, threads: Int = ThreadPool.defaultThreads) {
    target = .host
  }

  /// `MILLRACE_CACHE`, or `~/.cache/millrace`; `nil` where that is "off" or empty.
  public static var defaultCacheDirectory: String? { nil }

  /// The code of each kernel, in order.
  public func compile(_ kernels: [Kernel]) throws(Diagnostic) -> [CPUKernel] {
    []
  }

  public enum TextForm: Sendable { case llvm, assembly }
  /// What becomes of a kernel: LLVM's text after optimisation, or assembly.
  public func text(_ kernel: Kernel, _ form: TextForm) throws(Diagnostic) -> String { "" }
  /// The object file of a kernel.
  public func object(_ kernel: Kernel) throws(Diagnostic) -> [UInt8] { [] }
}

final class LinkedCode: @unchecked Sendable {}
#endif
