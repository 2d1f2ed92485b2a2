import IR

/// The libraries of CUDA, and what each says of itself here.
public enum CUDALibraries {
  /// Names and versions, or why a library is missing.
  public static var all: [(name: String, version: Result<String, Diagnostic>)] {
    [
      ("driver", Result { () throws(Diagnostic) in
        text(try CUDADevice.driverVersion(), thousands: 1000)
      }),
      ("NVRTC", Result { () throws(Diagnostic) in
        let version = try NVRTC.load().version
        return "\(version.major).\(version.minor)"
      }),
      ("cuBLASLt", Result { () throws(Diagnostic) in try blasVersion() }),
    ]
  }

  private static func blasVersion() throws(Diagnostic) -> String {
    let number = try CUBLASLt().version()
    return text(number, thousands: 10_000)
  }

  /// `12.4` of 12040, as CUDA counts.
  private static func text(_ number: Int, thousands: Int) -> String {
    "\(number / thousands).\(number % thousands / (thousands / 100))"
  }
}
