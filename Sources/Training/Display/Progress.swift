import Foundation

/// Shows how a run gets on: a live line on a terminal, a plain line now and then elsewhere.
///
///     1200/5000 ━━━━━━━───────────────────── 24%  loss 2.3450  12.3k tokens/s  3:20 left
///
/// Not for several threads at once.
public struct TrainingProgress {
  public let total: Int
  private let unit: String
  private let terminal: Terminal
  private let now: () -> Double
  private let start: Double
  /// Seconds between two plain lines.
  private let interval: Double
  private var lastShown = -Double.infinity
  private var lineIsDrawn = false
  private let firstStep: Int
  private var step: Int
  private var loss: Double?
  /// Times, steps and units of late, from which the speed follows.
  private var recent: [(time: Double, step: Int, units: Double)] = []
  private var units = 0.0
  private var details: [(name: String, value: String)] = []

  /// A run of `total` steps, of which `done` were made before. `now` gives the time in seconds.
  public init(
    total: Int, done: Int = 0, unit: String = "tokens", to terminal: Terminal = .standardError, interval: Double = 10,
    now: @escaping () -> Double = { ProcessInfo.processInfo.systemUptime }
  ) {
    self.total = total
    self.unit = unit
    self.terminal = terminal
    self.interval = interval
    self.now = now
    start = now()
    firstStep = done
    step = done
    recent = [(start, done, 0)]
  }

  /// A step is done that worked on so many units (tokens, images).
  public mutating func advance(
    to step: Int, loss: Double?, units: Int, details: [(name: String, value: String)] = []
  ) {
    let time = now()
    self.step = step
    self.loss = loss ?? self.loss
    self.units += Double(units)
    self.details = details
    recent.append((time, step, self.units))
    while recent.count > 2, time - recent[1].time > 15 { recent.removeFirst() }
    let pause = terminal.isInteractive ? 0.1 : interval
    let isEdge = step <= firstStep + 1 || step >= total
    guard isEdge || time - lastShown >= pause else { return }
    lastShown = time
    draw()
  }

  /// Prints a line of its own above the live one.
  public mutating func note(_ text: String) {
    erase()
    terminal.write(text + "\n")
    if terminal.isInteractive { draw() }
  }

  /// Ends the live line.
  public mutating func finish(_ text: String? = nil) {
    erase()
    let elapsed = now() - start
    let steps = step - firstStep
    let speed = elapsed > 0 ? Show.count(units / elapsed) : "?"
    var summary = "\(steps) steps in \(Show.duration(elapsed)), \(speed) \(unit)/s"
    if let loss { summary += ", loss \(Show.loss(loss))" }
    terminal.write((text ?? summary) + "\n")
  }

  private mutating func erase() {
    if lineIsDrawn { terminal.write("\r\u{1b}[K") }
    lineIsDrawn = false
  }

  private mutating func draw() {
    if terminal.isInteractive {
      // The last column stays free: some terminals wrap when it is written to.
      terminal.write("\r" + liveLine(width: terminal.width() - 1) + "\u{1b}[K")
      lineIsDrawn = true
    } else {
      terminal.write(plainLine() + "\n")
    }
  }

  /// Units and steps a second over the last seconds.
  private var speed: (units: Double, steps: Double)? {
    guard let first = recent.first, let last = recent.last, last.time > first.time else { return nil }
    let seconds = last.time - first.time
    return ((last.units - first.units) / seconds, Double(last.step - first.step) / seconds)
  }

  /// What there is to say, most important first.
  private var parts: [String] {
    var parts: [String] = []
    if let loss { parts.append("loss \(Show.loss(loss))") }
    if let speed {
      parts.append("\(Show.count(speed.units)) \(unit)/s")
      if step < total, speed.steps > 0 { parts.append("\(Show.duration(Double(total - step) / speed.steps)) left") }
    }
    return parts + details.map { "\($0.name) \($0.value)" }
  }

  private func plainLine() -> String { (["step \(step)/\(total)"] + parts).joined(separator: "  ") }

  private func liveLine(width: Int) -> String {
    let head = "\(step)/\(total)"
    let share = total > 0 ? min(1, Double(step) / Double(total)) : 1
    let percent = String(format: "%3.0f%%", (share * 100).rounded(.down))
    // What does not fit is left out from the end; the bar takes what is left.
    var shown = parts
    func text() -> String { ([percent] + shown).joined(separator: "  ") }
    while !shown.isEmpty, head.count + 1 + text().count > width { shown.removeLast() }
    let room = width - head.count - text().count - 2
    guard room >= 8 else { return String("\(head) \(text())".prefix(max(0, width))) }
    let length = min(room, 40)
    let filled = Int((Double(length) * share).rounded(.down))
    let (done, open) = (String(repeating: "━", count: filled), String(repeating: "─", count: length - filled))
    let bar = terminal.usesColor ? "\u{1b}[32m\(done)\u{1b}[2;39m\(open)\u{1b}[0m" : done + open
    return "\(head) \(bar) \(text())"
  }
}
