import Foundation
import IR

/// NVIDIA's run-time compiler of CUDA C++, loaded when it is first needed.
///
/// Nothing of CUDA is there when we build: the functions are those of the library's C interface (`nvrtc.h`), found by
/// name.
public struct NVRTC: Sendable {
  /// A kind of GPU that code is made for.
  public enum Architecture: String, Hashable, Sendable, CaseIterable {
    case sm80 = "sm_80"
    /// With what this architecture alone has: `wgmma`.
    case sm90 = "sm_90a"
  }

  /// How much is done for fast code; little of it where only its correctness is of interest.
  public enum Effort: Hashable, Sendable { case full, least }

  private typealias Program = OpaquePointer
  private typealias Version = @convention(c) (UnsafeMutablePointer<Int32>, UnsafeMutablePointer<Int32>) -> Int32
  private typealias Create = @convention(c) (
    UnsafeMutablePointer<Program?>, UnsafePointer<CChar>, UnsafePointer<CChar>?, Int32, UnsafeRawPointer?,
    UnsafeRawPointer?
  ) -> Int32
  private typealias Compile = @convention(c) (Program, Int32, UnsafePointer<UnsafePointer<CChar>?>?) -> Int32
  private typealias Size = @convention(c) (Program, UnsafeMutablePointer<Int>) -> Int32
  private typealias Get = @convention(c) (Program, UnsafeMutablePointer<CChar>) -> Int32
  private typealias Destroy = @convention(c) (UnsafeMutablePointer<Program?>) -> Int32
  private typealias ErrorString = @convention(c) (Int32) -> UnsafePointer<CChar>?

  private let versionFunction: Version
  private let create: Create
  private let compileFunction: Compile
  private let logSize: Size, log: Get
  private let codeSize: Size, code: Get
  private let destroy: Destroy
  private let errorString: ErrorString

  /// Loads the library; throws in one sentence where there is none.
  public static func load(from places: LibraryPlaces = .standard) throws(Diagnostic) -> NVRTC {
    let names = ["libnvrtc.so"] + (11...14).reversed().map { "libnvrtc.so.\($0)" }
    guard let library = places.load(names, given: "NVRTC_PATH", prefix: "libnvrtc.so") else {
      throw Diagnostic(
        "no libnvrtc is found, which compiles CUDA: set NVRTC_PATH to the library, or install the nvidia-cuda-nvrtc wheel with scripts/setup")
    }
    guard let nvrtc = NVRTC(library) else {
      throw Diagnostic("libnvrtc lacks functions: NVRTC 11.1 or newer is wanted")
    }
    return nvrtc
  }

  /// Why there is no NVRTC here, in a sentence; `nil` where there is.
  public static let absence: String? = {
    do throws(Diagnostic) {
      _ = try load()
      return nil
    } catch { return error.message }
  }()

  private init?(_ library: DynamicLibrary) {
    guard let version = library.function("nvrtcVersion", as: Version.self),
      let create = library.function("nvrtcCreateProgram", as: Create.self),
      let compile = library.function("nvrtcCompileProgram", as: Compile.self),
      let logSize = library.function("nvrtcGetProgramLogSize", as: Size.self),
      let log = library.function("nvrtcGetProgramLog", as: Get.self),
      let codeSize = library.function("nvrtcGetCUBINSize", as: Size.self),
      let code = library.function("nvrtcGetCUBIN", as: Get.self),
      let destroy = library.function("nvrtcDestroyProgram", as: Destroy.self),
      let errorString = library.function("nvrtcGetErrorString", as: ErrorString.self)
    else { return nil }
    (versionFunction, self.create, compileFunction) = (version, create, compile)
    (self.logSize, self.log, self.codeSize, self.code) = (logSize, log, codeSize, code)
    (self.destroy, self.errorString) = (destroy, errorString)
  }

  /// Such as 12.4.
  public var version: (major: Int, minor: Int) {
    var (major, minor): (Int32, Int32) = (0, 0)
    return versionFunction(&major, &minor) == 0 ? (Int(major), Int(minor)) : (0, 0)
  }

  /// Machine code for one kind of GPU. Products are not fused into sums where the text does not say so: the numbers are
  /// those of the CPU.
  public func compile(
    _ text: String, for architecture: Architecture, _ effort: Effort = .full
  ) throws(Diagnostic) -> [UInt8] {
    var program: Program?
    try check(create(&program, text, "emitted.cu", 0, nil, nil), "start")
    guard let program else { throw Diagnostic("libnvrtc gives no program") }
    defer {
      var ended: Program? = program
      _ = destroy(&ended)
    }
    var options = ["--gpu-architecture=\(architecture.rawValue)", "--std=c++17", "--fmad=false"]
    // Kernels want nothing of CUDA's own headers; NVRTC 12.4 and newer can leave them out.
    if version >= (12, 4) { options.append("-minimal") }
    // NVRTC 12.8 and newer know the option.
    if effort == .least, version >= (12, 8) { options.append("--Ofast-compile=min") }
    let copies: [UnsafePointer<CChar>?] = options.map { text in UnsafePointer(strdup(text)) }
    defer { for copy in copies { free(UnsafeMutablePointer(mutating: copy)) } }
    let result = compileFunction(program, Int32(copies.count), copies)
    guard result == 0 else {
      let lines = read(program, logSize, log).split(separator: "\n").filter { !$0.allSatisfy(\.isWhitespace) }
      throw Diagnostic("NVRTC does not compile the emitted text for \(architecture.rawValue):\n\(lines.prefix(20).joined(separator: "\n"))")
    }
    var size = 0
    try check(codeSize(program, &size), "tell the size of the code")
    var bytes = [CChar](repeating: 0, count: size)
    try check(code(program, &bytes), "give the code")
    return bytes.map { UInt8(bitPattern: $0) }
  }

  private func read(_ program: Program, _ size: Size, _ get: Get) -> String {
    var count = 0
    guard size(program, &count) == 0, count > 0 else { return "" }
    var text = [CChar](repeating: 0, count: count + 1)
    guard get(program, &text) == 0 else { return "" }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  private func check(_ code: Int32, _ what: String) throws(Diagnostic) {
    guard code != 0 else { return }
    let why = errorString(code).map { String(cString: $0) } ?? "error \(code)"
    throw Diagnostic("libnvrtc cannot \(what): \(why)")
  }
}
