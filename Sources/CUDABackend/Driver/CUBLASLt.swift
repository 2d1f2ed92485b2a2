import IR

/// NVIDIA's library of matrix products, loaded when it is first needed: the functions of `cublasLt.h` that we call, by name.
///
/// The descriptors are opaque handles, their attributes numbers with values in memory. One structure has a layout, the
/// result of the heuristic: 64 bytes of algorithm, 8 of its workspace, 4 of status, 24 that we do not read.
struct CUBLASLt: Sendable {
  typealias Status = Int32
  typealias Handle = OpaquePointer
  typealias Destroy = @convention(c) (Handle?) -> Status
  typealias SetAttribute = @convention(c) (Handle?, Int32, UnsafeRawPointer, Int) -> Status

  /// Bytes of `cublasLtMatmulHeuristicResult_t`, and where in it the fields stand.
  enum HeuristicResult {
    static let bytes = 96
    static let algorithmBytes = 64
    static let workspaceAt = 64
    static let statusAt = 72
  }

  /// `cudaDataType`.
  static func code(of dtype: DType) -> Int32? {
    switch dtype {
    case .f32: 0
    case .f16: 2
    case .bf16: 14
    case .i32, .i64, .u8, .bool: nil
    }
  }
  /// `cublasComputeType_t`.
  enum Compute: Int32 { case f32 = 68, tf32 = 77 }
  /// `cublasLtMatrixLayoutAttribute_t`.
  enum LayoutAttribute: Int32 { case batchCount = 5, batchStride = 6 }
  /// `cublasLtMatmulDescAttributes_t`.
  enum ProductAttribute: Int32 { case transposesA = 3, transposesB = 4 }
  /// `cublasLtMatmulPreferenceAttributes_t`.
  enum Preference: Int32 {
    case workspaceBytes = 1, reductions = 3, alignmentA = 5, alignmentB = 6, alignmentC = 7, alignmentD = 8
  }
  /// `cublasLtReductionScheme_t`: parts of sums are added up out of place, in f32, always in one order.
  static let deterministicReduction: UInt32 = 2

  let version: @convention(c) () -> Int
  let create: @convention(c) (UnsafeMutablePointer<Handle?>) -> Status
  let destroy: Destroy
  /// Product, compute type, type of the factors.
  let productCreate: @convention(c) (UnsafeMutablePointer<Handle?>, Int32, Int32) -> Status
  let productDestroy: Destroy
  let productSet: SetAttribute
  /// Layout, element type, rows, columns, leading dimension.
  let layoutCreate: @convention(c) (UnsafeMutablePointer<Handle?>, Int32, UInt64, UInt64, Int64) -> Status
  let layoutDestroy: Destroy
  let layoutSet: SetAttribute
  let preferenceCreate: @convention(c) (UnsafeMutablePointer<Handle?>) -> Status
  let preferenceDestroy: Destroy
  let preferenceSet: SetAttribute
  /// Library, product, layouts of A, B, C, D, preference, how many to give, the results, how many were given.
  let heuristic:
    @convention(c) (
      Handle?, Handle?, Handle?, Handle?, Handle?, Handle?, Handle?, Int32, UnsafeMutableRawPointer,
      UnsafeMutablePointer<Int32>
    ) -> Status
  /// Library, product, alpha, A, B, beta, C, D, algorithm, workspace, stream; each matrix is an address and a layout.
  let multiply:
    @convention(c) (
      Handle?, Handle?, UnsafeRawPointer, UInt64, Handle?, UInt64, Handle?, UnsafeRawPointer, UInt64, Handle?, UInt64,
      Handle?, UnsafeRawPointer, UInt64, Int, Handle?
    ) -> Status

  /// Loads the library; throws in one sentence where there is none.
  init(from places: LibraryPlaces = .standard) throws(Diagnostic) {
    let names = ["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11", "libcublasLt.so"]
    guard let library = places.load(names, given: "CUBLASLT_PATH", prefix: "libcublasLt.so") else {
      throw Diagnostic(
        "no cuBLASLt is found, which multiplies matrices: set CUBLASLT_PATH to libcublasLt.so, or products are done by our own kernels")
    }
    func find<F>(_ name: String, as type: F.Type = F.self) throws(Diagnostic) -> F {
      guard let function = library.function(name, as: type) else {
        throw Diagnostic("libcublasLt lacks \(name): CUDA 11.4 or newer is wanted")
      }
      return function
    }
    version = try find("cublasLtGetVersion")
    create = try find("cublasLtCreate")
    destroy = try find("cublasLtDestroy")
    productCreate = try find("cublasLtMatmulDescCreate")
    productDestroy = try find("cublasLtMatmulDescDestroy")
    productSet = try find("cublasLtMatmulDescSetAttribute")
    layoutCreate = try find("cublasLtMatrixLayoutCreate")
    layoutDestroy = try find("cublasLtMatrixLayoutDestroy")
    layoutSet = try find("cublasLtMatrixLayoutSetAttribute")
    preferenceCreate = try find("cublasLtMatmulPreferenceCreate")
    preferenceDestroy = try find("cublasLtMatmulPreferenceDestroy")
    preferenceSet = try find("cublasLtMatmulPreferenceSetAttribute")
    heuristic = try find("cublasLtMatmulAlgoGetHeuristic")
    multiply = try find("cublasLtMatmul")
  }

  /// Throws what went wrong.
  func check(_ status: Status, _ what: @autoclosure () -> String) throws(Diagnostic) {
    guard status != 0 else { return }
    throw Diagnostic("cuBLASLt cannot \(what()): \(CUBLASLt.reason(status))")
  }

  /// `cublasStatus_t` in words.
  private static func reason(_ status: Status) -> String {
    switch status {
    case 1: "it is not initialized"
    case 3: "it gets no memory"
    case 7: "a value is invalid"
    case 8: "the GPU lacks a feature"
    case 11: "memory is not mapped"
    case 13: "the GPU failed"
    case 14: "an internal operation failed"
    case 15: "it is not supported"
    default: "error \(status)"
    }
  }
}
