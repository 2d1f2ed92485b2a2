import IR

/// When a pass fails, or what it leaves is wrong, keeps the program it was given as a file test.
///
/// The file is called `repro-<hash>.ir` and begins with `// test: pass <name>`: put into that pass's `tests` folder it is the
/// bug's regression test. Stands behind `VerifyEach` in the list of observers, if that is used.
public struct Reproducer: PassObserver {
  private let write: @Sendable (_ name: String, _ text: String) -> Void

  /// `write` gets the file's name and text, and says where it put them.
  public init(_ write: @escaping @Sendable (_ name: String, _ text: String) -> Void) { self.write = write }

  public mutating func failed(_ pass: Pass, before: Module, _ error: Diagnostic) {
    let message = error.message.split(separator: "\n").joined(separator: " ")
    let text = "// test: pass \(pass.name)\n// \(message)\n" + before.text()
    write("repro-\(Self.hash(text)).ir", text)
  }

  /// A short name for a text, the same on every run (FNV-1a).
  private static func hash(_ text: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    let digits = String(hash, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }
}
