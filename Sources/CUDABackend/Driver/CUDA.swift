import IR

/// The CUDA driver, loaded when it is first needed: the functions of `cuda.h` that we call, by name.
///
/// Only the calls; `CUDADevice`, `CUDAMemory`, `CUDAModule` and `CUDAStream` own what the calls make.
struct CUDA: Sendable {
  typealias Status = Int32
  typealias Device = Int32
  typealias Address = UInt64
  typealias Handle = OpaquePointer
  typealias New = @convention(c) (UnsafeMutablePointer<Handle?>) -> Status
  typealias NewWithFlags = @convention(c) (UnsafeMutablePointer<Handle?>, UInt32) -> Status
  typealias Call = @convention(c) (Handle?) -> Status

  let getErrorString: @convention(c) (Status, UnsafeMutablePointer<UnsafePointer<CChar>?>) -> Status
  let initialize: @convention(c) (UInt32) -> Status
  let driverVersion: @convention(c) (UnsafeMutablePointer<Int32>) -> Status

  let deviceCount: @convention(c) (UnsafeMutablePointer<Int32>) -> Status
  let deviceGet: @convention(c) (UnsafeMutablePointer<Device>, Int32) -> Status
  let deviceName: @convention(c) (UnsafeMutablePointer<CChar>, Int32, Device) -> Status
  let deviceMemory: @convention(c) (UnsafeMutablePointer<Int>, Device) -> Status
  let deviceAttribute: @convention(c) (UnsafeMutablePointer<Int32>, Int32, Device) -> Status

  let contextRetain: @convention(c) (UnsafeMutablePointer<Handle?>, Device) -> Status
  let contextRelease: @convention(c) (Device) -> Status
  let contextSetCurrent: Call
  let contextSynchronize: @convention(c) () -> Status

