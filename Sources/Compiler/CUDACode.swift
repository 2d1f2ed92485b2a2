import CUDABackend
import IR
import Passes
import Runtime

extension Module {
  /// The kernels, each with the way it is spread over threads; several are looked at at once.
  public func mapped(
    within limits: ThreadLimits = ThreadLimits()
  ) throws(Diagnostic) -> [(kernel: Kernel, mapping: ThreadMapping)] {
    let pool = ThreadPool(threads: min(kernels.count, ThreadPool.defaultThreads))
    return try pool.map(kernels) { (kernel) throws(Diagnostic) in
      do throws(Violation) { return (kernel: kernel, mapping: try mapToThreads(kernel, within: limits)) } catch {
        throw Diagnostic("kernel @\(kernel.name) cannot be spread over threads: \(error.message)")
      }
    }
  }
}

extension LoweredProgram {
  /// The kernels, each with the way it is spread over threads.
  public func mapped(
    within limits: ThreadLimits = ThreadLimits()
  ) throws(Diagnostic) -> [(kernel: Kernel, mapping: ThreadMapping)] { try module.mapped(within: limits) }

  /// The kernels as CUDA C++.
  public func cuda(for architecture: NVRTC.Architecture = .sm90) throws(Diagnostic) -> CUDAProgram {
    try CUDAProgram(mapped(within: ThreadLimits(for: architecture)))
  }
}

extension ThreadLimits {
  /// What the largest GPU of an architecture has.
  public init(for architecture: NVRTC.Architecture) {
    self.init()
    guard architecture == .sm80 else { return }
    hasWarpgroups = false
    (sharedBytes, sharedOfMultiprocessor, multiprocessors) = (163 << 10, 164 << 10, 108)
  }

  /// What a GPU has, where that is less than what is counted on.
  init(of device: CUDADevice) throws(Diagnostic) {
    self.init(for: try device.architecture())
    sharedBytes = min(sharedBytes, device.sharedBytesPerBlock)
    sharedBytesOfProducts = min(sharedBytesOfProducts, device.sharedBytesPerBlock)
    // A multiprocessor has 1 KiB more than its largest block.
    sharedOfMultiprocessor = min(sharedOfMultiprocessor, device.sharedBytesPerBlock + (1 << 10))
    multiprocessors = device.multiprocessors
  }
}
