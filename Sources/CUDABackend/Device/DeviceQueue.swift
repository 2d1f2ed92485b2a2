import IR

/// A device that runs the kernels of one program: a GPU, or this processor in its place.
///
/// Work is put into one of its lanes and done later than the call returns; `synchronize` waits for all of it. A lane keeps
/// its order, and lanes go on beside each other, unless a mark holds one until another got there. What fails on the way is
/// thrown by the call that learns of it, and from then on by every call: what stands behind it was not done. Calls come
/// from one thread at a time.
public protocol DeviceQueue: AnyObject {
  /// The device, as errors name it.
  var deviceName: String { get }
  /// Bytes of device memory that launches need besides the buffers of their kernels.
  var scratchBytes: Int { get }
  /// How many of them kernel `number` needs.
  func scratchBytes(of number: Int) -> Int
  /// Strands of the lane of work that may go on beside each other in what is recorded.
  var strands: Int { get }
  /// Bytes of device memory that are free now; `nil` where only trying tells.
  func freeBytes() throws(Diagnostic) -> Int?

  /// Device memory, full of zeros.
  func allocate(bytes: Int) throws(Diagnostic) -> DeviceMemory
  /// Host memory that the device copies from and to while the host does something else.
  func allocateHost(bytes: Int) throws(Diagnostic) -> DeviceHostMemory

  /// Copies to the device, in the lane of uploads; the host memory must keep its content until the lane got there.
  func copy(from host: UnsafeRawBufferPointer, to address: UInt64) throws(Diagnostic)
  /// Copies from the device, in the lane of downloads; the bytes are there when the lane got there.
  func copy(from address: UInt64, to host: UnsafeMutableRawBufferPointer) throws(Diagnostic)
  /// Copies on the device, in a strand of the lane of work.
  func copy(from source: UInt64, to target: UInt64, bytes: Int, strand: Int) throws(Diagnostic)
  /// Runs kernel `number` of the program, in a strand of the lane of work, on the buffers at `addresses`: inputs, outputs and workspace
  /// in the kernel's order. At `scratch`, a multiple of 256, are `scratchBytes` that nothing else uses.
  func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64, strand: Int) throws(Diagnostic)

  /// A mark that can be set in any lane.
  func makeMark() throws(Diagnostic) -> any QueueMark
  /// Waits until all is done that was put into the lanes.
  func synchronize() throws(Diagnostic)
  /// What `body` puts into the lane of work, as one piece of work. Nothing of it is done yet. Strands but the first begin by
  /// holding at a mark that was set in another, and in the end the first holds at marks behind all of them.
  func record(_ body: () throws(Diagnostic) -> Void) throws(Diagnostic) -> any RecordedWork
}

/// What a device does in one order.
public enum DeviceLane: Hashable, Sendable {
  /// Work; outside of what is recorded there is the first strand only.
  case strand(Int)
  case uploads, downloads

  public static let work = strand(0)
}

/// A place in a lane.
public protocol QueueMark: AnyObject {
  /// Sets the mark behind all that is in the lane; where it stood before is forgotten.
  func set(in lane: DeviceLane) throws(Diagnostic)
  /// Lets nothing that comes later in `lane` begin before the mark is reached, where it stands now.
  func hold(_ lane: DeviceLane) throws(Diagnostic)
  /// Waits until the mark is reached; does nothing if it was never set.
  func wait() throws(Diagnostic)
  /// Seconds of the device from another mark to this one; both are reached.
  func seconds(since start: any QueueMark) throws(Diagnostic) -> Double
}

extension DeviceQueue {
  /// Copies on the device, in the lane of work.
  public func copy(from source: UInt64, to target: UInt64, bytes: Int) throws(Diagnostic) {
    try copy(from: source, to: target, bytes: bytes, strand: 0)
  }
  /// Runs a kernel in the lane of work.
  public func launch(_ number: Int, _ addresses: [UInt64], scratch: UInt64) throws(Diagnostic) {
    try launch(number, addresses, scratch: scratch, strand: 0)
  }
}

/// Work that a queue has recorded.
public protocol RecordedWork: AnyObject {
  /// Puts it into the lane of work once more.
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
