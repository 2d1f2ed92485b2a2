import CUDABackend
import Foundation
import IR
import Runtime

/// A GPU that is this processor: NVIDIA's driver, its compiler and its library of products, made of the C++ in `FakeCUDA`.
///
/// Everything above the driver is the real thing. What the fake is strict about stands in `FakeCUDA/device.h`. Each value
/// is a device of its own, in a folder of its own, with its counts and its faults.
package final class FakeCUDA: @unchecked Sendable {
  /// Where the libraries stand.
  package let folder: String
  private let handle: UnsafeMutableRawPointer

  /// - Parameter hasProducts: whether cuBLASLt is there.
  package init(hasProducts: Bool = true) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("fake-cuda-\(UUID().uuidString)").path
    try FakeCUDA.makeFolder(folder, hasProducts: hasProducts)
    guard let handle = dlopen(folder + "/libcuda.so.1", RTLD_NOW | RTLD_LOCAL) else {
      throw Diagnostic("the fake driver does not load: \(dlerror().map { String(cString: $0) } ?? "unknown")")
    }
    self.handle = handle
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  package func device() throws(Diagnostic) -> CUDADevice { try CUDADevice(from: LibraryPlaces(folder: folder)) }

  /// What shells set before a command that shall find the fake.
  package func environment(_ more: [String: String] = [:]) -> String {
    var variables = ["MILLRACE_CACHE": FakeCUDA.cache]
    for library in ["CUDA_DRIVER_PATH", "NVRTC_PATH", "CUBLASLT_PATH"] { variables[library] = folder }
    variables.merge(more) { $1 }
    return "export " + variables.map { "\($0)='\($1)'" }.sorted().joined(separator: " ") + ";"
  }

  /// How often something was done: `allocation`, `launch`, `replay`, `kernel`, `compiled`…
  package func count(_ what: String) -> Int {
    typealias Count = @convention(c) (UnsafePointer<CChar>) -> Int64
    return Int(function("fake_cuda_count", as: Count.self)(what))
  }
  /// Lets something fail: `kernel:3` is the third from now on.
  package func fail(_ fault: String) {
    typealias Fault = @convention(c) (UnsafePointer<CChar>) -> Void
    function("fake_cuda_fault", as: Fault.self)(fault)
  }
  /// Copies as early as they may be done; as late, if not.
  package func copy(early: Bool) {
    function("fake_cuda_hasty", as: (@convention(c) (Int32) -> Void).self)(early ? 1 : 0)
  }
  /// Bytes of the device that are taken.
  package var bytes: Int { Int(function("fake_cuda_bytes", as: (@convention(c) () -> Int64).self)()) }

  private func function<F>(_ name: String, as type: F.Type) -> F {
    guard let address = dlsym(handle, name) else { preconditionFailure("the fake driver has \(name)") }
    return unsafeBitCast(address, to: type)
  }

  // MARK: The libraries

  /// Where code is kept, the fake's own, apart from all other code.
  package static var cache: String { built + "/code" }

  private static let driver = "libcuda.so.1", compiler = "libnvrtc.so.12", products = "libcublasLt.so.12"
  /// What the compiler puts before a program's text.
  private static let prelude = "prelude.h"

  /// Copies the libraries into a folder: the loader takes the copy for another library.
  private static func makeFolder(_ folder: String, hasProducts: Bool) throws {
    try libraries.get()
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    for name in [driver, compiler, prelude] + (hasProducts ? [products] : []) {
      try FileManager.default.copyItem(atPath: "\(built)/\(name)", toPath: "\(folder)/\(name)")
    }
  }

  private static let sources =
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("FakeCUDA")

  /// The folder of what was built of these sources; any command runs on it whose environment names it.
  private static let built: String = {
    let files = ((try? FileManager.default.contentsOfDirectory(atPath: sources.path)) ?? []).sorted()
    let texts = files.map { (try? String(contentsOf: sources.appendingPathComponent($0), encoding: .utf8)) ?? "" }
    let digest = Digest.hexadecimal(Array((texts.joined() + emulationPrelude + command).utf8)).prefix(16)
    let cache = CacheDirectory.standard ?? FileManager.default.temporaryDirectory.path
    return "\(cache)/fake-cuda-\(digest)"
  }()

  /// Compiles the libraries, once. They are one file under three names, so that they share the device.
  private static let libraries = Result {
    let files = FileManager.default
    guard !files.fileExists(atPath: built) else { return }
    let unfinished = "\(built)-\(UUID().uuidString)"
    defer { try? files.removeItem(atPath: unfinished) }
    try files.createDirectory(atPath: unfinished, withIntermediateDirectories: true)
    try emulationPrelude.write(toFile: "\(unfinished)/\(prelude)", atomically: true, encoding: .utf8)
    for name in [compiler, products] {
      try files.createSymbolicLink(atPath: "\(unfinished)/\(name)", withDestinationPath: driver)
    }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", "exec \(command) -o '\(unfinished)/\(driver)' '\(sources.path)'/*.cpp -ldl"]
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Diagnostic("'\(command)' does not compile the fake driver") }
    // Another process may have been faster.
    guard rename(unfinished, built) == 0 || files.fileExists(atPath: built) else {
      throw Diagnostic("cannot write \(built)")
    }
  }

  private static let command =
    (ProcessInfo.processInfo.environment["CXX"] ?? "c++") + " -std=c++17 -O2 -fPIC -shared -fvisibility=hidden"
}
