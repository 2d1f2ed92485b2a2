import IR

/// Prints the program as it stands after passes.
public struct Dump: PassObserver {
  /// After which passes: all, those that changed something, or some by name.
  public enum Selection: Hashable, Sendable {
    case all, changed
    case named(Set<String>)
  }

  private let selection: Selection
  private let options: PrintOptions
  private let write: @Sendable (String) -> Void

  public init(
    _ selection: Selection, options: PrintOptions = PrintOptions(), to write: @escaping @Sendable (String) -> Void
  ) {
    self.selection = selection
    self.options = options
    self.write = write
  }

  public mutating func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic) {
    let text = module.text(options)
    let isWanted =
      switch selection {
      case .all: true
      case .changed: text != before.text(options)
      case .named(let names): names.contains(pass.name)
      }
    if isWanted { write("// ----- after \(pass.name) -----\n\(text)\n") }
  }
}

/// Writes the program after each pass to a file of its own: `00-input.ir`, `01-simplify.ir`, …
public struct DumpTree: PassObserver {
  private let write: @Sendable (_ name: String, _ text: String) throws(Diagnostic) -> Void
  private let options: PrintOptions
  private var number = 0

  /// `write` gets a file's name and text.
  public init(
    options: PrintOptions = PrintOptions(locations: true),
    _ write: @escaping @Sendable (_ name: String, _ text: String) throws(Diagnostic) -> Void
  ) {
    self.options = options
    self.write = write
  }

  public mutating func begin(_ module: Module) throws(Diagnostic) { try write(module, "input") }

  public mutating func after(_ pass: Pass, before: Module, _ module: Module) throws(Diagnostic) {
    try write(module, pass.name)
  }

  private mutating func write(_ module: Module, _ name: String) throws(Diagnostic) {
    let padding = number < 10 ? "0" : ""
    try write("\(padding)\(number)-\(name).ir", module.text(options))
    number += 1
  }
}
