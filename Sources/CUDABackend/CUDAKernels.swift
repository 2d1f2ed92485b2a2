import IR
import Runtime

/// Kernels compiled for a GPU and loaded on it. The twin of `EmulatedCUDA`, with addresses of GPU memory.
public final class CUDAKernels: @unchecked Sendable {
  public let program: CUDAProgram
  public let device: CUDADevice
  private let kernels: [Kernel]
  private let functions: [String: CUDAFunction]
  /// The stages that cuBLASLt does, where it is there.
  private let products: [[CUDAProduct?]]

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], on device: CUDADevice,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    let products = try CUDAKernels.products(of: kernels.map(\.mapping), on: device)
    let program = try CUDAProgram(kernels) { products[$0][$1] != nil }
    var functions: [String: CUDAFunction] = [:]
    let compiler = kernels.isEmpty ? nil : try CUDACompiler(
      for: device.architecture(), from: device.places, cacheDirectory: cacheDirectory)
    for piece in try compiler?.compile(program) ?? [] {
      let module = try CUDAModule(piece.code, on: device)
      for function in piece.functions.map({ program.functions[$0] }) {
        functions[function.name] = try module.function(function.name, sharedBytes: function.form.sharedBytes)
      }
    }
    self.products = products
    (self.program, self.device, self.kernels, self.functions) = (program, device, kernels.map(\.kernel), functions)
  }

  /// Bytes of memory that the kernels need besides their buffers: each its own scratch, or what a product adds up in.
  public var scratchBytes: Int { kernels.indices.map(scratchBytes).max() ?? 0 }

  /// How many of them a kernel needs.
  public func scratchBytes(of number: Int) -> Int {
    max(program.scratchBytes(of: number), products[number].compactMap { $0?.workspaceBytes }.max() ?? 0)
  }

  /// Puts a kernel into a stream; `addresses` are those of inputs, outputs and workspace in the kernel's order, and at
  /// `scratch`, a multiple of 256, are `scratchBytes` for it. Kernels that share scratch memory wait for each other.
  public func run(_ number: Int, _ addresses: [UInt64], scratch: UInt64, on stream: CUDAStream) throws(Diagnostic) {
    let places = try DevicePlaces(of: kernels[number], at: addresses, scratch: scratch)
    for (stage, launch) in program.kernels[number].enumerated() {
      if let product = products[number][stage] {
        try product.run({ places[$0] }, workspace: scratch, on: stream)
      } else if let function = functions[launch.function] {
        try function.launch(grid: launch.grid, block: launch.block, launch.arguments.map { places[$0] }, on: stream)
      } else {
        throw Diagnostic("kernel '\(kernels[number].name)' has no machine code of '\(launch.function)'")
      }
    }
  }

  /// What cuBLASLt makes of the stages it can do; nothing where it is missing, for then tiles of our own do them.
  private static func products(
    of mappings: [ThreadMapping], on device: CUDADevice
  ) throws(Diagnostic) -> [[CUDAProduct?]] {
    let none = mappings.map { $0.stages.map { _ in CUDAProduct?.none } }
    guard mappings.contains(where: { $0.stages.contains { $0.library != nil } }) else { return none }
    guard let library = try? CUDAProducts(on: device) else { return none }
    // What the library does not take, such as a matrix it finds badly aligned, our own tiles do as well.
    return mappings.map { mapping in
      mapping.stages.map { stage in stage.library.flatMap { try? CUDAProduct($0, on: library) } }
    }
  }
}
