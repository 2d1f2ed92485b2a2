import IR

/// A device that runs the kernels of one program: a GPU, or this processor in its place.
///
/// Work is put into one queue and done in its order, later than the call returns; `synchronize` waits for it. What fails
/// on the way is thrown by the call that learns of it, and from then on by every call: what stands behind it in the queue
/// was not done. Calls come from one thread at a time.
public protocol DeviceQueue: AnyObject {
  /// The device, as errors name it.
  var deviceName: String { get }
  /// Bytes of device memory that launches need besides the buffers of their kernels.
  var scratchBytes: Int { get }
  /// Bytes of device memory that are free now; `nil` where only trying tells.
  func freeBytes() throws(Diagnostic) -> Int?

  /// Device memory, full of zeros.
  func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory
  /// Host memory that the device copies from and to while the host does something else.
  func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory

  /// Copies to the device; the host memory must keep its content until the queue got there.
  func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic)
  /// Copies from the device; the bytes are there when the queue got there.
  func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic)
  /// Copies on the device.
  func copy(from source: UInt64, to target: UInt64, bytes: Int) throws(Diagnostic)
  /// Runs kernel `number` of the program on the buffers at `addresses`: inputs, outputs and workspace in the kernel's
  /// order. At `scratch` are `scratchBytes` that nothing else uses.
  func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64) throws(Diagnostic)

  /// A mark that can be set in the queue.
  func makeMark() throws(Diagnostic) -> any QueueMark
  /// Waits until all is done that was put into the queue.
  func synchronize() throws(Diagnostic)
  /// What `body` puts into the queue, copies on the device and launches, as one piece of work. Nothing of it is done yet.
  func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork
}

/// A place in a queue.
public protocol QueueMark: AnyObject {
  /// Sets the mark behind all that is in the queue.
  func set() throws(Diagnostic)
  /// Waits until the queue got there; does nothing if the mark was never set.
  func wait() throws(Diagnostic)
  /// Seconds of the device from another mark to this one; the queue has come past both.
  func seconds(since start: any QueueMark) throws(Diagnostic) -> Double
}

/// Work that a queue has recorded.
public protocol RecordedWork: AnyObject {
  /// Puts it into the queue once more.
  func replay() throws(Diagnostic)
}

/// Memory of a device.
public struct DeviceMemory {
  public let address: UInt64
  public let bytes: Int
  /// Keeps the memory.
  private let owner: AnyObject

  public init(address: UInt64, bytes: Int, owner: AnyObject) {
    (self.address, self.bytes, self.owner) = (address, bytes, owner)
  }
}

/// Host memory for copies.
public struct DeviceHostMemory {
  public let bytes: UnsafeMutableRawBufferPointer
  /// Keeps the memory.
  private let owner: AnyObject

  public init(bytes: UnsafeMutableRawBufferPointer, owner: AnyObject) {
    (self.bytes, self.owner) = (bytes, owner)
  }
}
