import CUDABackend
import IR
import Passes

extension LoweredProgram {
  /// The kernels, each with the way it is spread over threads.
  public func mapped(within limits: ThreadLimits = ThreadLimits()) throws(Diagnostic) -> [(kernel: Kernel, mapping: ThreadMapping)] {
    var mapped: [(kernel: Kernel, mapping: ThreadMapping)] = []
    for kernel in module.kernels {
      do throws(Violation) { mapped.append((kernel, try mapToThreads(kernel, within: limits))) } catch {
        throw Diagnostic("kernel @\(kernel.name) cannot be spread over threads: \(error.message)")
      }
    }
    return mapped
  }

  /// The kernels as CUDA C++.
  public func cuda() throws(Diagnostic) -> CUDAProgram {
    let mapped = try mapped()
    do throws(Violation) { return try CUDAProgram(mapped) } catch { throw Diagnostic(error.message) }
  }
}

extension ThreadLimits {
  /// What a GPU has, where that is less than what is counted on.
  init(of device: CUDADevice) {
    self.init()
    sharedBytes = min(sharedBytes, device.sharedBytesPerBlock)
    sharedBytesOfProducts = min(sharedBytesOfProducts, device.sharedBytesPerBlock)
    // A multiprocessor has 1 KiB more than its largest block.
    sharedOfMultiprocessor = min(sharedOfMultiprocessor, device.sharedBytesPerBlock + (1 << 10))
    multiprocessors = device.multiprocessors
  }
}
