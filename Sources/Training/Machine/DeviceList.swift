import CUDABackend
import Foundation
import IR
import Runtime

/// What programs can run on here.
package struct DeviceList {
  /// The processor first, then each GPU.
  package let devices: [Device]
  /// Why there is no GPU.
  package let missing: String?
  /// CUDA's libraries, with their versions or why they are missing.
  package let libraries: [(name: String, version: Result<String, Diagnostic>)]

  package struct Device {
    package let kind: String
    package let name: String
    package let memory: Int
    /// Bytes that a large copy reads and writes in a second.
    package let copyRate: Double
    package let features: [String]
  }

  package init() throws(Diagnostic) {
    let threads = ThreadPool.defaultThreads
    var devices = [
      Device(
        kind: "cpu", name: ProcessUsage.processor, memory: Int(ProcessInfo.processInfo.physicalMemory),
        copyRate: try MachineLimits.copyRate(threads),
        features: ["\(threads) \(threads == 1 ? "core" : "cores")"] + ProcessUsage.processorFeatures)
    ]
    var missing: String?
    do throws(Diagnostic) {
      let count = try CUDADevice.count()
      if count == 0 { missing = "the CUDA driver finds no GPU" }
      for number in 0..<count { devices.append(try DeviceList.gpu(number)) }
    } catch { missing = error.message }
    (self.devices, self.missing, libraries) = (devices, missing, CUDALibraries.all)
  }

  private static func gpu(_ number: Int) throws(Diagnostic) -> Device {
    let device = try CUDADevice(number)
    let (major, minor) = device.capability
    var features = ["compute capability \(major).\(minor)", "\(device.multiprocessors) multiprocessors"]
    features.append("\(device.sharedBytesPerBlock >> 10) KiB shared memory a block")
    features.append("\(device.cacheBytes >> 20) MiB L2")
    if major >= 8 { features.append("bf16 and tf32 tensor cores") }
    let bytes = min(4 << 30, try device.freeMemory() / 2)
    let queue = try GPUQueue([], on: device)
    return Device(
      kind: "gpu", name: device.name, memory: device.memory,
      copyRate: try DeviceClock(queue, sweptBytes: bytes).copyRate(), features: features)
  }

  /// A paragraph a device, a line a library.
  package var text: String {
    var lines: [String] = []
    for (number, device) in devices.enumerated() {
      lines.append("\(device.kind) \(max(0, number - 1)): \(device.name)")
      let memory = String(format: "%.1f GiB", Double(device.memory) / Double(1 << 30))
      lines.append("  \(memory), copy \(String(format: "%.1f", device.copyRate * 1e-9)) GB/s")
      lines.append("  " + device.features.joined(separator: ", "))
    }
    if let missing { lines.append("gpu: none, \(missing)") }
    for library in libraries {
      switch library.version {
      case .success(let version): lines.append("\(library.name): \(version)")
      case .failure(let reason): lines.append("\(library.name): none, \(reason.message)")
      }
    }
    return lines.joined(separator: "\n")
  }

  package var json: JSON {
    let devices = devices.map { device -> JSON in
      [
        "kind": .string(device.kind), "name": .string(device.name), "memory_bytes": .integer(device.memory),
        "copy_bytes_per_second": .number(device.copyRate), "features": .array(device.features.map { .string($0) }),
      ]
    }
    var libraries = JSON.Object()
    for library in self.libraries {
      switch library.version {
      case .success(let version): libraries.set(library.name, ["version": .string(version)])
      case .failure(let reason): libraries.set(library.name, ["missing": .string(reason.message)])
      }
    }
    var all = JSON.Object()
    all.set("devices", .array(devices))
    if let missing { all.set("no_gpu", .string(missing)) }
    all.set("libraries", .object(libraries))
    return .object(all)
  }
}
