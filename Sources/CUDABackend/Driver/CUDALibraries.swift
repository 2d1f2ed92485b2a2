import IR

/// The libraries of CUDA, and what each says of itself here.
public enum CUDALibraries {
  /// Names and versions, or why a library is missing.
  public static var all: [(name: String, version: Result<String, Diagnostic>)] {
    [
      ("driver", Result { () throws(Diagnostic) in
        _ = try CUDA.load()
        return text(CUDADevice.driverVersion ?? 0, thousands: 1000)
      }),
      ("NVRTC", Result { () throws(Diagnostic) in
        let version = try NVRTC.load().version
        return "\(version.major).\(version.minor)"
      }),
      ("cuBLASLt", Result { () throws(Diagnostic) in try blasVersion() }),
    ]
  }

  private static func blasVersion() throws(Diagnostic) -> String {
    guard let library = DynamicLibrary(["libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"]) else {
      throw Diagnostic("no cuBLASLt is found: libcublasLt.so.12 or newer, which comes with the CUDA toolkit, does not load")
    }
    guard let version = library.function("cublasLtGetVersion", as: (@convention(c) () -> Int).self) else {
      throw Diagnostic("libcublasLt does not tell its version")
    }
    let number = version()
    return text(number, thousands: 10_000)
  }

  /// `12.4` of 12040, as CUDA counts.
  private static func text(_ number: Int, thousands: Int) -> String {
    "\(number / thousands).\(number % thousands / (thousands / 100))"
  }
}
