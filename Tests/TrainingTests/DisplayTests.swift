import Foundation
import Synchronization
import Testing

@testable import Training

/// Collects what a terminal is told.
final class Screen: Sendable {
  let text = Mutex("")
  var written: String { text.withLock { $0 } }
  func terminal(interactive: Bool, color: Bool = false, width: Int = 80) -> Terminal {
    Terminal(isInteractive: interactive, usesColor: color, width: { width }) { text in
      self.text.withLock { $0 += text }
    }
  }
}

@Suite("progress") struct ProgressTests {
  /// 100 steps of one second and 1000 tokens each.
  func run(_ terminal: Terminal) {
    var time = 0.0
    var progress = TrainingProgress(total: 100, to: terminal, now: { time })
    for step in 1...100 {
      time += 1
      progress.advance(to: step, loss: 5 - Double(step) / 50, units: 1000, details: [("norm", "0.5")])
    }
    progress.finish()
  }

  @Test("a log gets a plain line now and then")
  func plain() {
    let screen = Screen()
    run(screen.terminal(interactive: false))
    let lines = screen.written.split(separator: "\n").map(String.init)
    #expect(lines.count == 12)
    #expect(lines[0] == "step 1/100  loss 4.9800  1k tokens/s  1:39 left  norm 0.5")
    #expect(lines[5] == "step 51/100  loss 3.9800  1k tokens/s  49s left  norm 0.5")
    #expect(lines[10] == "step 100/100  loss 3.0000  1k tokens/s  norm 0.5")
    #expect(lines[11] == "100 steps in 1:40, 1k tokens/s, loss 3.0000")
    #expect(!screen.written.contains("\u{1b}") && !screen.written.contains("\r"))
  }

  @Test("a live line fits its terminal", arguments: [10, 20, 30, 40, 60, 80, 200])
  func live(width: Int) {
    let screen = Screen()
    run(screen.terminal(interactive: true, width: width))
    let frames = screen.written.components(separatedBy: "\r").dropFirst()
    #expect(frames.count > 90)
    for frame in frames.dropLast() { #expect(frame.replacing("\u{1b}[K", with: "").count < width) }
    if width == 80 {
      #expect(
        screen.written.contains(
          "50/100 ━━━━━━━━━━───────────  50%  loss 4.0000  1k tokens/s  50s left  norm 0.5\u{1b}[K"))
    }
  }

  @Test("notes stand above the live line")
  func notes() {
    let screen = Screen()
    var time = 0.0
    var progress = TrainingProgress(total: 4, to: screen.terminal(interactive: true), now: { time })
    time = 1
    progress.advance(to: 1, loss: .nan, units: 1)
    progress.note("checkpoint written")
    #expect(screen.written.contains("\r\u{1b}[Kcheckpoint written\n\r1/4"))
    #expect(screen.written.contains("loss nan"))
  }

  @Test("a resumed run counts its own steps")
  func resumed() {
    let screen = Screen()
    var time = 0.0
    var progress = TrainingProgress(total: 10, done: 8, to: screen.terminal(interactive: false), now: { time })
    for step in 9...10 {
      time += 2
      progress.advance(to: step, loss: nil, units: 100)
    }
    progress.finish()
    #expect(screen.written == "step 9/10  50 tokens/s  2s left\nstep 10/10  50 tokens/s\n2 steps in 4s, 50 tokens/s\n")
  }
}

@Suite("plots") struct LossPlotTests {
  let plot = LossPlot(
    title: "two <runs>",
    [
      .init("a & b", (0..<500).map { 4 * exp(-Double($0) / 100) + 1 }), .init("flat", (0..<500).map { _ in 2.0 }),
    ])

  @Test(
    "ticks are round numbers inside the range",
    arguments: [
      (0.0...10.0, ["0", "2", "4", "6", "8", "10"]), (0.97...1.0, ["0.97", "0.98", "0.99", "1.00"]),
      (-1e-9...1e-9, ["-1e-09", "-5e-10", "0", "5e-10", "1e-09"]),
      (0...2.5e7, ["0", "5e+06", "1e+07", "1.5e+07", "2e+07", "2.5e+07"]),
      (1...1, []), (0.0 ... .infinity, []),
    ])
  func ticks(range: ClosedRange<Double>, labels: [String]) {
    #expect(LossPlot.ticks(range, about: 5).map(\.label) == labels)
  }

  @Test("a plot on a terminal keeps to its size", arguments: [20, 40, 80, 120])
  func terminal(width: Int) {
    let text = plot.text(width: width, height: 16)
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for line in lines.dropLast(2) { #expect(line.count <= width + 2) }
    #expect(text.contains("*") && text.contains("o"), "letters tell the curves apart")
    #expect(lines.filter { $0.contains("┤") }.count >= 3)
    #expect(text.contains("* a & b   o flat"))
  }

  @Test("a small plot looks like this")
  func small() {
    let text = LossPlot([.init("loss", [4, 3, 2, 1, 0])]).text(width: 24, height: 9)
    #expect(
      text == """
        4 ┤⠑⠢⢄⡀
          │   ⠈⠑⠒⠤⢄⡀
        2 ┤        ⠈⠉⠒⠤⣀
          │             ⠉⠒⠤⣀
        0 ┤                 ⠉⠒⠤⣀
          └┬─────────┬─────────┬
           0         2         4
           step → loss   ⠤⠤ loss

        """)
  }

  @Test("points that are no numbers, single points and none at all")
  func edges() {
    #expect(LossPlot([.init("x", [.nan, .infinity])]).text() == "no points to plot\n")
    #expect(LossPlot([]).svg().contains("no points to plot"))
    for values in [
      [1.0], [0, 0, 0], [.nan, 3, .infinity], [1e308, -1e308],
      [Double.leastNonzeroMagnitude, Double.leastNormalMagnitude],
    ] {
      let plot = LossPlot([.init("x", values)])
      #expect(plot.text().contains("┤") || plot.text().contains("│"))
      #expect(!plot.svg().contains("nan") && !plot.svg().contains("inf"))
    }
  }

  @Test("a picture is well-formed XML of bounded size")
  func picture() throws {
    let many = LossPlot(title: "<&>", [.init("q\"", (0..<200_000).map { sin(Double($0)) + 5 / (1 + Double($0)) })])
    let svg = many.svg()
    #expect(svg.utf8.count < 100_000)
    #expect(svg.contains("&lt;&amp;&gt;") && svg.contains("q&quot;"))
    let scratch = try Scratch()
    try plot.writeSVG(to: scratch.path("p.svg"))
    let text = try String(contentsOfFile: scratch.path("p.svg"), encoding: .utf8)
    #expect(text.hasPrefix("<svg ") && text.hasSuffix("</svg>\n"))
    #expect(text.components(separatedBy: "opacity=\"0.3\"").count == 3, "raw curves beside the smoothed")
  }

  @Test("smoothing keeps a constant and thinning keeps the extremes")
  func smoothing() {
    let flat = (0..<300).map { LossPlot.Point(Double($0), 2) }
    #expect(LossPlot.smoothed(flat).allSatisfy { abs($0.y - 2) < 1e-12 })
    let noisy = (0..<10_000).map { LossPlot.Point(Double($0), $0 == 5000 ? 99 : 0) }
    let thinned = LossPlot.thinned(noisy, to: 100)
    #expect(thinned.count <= 100 && thinned.contains { $0.y == 99 })
  }
}
