import Foundation

/// Where text for people goes, and what can be shown there.
public struct Terminal: Sendable {
  /// Whether lines can be drawn over.
  public var isInteractive: Bool
  public var usesColor: Bool
  /// Columns; asked anew each time, for windows change.
  public var width: @Sendable () -> Int
  public var write: @Sendable (String) -> Void

  public init(
    isInteractive: Bool, usesColor: Bool, width: @escaping @Sendable () -> Int,
    write: @escaping @Sendable (String) -> Void
  ) {
    self.isInteractive = isInteractive
    self.usesColor = usesColor
    self.width = width
    self.write = write
  }

  public static let standardError = Terminal(of: STDERR_FILENO)
  public static let standardOutput = Terminal(of: STDOUT_FILENO)

  /// Respects `NO_COLOR` (no-color.org), `TERM=dumb` and, where the size is unknown, `COLUMNS`.
  private init(of descriptor: Int32) {
    let environment = ProcessInfo.processInfo.environment
    isInteractive = isatty(descriptor) == 1 && environment["TERM"] != "dumb"
    usesColor = isInteractive && (environment["NO_COLOR"] ?? "").isEmpty
    let columns = environment["COLUMNS"].flatMap(Int.init) ?? 80
    width = {
      var size = winsize()
      guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return max(columns, 20) }
      return Int(size.ws_col)
    }
    write = { text in
      let handle = descriptor == STDOUT_FILENO ? FileHandle.standardOutput : FileHandle.standardError
      // Nobody may be listening any more; the run goes on.
      try? handle.write(contentsOf: Data(text.utf8))
    }
  }
}

/// How people read numbers.
enum Show {
  /// 950, 12.3k, 4.5M.
  static func count(_ value: Double) -> String {
    guard value.isFinite else { return "?" }
    for (limit, suffix) in [(1e9, "G"), (1e6, "M"), (1e3, "k")] where value >= limit {
      return String(format: "%.3g", value / limit) + suffix
    }
    return String(format: value >= 10 || value == 0 ? "%.0f" : "%.2g", value)
  }

  /// 12s, 3:20, 1:02:03.
  static func duration(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e8 else { return "?" }
    let whole = Int(seconds.rounded())
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60)
    if hours > 0 { return String(format: "%d:%02d:%02d", hours, minutes, rest) }
    return minutes > 0 ? String(format: "%d:%02d", minutes, rest) : "\(rest)s"
  }

  /// Three decimals; without those that say nothing.
  static func decimals(_ value: Double) -> String {
    guard value.isFinite else { return "\(value)" }
    let text = String(format: "%.3f", value)
    return text == "-0.000" ? "0.000" : text
  }

  static func loss(_ value: Double) -> String { value.isFinite ? String(format: "%.4f", value) : "\(value)" }
}
