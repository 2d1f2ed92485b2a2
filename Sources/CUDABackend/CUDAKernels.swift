import CRuntime
import Foundation
import IR
import Runtime

/// Kernels compiled for a GPU and loaded on it. The twin of `EmulatedCUDA`, with addresses of GPU memory.
public final class CUDAKernels: @unchecked Sendable {
  public let program: CUDAProgram
  public let device: CUDADevice
  private let kernels: [Kernel]
  private let functions: [[CUDAFunction]]
  /// The stages that cuBLASLt does, where it is there.
  private let products: [[CUDAProduct?]]
  private let scratch: CUDAMemory

  /// Compiles kernels with the mappings that go with them; code is kept in `cacheDirectory`, if there is one.
  public init(
    _ kernels: [(kernel: Kernel, mapping: ThreadMapping)], on device: CUDADevice,
    cacheDirectory: String? = CacheDirectory.standard
  ) throws(Diagnostic) {
    let program: CUDAProgram
    do { program = try CUDAProgram(kernels) } catch { throw Diagnostic(error.message) }
    let module = try CUDAModule(CUDAKernels.code(of: program.text, for: device.architecture(), cacheDirectory), on: device)
    var functions: [[CUDAFunction]] = []
    for kernel in program.kernels {
      var stages: [CUDAFunction] = []
      for launch in kernel.launches {
        guard launch.sharedBytes <= device.sharedBytesPerBlock else {
          throw Diagnostic(
            "\(launch.function) wants \(launch.sharedBytes) bytes of shared memory, \(device.name) has \(device.sharedBytesPerBlock) a block")
        }
        stages.append(try module.function(launch.function, sharedBytes: launch.sharedBytes))
      }
      functions.append(stages)
    }
    products = try CUDAKernels.products(of: program, on: device)
    scratch = try CUDAMemory(bytes: program.kernels.map(\.scratchBytes).max() ?? 0, on: device)
    (self.program, self.device, self.kernels, self.functions) = (program, device, kernels.map(\.kernel), functions)
  }

  /// Puts a kernel into a stream; `addresses` are those of inputs, outputs and workspace in the kernel's order.
  /// Kernels of one program share the memory for large locals, so they belong in one stream.
  public func run(_ number: Int, _ addresses: [UInt64], on stream: CUDAStream) throws(Diagnostic) {
    let kernel = kernels[number]
    let passed = kernel.buffers.indices.filter { kernel.buffers[$0].role != .local }
    guard addresses.count == passed.count else {
      throw Diagnostic("kernel '\(kernel.name)' takes \(passed.count) buffers, got \(addresses.count)")
    }
    let byBuffer = Dictionary(uniqueKeysWithValues: zip(passed, addresses))
    for (stage, (launch, function)) in zip(program.kernels[number].launches, functions[number]).enumerated() {
      if let product = products[number][stage] {
        try product.run({ byBuffer[$0.index] ?? 0 }, on: stream)
        continue
      }
      let arguments = launch.arguments.map { argument -> UInt64 in
        switch argument {
        case .buffer(let id): byBuffer[id.index] ?? 0
        case .scratch: scratch.address
        }
      }
      try function.launch(grid: launch.grid, block: launch.block, arguments, on: stream)
    }
  }

  /// What cuBLASLt makes of the stages it can do; nothing where it is missing, for every stage has a function too.
  private static func products(of program: CUDAProgram, on device: CUDADevice) throws(Diagnostic) -> [[CUDAProduct?]] {
    let none = program.kernels.map { $0.launches.map { _ in CUDAProduct?.none } }
    guard program.kernels.contains(where: { $0.launches.contains { $0.library != nil } }) else { return none }
    guard let library = try? CUDAProducts(on: device) else { return none }
    var made = none
    for (number, kernel) in program.kernels.enumerated() {
      for (stage, launch) in kernel.launches.enumerated() {
        // What the library does not take, such as a matrix it finds badly aligned, our own kernel does.
        made[number][stage] = launch.library.flatMap { try? CUDAProduct($0, on: library) }
      }
    }
    return made
  }

  /// Machine code of a text, from the disk if it was compiled before.
  private static func code(
    of text: String, for architecture: NVRTC.Architecture, _ cacheDirectory: String?
  ) throws(Diagnostic) -> [UInt8] {
    let nvrtc = try NVRTC.load()
    guard let folder = cacheDirectory else { return try nvrtc.compile(text, for: architecture) }
    let key = sha256("\(nvrtc.version) \(architecture.rawValue)\n\(text)")
    let file = URL(fileURLWithPath: "\(folder)/cuda/\(key).cubin")
    if let found = try? Data(contentsOf: file) { return Array(found) }
    let code = try nvrtc.compile(text, for: architecture)
    // A cache that cannot be written costs time, nothing else.
    try? FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try? Data(code).write(to: file, options: .atomic)
    return code
  }
}

/// The SHA-256 of a text, in hexadecimal digits.
func sha256(_ text: String) -> String {
  let bytes = Array(text.utf8)
  var digest = [UInt8](repeating: 0, count: 32)
  millrace_sha256(bytes, bytes.count, &digest)
  return digest.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
