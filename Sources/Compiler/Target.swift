import IR

/// What a program is compiled for.
public enum CompileTarget: String, CaseIterable, Sendable {
  /// The unoptimised program, operation by operation in double precision: the truth.
  case interpreter
  /// Machine code for this processor.
  case cpu
  /// CUDA text, executed by this processor under CUDA's execution model; slow, for checking.
  case emulatedCUDA = "cuda-emulated"
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

  public init(
    threads: Int? = nil, cacheDirectory: String? = CompileOptions.defaultCacheDirectory, without: Set<String> = [],
    rewriteLimit: Int = .max, verifiesEach: Bool = false
  ) {
    self.threads = threads
    self.cacheDirectory = cacheDirectory
    self.without = without
    self.rewriteLimit = rewriteLimit
    self.verifiesEach = verifiesEach
  }
}
