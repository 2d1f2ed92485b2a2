import CUDABackend
import IR

/// What a program is compiled for.
public enum CompileTarget: String, CaseIterable, Sendable {
  /// The unoptimised program, operation by operation in double precision: the truth.
  case interpreter
  /// Machine code for this processor.
  case cpu
  /// CUDA text, compiled for the GPU of this machine.
  case cuda
  /// CUDA text, executed by this processor under CUDA's execution model; slow, for checking.
  case emulatedCUDA = "cuda-emulated"
}

extension CompileTarget {
  /// Throws, in one sentence, if nothing can be compiled for this target here.
  public func checkAvailable() throws(Diagnostic) {
    switch self {
    case .interpreter, .emulatedCUDA: break
    case .cpu:
      #if !LLVM
        throw Diagnostic("this build has no CPU backend: it was made without the package trait LLVM")
      #endif
    case .cuda:
      _ = try CUDADevice.standard().architecture()
      _ = try NVRTC.load()
    }
  }

  /// Whether `run` returns before the program has run.
  public var isAsynchronous: Bool {
    switch self {
    case .interpreter, .cpu: false
    case .cuda, .emulatedCUDA: true
    }
  }

  /// Whether programs can be compiled for this target here.
  public var isAvailable: Bool {
    do throws(Diagnostic) {
      try checkAvailable()
      return true
    } catch { return false }
  }
}

/// How a program is compiled.
public struct CompileOptions: Sendable {
  /// What products of matrices are computed in.
  public var precision = Precision.f32
  /// Threads that run kernels; `nil` for all cores, or `MILLRACE_THREADS`.
  public var threads: Int?
  /// Where compiled kernels are kept between processes; `nil` keeps none.
  public var cacheDirectory: String?
  /// Names of optional passes to leave out.
  public var without: Set<String>
  /// Rewrites allowed in all passes together.
  public var rewriteLimit: Int
  /// Checks the program after each pass.
  public var verifiesEach: Bool
  /// Bytes of a GPU's memory that a program may take; `nil` for all that is free.
  public var deviceMemoryLimit: Int?
  /// On a GPU: waits after every launch of every run, so that a fault is told with its kernel and model line.
  public var checksLaunches: Bool
  /// Is given every program that came through the passes.
  public var inspect: (@Sendable (LoweredProgram) -> Void)?

  public init(
    threads: Int? = nil, cacheDirectory: String? = CompileOptions.defaultCacheDirectory, without: Set<String> = [],
    rewriteLimit: Int = .max, verifiesEach: Bool = false, deviceMemoryLimit: Int? = nil, checksLaunches: Bool = false
  ) {
    self.threads = threads
    self.cacheDirectory = cacheDirectory
    self.without = without
    self.rewriteLimit = rewriteLimit
    self.verifiesEach = verifiesEach
    self.deviceMemoryLimit = deviceMemoryLimit
    self.checksLaunches = checksLaunches
  }
}