  let moduleLoad: @convention(c) (UnsafeMutablePointer<Handle?>, UnsafeRawPointer) -> Status
  let moduleUnload: Call
  let moduleFunction: @convention(c) (UnsafeMutablePointer<Handle?>, Handle, UnsafePointer<CChar>) -> Status
  let functionSetAttribute: @convention(c) (Handle, Int32, Int32) -> Status
  /// Function, grid, block, shared bytes, stream, parameters, extra.
  let launch:
    @convention(c) (
      Handle, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, Handle?,
      UnsafeMutablePointer<UnsafeMutableRawPointer?>?, UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Status

  let memoryInfo: @convention(c) (UnsafeMutablePointer<Int>, UnsafeMutablePointer<Int>) -> Status
  let allocate: @convention(c) (UnsafeMutablePointer<Address>, Int) -> Status
  let free: @convention(c) (Address) -> Status
  let allocateHost: @convention(c) (UnsafeMutablePointer<UnsafeMutableRawPointer?>, Int, UInt32) -> Status
  let freeHost: @convention(c) (UnsafeMutableRawPointer) -> Status
  let copyToDevice: @convention(c) (Address, UnsafeRawPointer, Int, Handle?) -> Status
  let copyToHost: @convention(c) (UnsafeMutableRawPointer, Address, Int, Handle?) -> Status
  let copyOnDevice: @convention(c) (Address, Address, Int, Handle?) -> Status
  let fill: @convention(c) (Address, UInt8, Int, Handle?) -> Status

  let streamCreate: NewWithFlags
  let streamDestroy: Call
  let streamSynchronize: Call
  let streamWait: @convention(c) (Handle?, Handle, UInt32) -> Status
  let streamBeginCapture: @convention(c) (Handle, UInt32) -> Status
  let streamEndCapture: @convention(c) (Handle, UnsafeMutablePointer<Handle?>) -> Status

  let eventCreate: NewWithFlags
  let eventDestroy: Call
  let eventRecord: @convention(c) (Handle, Handle?) -> Status
  let eventSynchronize: Call
  let eventMilliseconds: @convention(c) (UnsafeMutablePointer<Float>, Handle, Handle) -> Status

  let graphInstantiate: @convention(c) (UnsafeMutablePointer<Handle?>, Handle, UInt64) -> Status
  let graphLaunch: @convention(c) (Handle, Handle?) -> Status
  let graphDestroy: Call
  let graphExecutableDestroy: Call

  /// Loads and starts the driver; throws in one sentence where there is none.
  init(from places: LibraryPlaces) throws(Diagnostic) {
    let names = ["libcuda.so.1", "libcuda.so"]
    guard let library = places.load(names, given: "CUDA_DRIVER_PATH", prefix: "libcuda.so") else {
      throw Diagnostic(
        "no CUDA driver is found: libcuda.so.1, which comes with NVIDIA's display driver, does not load; "
          + "CUDA_DRIVER_PATH names one that stands elsewhere")
    }
    func find<F>(_ name: String, as type: F.Type = F.self) throws(Diagnostic) -> F {
      guard let function = library.function(name, as: type) else {
        throw Diagnostic("the CUDA driver is too old: it lacks \(name); driver 470 (CUDA 11.4) or newer is wanted")
      }
      return function
    }
    getErrorString = try find("cuGetErrorString")
    initialize = try find("cuInit")
    driverVersion = try find("cuDriverGetVersion")
    deviceCount = try find("cuDeviceGetCount")
    deviceGet = try find("cuDeviceGet")
    deviceName = try find("cuDeviceGetName")
    deviceMemory = try find("cuDeviceTotalMem_v2")
    deviceAttribute = try find("cuDeviceGetAttribute")
    contextRetain = try find("cuDevicePrimaryCtxRetain")
    contextRelease = try find("cuDevicePrimaryCtxRelease_v2")
    contextSetCurrent = try find("cuCtxSetCurrent")
    contextSynchronize = try find("cuCtxSynchronize")
    moduleLoad = try find("cuModuleLoadData")
    moduleUnload = try find("cuModuleUnload")
    moduleFunction = try find("cuModuleGetFunction")
    functionSetAttribute = try find("cuFuncSetAttribute")
    launch = try find("cuLaunchKernel")
    memoryInfo = try find("cuMemGetInfo_v2")
    allocate = try find("cuMemAlloc_v2")
    free = try find("cuMemFree_v2")
    allocateHost = try find("cuMemHostAlloc")
    freeHost = try find("cuMemFreeHost")
    copyToDevice = try find("cuMemcpyHtoDAsync_v2")
    copyToHost = try find("cuMemcpyDtoHAsync_v2")
    copyOnDevice = try find("cuMemcpyDtoDAsync_v2")
    fill = try find("cuMemsetD8Async")
    streamCreate = try find("cuStreamCreate")
    streamDestroy = try find("cuStreamDestroy_v2")
    streamSynchronize = try find("cuStreamSynchronize")
    streamWait = try find("cuStreamWaitEvent")
    streamBeginCapture = try find("cuStreamBeginCapture_v2")
    streamEndCapture = try find("cuStreamEndCapture")
    eventCreate = try find("cuEventCreate")
    eventDestroy = try find("cuEventDestroy_v2")
    eventRecord = try find("cuEventRecord")
    eventSynchronize = try find("cuEventSynchronize")
    eventMilliseconds = try find("cuEventElapsedTime")
    graphInstantiate = try find("cuGraphInstantiateWithFlags")
    graphLaunch = try find("cuGraphLaunch")
    graphDestroy = try find("cuGraphDestroy")
    graphExecutableDestroy = try find("cuGraphExecDestroy")
    try check(initialize(0), "start the driver")
  }

  /// Throws what went wrong, in the driver's words.
  func check(_ status: Status, _ what: @autoclosure () -> String) throws(Diagnostic) {
    guard status != 0 else { return }
    var text: UnsafePointer<CChar>?
    let known = getErrorString(status, &text) == 0
    let why = known ? text.map { String(cString: $0) } : nil
    throw Diagnostic("CUDA cannot \(what()): \(why ?? "error \(status)")")
  }

  /// The handle that a call made.
  func made(_ what: String, _ call: (UnsafeMutablePointer<Handle?>) -> Status) throws(Diagnostic) -> Handle {
    var handle: Handle?
    try check(call(&handle), what)
    guard let handle else { throw Diagnostic("CUDA cannot \(what): the driver gives nothing") }
    return handle
  }
}
