import IR

/// Machine code on a GPU.
public final class CUDAModule: @unchecked Sendable {
  public let device: CUDADevice
  private let handle: CUDA.Handle

  /// Loads what `NVRTC` compiled.
  public init(_ code: [UInt8], on device: CUDADevice) throws(Diagnostic) {
    try device.makeCurrent()
    handle = try device.driver.made("load code on \(device.name)") { result in
      code.withUnsafeBytes { bytes in
        guard let base = bytes.baseAddress else { return 1 }
        return device.driver.moduleLoad(result, base)
      }
    }
    self.device = device
  }

  deinit {
    if (try? device.makeCurrent()) != nil { _ = device.driver.moduleUnload(handle) }
  }

  /// A function, ready for launches with so much shared memory.
  public func function(_ name: String, sharedBytes: Int) throws(Diagnostic) -> CUDAFunction {
    try device.makeCurrent()
    let function = try device.driver.made("find \(name)") { device.driver.moduleFunction($0, handle, name) }
    guard sharedBytes <= device.sharedBytesPerBlock else {
      throw Diagnostic(
        "\(name) wants \(sharedBytes) bytes of shared memory, \(device.name) has \(device.sharedBytesPerBlock) a block")
    }
    // More than 48 KiB has to be asked for.
    if sharedBytes > 48 << 10 {
      let maximumSharedBytes: Int32 = 8
      try device.driver.check(
        device.driver.functionSetAttribute(function, maximumSharedBytes, Int32(sharedBytes)),
        "give \(name) \(sharedBytes) bytes of shared memory")
    }
    return CUDAFunction(module: self, name: name, handle: function, sharedBytes: sharedBytes)
  }
}

/// A function of a module.
public struct CUDAFunction: @unchecked Sendable {
  /// Keeps the code on the GPU.
  private let module: CUDAModule
  public let name: String
  private let handle: CUDA.Handle
  private let sharedBytes: Int

  fileprivate init(module: CUDAModule, name: String, handle: CUDA.Handle, sharedBytes: Int) {
    (self.module, self.name, self.handle, self.sharedBytes) = (module, name, handle, sharedBytes)
  }

  /// Puts a launch into a stream; the function takes addresses.
  public func launch(
    grid: Int, block: Int, _ addresses: [UInt64], on stream: CUDAStream
  ) throws(Diagnostic) {
    guard grid > 0 else { return }
    guard grid <= Int(Int32.max), (1...1024).contains(block) else {
      throw Diagnostic("a launch of \(name) with \(grid) blocks of \(block) threads")
    }
    let driver = module.device.driver
    try module.device.makeCurrent()
    var addresses = addresses
    let status = addresses.withUnsafeMutableBufferPointer { values in
      // The driver takes where each argument stands, and copies them.
      var places = values.indices.map { number -> UnsafeMutableRawPointer? in
        values.baseAddress.map { UnsafeMutableRawPointer($0 + number) }
      }
      return driver.launch(
        handle, UInt32(grid), 1, 1, UInt32(block), 1, 1, UInt32(sharedBytes), stream.handle, &places, nil)
    }
    try driver.check(status, "launch \(name)")
  }
}
