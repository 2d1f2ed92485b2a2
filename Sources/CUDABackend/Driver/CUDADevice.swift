import IR

/// A GPU and its context. Kept as long as anything on it.
public final class CUDADevice: @unchecked Sendable {
  public let number: Int
  public let name: String
  /// Bytes of its memory.
  public let memory: Int
  /// Such as 9.0.
  public let capability: (major: Int, minor: Int)
  public let multiprocessors: Int
  /// Bytes of shared memory a block may ask for.
  public let sharedBytesPerBlock: Int
  public let cacheBytes: Int
  /// Bits of the memory bus and its clock in kHz: the peak is twice their product. 0 where the driver does not say.
  public let memoryBus: (bits: Int, clock: Int)
  /// Where the libraries of CUDA were found.
  let places: LibraryPlaces
  let driver: CUDA
  private let device: CUDA.Device
  private let context: CUDA.Handle

  /// The GPU that programs run on: the first that the driver finds, opened once. `CUDA_VISIBLE_DEVICES` says which.
  public static func standard() throws(Diagnostic) -> CUDADevice { try first.get() }

  private static let first = Result { () throws(Diagnostic) in try CUDADevice() }

  /// How many GPUs there are.
  public static func count(from places: LibraryPlaces = .standard) throws(Diagnostic) -> Int {
    try count(try CUDA(from: places))
  }

  private static func count(_ driver: CUDA) throws(Diagnostic) -> Int {
    var count: Int32 = 0
    try driver.check(driver.deviceCount(&count), "count the GPUs")
    return Int(count)
  }

  /// The CUDA version that the driver knows, such as 12040 for 12.4.
  public static func driverVersion(from places: LibraryPlaces = .standard) throws(Diagnostic) -> Int {
    let driver = try CUDA(from: places)
    var version: Int32 = 0
    try driver.check(driver.driverVersion(&version), "tell its version")
    return Int(version)
  }

  /// GPU `number`, in the driver's order.
  public init(_ number: Int = 0, from places: LibraryPlaces = .standard) throws(Diagnostic) {
    let driver = try CUDA(from: places)
    let count = try CUDADevice.count(driver)
    guard (0..<count).contains(number) else {
      throw Diagnostic(count == 0 ? "the CUDA driver finds no GPU" : "there is no GPU \(number): the driver finds \(count)")
    }
    var device: CUDA.Device = 0
    try driver.check(driver.deviceGet(&device, Int32(number)), "find GPU \(number)")
    func attribute(_ code: Int32) throws(Diagnostic) -> Int {
      var value: Int32 = 0
      try driver.check(driver.deviceAttribute(&value, code, device), "tell attribute \(code) of GPU \(number)")
      return Int(value)
    }
    var text = [CChar](repeating: 0, count: 256)
    try driver.check(driver.deviceName(&text, Int32(text.count), device), "tell the name of GPU \(number)")
    name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    var bytes = 0
    try driver.check(driver.deviceMemory(&bytes, device), "tell the memory of GPU \(number)")
    memory = bytes
    // The numbers of CUdevice_attribute.
    capability = (try attribute(75), try attribute(76))
    multiprocessors = try attribute(16)
    sharedBytesPerBlock = try attribute(97)
    cacheBytes = try attribute(38)
    memoryBus = (try attribute(37), try attribute(36))
    context = try driver.made("open GPU \(number)") { driver.contextRetain($0, device) }
    (self.number, self.places, self.driver, self.device) = (number, places, driver, device)
    try makeCurrent()
  }

  deinit { _ = driver.contextRelease(device) }

  /// Binds the calling thread to this GPU; every thread that calls the driver does it first.
  public func makeCurrent() throws(Diagnostic) {
    try driver.check(driver.contextSetCurrent(context), "use GPU \(number)")
  }

  /// Waits until all is done that was asked of the GPU.
  public func synchronize() throws(Diagnostic) {
    try makeCurrent()
    try driver.check(driver.contextSynchronize(), "finish its work")
  }

  /// Bytes that are free now.
  public func freeMemory() throws(Diagnostic) -> Int {
    try makeCurrent()
    var (free, total) = (0, 0)
    try driver.check(driver.memoryInfo(&free, &total), "tell its free memory")
    return free
  }

  /// The newest architecture NVRTC is asked for that this GPU can run.
  public func architecture() throws(Diagnostic) -> NVRTC.Architecture {
    switch capability {
    case (9, _): return .sm90
    // Code for 8.0 runs on 8.6 and 8.9 as well.
    case (8, _): return .sm80
    default:
      throw Diagnostic("\(name) has compute capability \(capability.major).\(capability.minor); 8.0 to 9.x are supported")
    }
  }
}
