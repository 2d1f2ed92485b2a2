import IR
import Runtime

/// Kernels compiled for a GPU and loaded on it. The twin of `EmulatedCUDA`, with addresses of GPU memory.
public final class CUDAKernels: @unchecked Sendable {
  public let program: CUDAProgram
  public let device: CUDADevice
  private let kernels: [Kernel]
  private let functions: [[CUDAFunction]]

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], on device: CUDADevice,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    let program: CUDAProgram
    do { program = try CUDAProgram(kernels) } catch { throw Diagnostic(error.message) }
    var functions: [[CUDAFunction]] = []
    let compiler = kernels.isEmpty ? nil : try CUDACompiler(for: device.architecture(), cacheDirectory: cacheDirectory)
    // The pieces stand in the order of the kernels.
    for piece in try compiler?.compile(program) ?? [] {
      let module = try CUDAModule(piece.code, on: device)
      for number in piece.kernels {
        functions.append(try program.kernels[number].launches.map { (launch) throws(Diagnostic) in
          try module.function(launch.function, sharedBytes: launch.sharedBytes)
        })
      }
    }
    (self.program, self.device, self.kernels, self.functions) = (program, device, kernels.map(\.kernel), functions)
  }

  /// Bytes of memory that the kernels need besides their buffers.
  public var scratchBytes: Int { program.scratchBytes }

  /// Puts a kernel into a stream; `addresses` are those of inputs, outputs and workspace in the kernel's order, and at
  /// `scratch` are `scratchBytes` for it. Kernels that share scratch memory belong in one stream.
  public func run(_ number: Int, _ addresses: [UInt64], scratch: UInt64, on stream: CUDAStream) throws(Diagnostic) {
    for (launch, function) in zip(program.kernels[number].launches, functions[number]) {
      let arguments = try launch.addresses(in: kernels[number], addresses, scratch: scratch)
      try function.launch(grid: launch.grid, block: launch.block, arguments, on: stream)
    }
  }
}
