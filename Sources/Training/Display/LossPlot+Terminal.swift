import Foundation

extension LossPlot {
  /// The plot as text, about `width` columns and `height` lines, in dots of eight to a character (braille).
  ///
  /// Without color several curves are told apart by letters instead.
  public func text(width: Int = 80, height: Int = 20, color: Bool = false) -> String {
    guard let bounds else { return "no points to plot\n" }
    let yTicks = Self.ticks(bounds.y, about: max(2, height / 4))
    let margin = (yTicks.map(\.label.count).max() ?? 0) + 2
    let (columns, rows) = (max(width - margin, 10), max(height - 4, 3))
    var canvas = Canvas(columns: columns, rows: rows, usesDots: color || curves.count == 1)
    for (number, curve) in curves.enumerated() {
      var last: (x: Int, y: Int)?
      for point in Self.thinned(curve.points, to: canvas.width * 4) {
        let at = (
          x: Self.place(point.x, in: bounds.x, among: canvas.width),
          y: canvas.height - 1 - Self.place(point.y, in: bounds.y, among: canvas.height)
        )
        canvas.line(from: last ?? at, to: at, curve: number)
        last = at
      }
    }
    var labels: [Int: String] = [:]
    for tick in yTicks { labels[rows - 1 - Self.place(tick.value, in: bounds.y, among: rows)] = tick.label }
    var text =
      title.isEmpty ? "" : String(repeating: " ", count: max(0, margin + (columns - title.count) / 2)) + title + "\n"
    for row in 0..<rows {
      let label = labels[row] ?? ""
      let axis = labels[row] == nil ? "│" : "┤"
      text += String(repeating: " ", count: margin - 2 - label.count) + label + " " + axis
      text += canvas.row(row, color: color) + "\n"
    }
    text += xAxis(bounds.x, margin: margin, columns: columns)
    text += String(repeating: " ", count: margin) + legend(color: color) + "\n"
    return text
  }

  /// Which of `count` equal pieces of a range a value lies in.
  static func place(_ value: Double, in range: ClosedRange<Double>, among count: Int) -> Int {
    let share = (value - range.lowerBound) / (range.upperBound - range.lowerBound)
    return min(max(Int((share * Double(count - 1)).rounded()), 0), count - 1)
  }

  private func xAxis(_ range: ClosedRange<Double>, margin: Int, columns: Int) -> String {
    var line = [Character](repeating: "─", count: columns)
    var labels = [Character](repeating: " ", count: margin + columns)
    var free = 0
    for tick in Self.ticks(range, about: max(2, columns / 12)) {
      let column = Self.place(tick.value, in: range, among: columns)
      line[column] = "┬"
      let start = min(max(margin + column - tick.label.count / 2, 0), labels.count - tick.label.count)
      guard start >= free else { continue }
      labels.replaceSubrange(start..<(start + tick.label.count), with: tick.label)
      free = start + tick.label.count + 1
    }
    return String(repeating: " ", count: margin - 1) + "└" + String(line) + "\n" + String(labels) + "\n"
  }

  private func legend(color: Bool) -> String {
    let names = curves.enumerated().map { number, curve in
      let marks = color || curves.count == 1 ? "⠤⠤" : String(Canvas.letter(number))
      return Canvas.paint(marks, number, color) + " " + curve.name
    }
    return "\(xLabel) → \(yLabel)   " + names.joined(separator: "   ")
  }
}

/// Characters that hold two by four dots each, or one letter.
private struct Canvas {
  let columns: Int
  let rows: Int
  let usesDots: Bool
  private var dots: [UInt8]
  private var owners: [Int]

  init(columns: Int, rows: Int, usesDots: Bool) {
    self.columns = columns
    self.rows = rows
    self.usesDots = usesDots
    dots = [UInt8](repeating: 0, count: columns * rows)
    owners = [Int](repeating: -1, count: columns * rows)
  }

  var width: Int { usesDots ? columns * 2 : columns }
  var height: Int { usesDots ? rows * 4 : rows }

  private mutating func set(_ x: Int, _ y: Int, curve: Int) {
    let (cell, bit) = usesDots ? (y / 4 * columns + x / 2, Self.bits[y % 4 * 2 + x % 2]) : (y * columns + x, 1)
    dots[cell] |= bit
    owners[cell] = curve
  }

  /// Unicode's numbering of braille dots, left and right of each line.
  private static let bits: [UInt8] = [0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80]

  mutating func line(from a: (x: Int, y: Int), to b: (x: Int, y: Int), curve: Int) {
    let steps = max(abs(b.x - a.x), abs(b.y - a.y))
    for step in 0...steps {
      let share = steps == 0 ? 0 : Double(step) / Double(steps)
      let x = Double(a.x) + share * Double(b.x - a.x)
      let y = Double(a.y) + share * Double(b.y - a.y)
      set(Int(x.rounded()), Int(y.rounded()), curve: curve)
    }
  }

  func row(_ row: Int, color: Bool) -> String {
    let cells = row * columns..<(row + 1) * columns
    guard let last = cells.last(where: { dots[$0] != 0 }) else { return "" }
    var text = ""
    var start = cells.lowerBound
    while start <= last {
      let owner = owners[start]
      let end = cells[start...last].firstIndex { owners[$0] != owner } ?? last + 1
      let run = String(cells[start..<end].map(character))
      text += owner < 0 ? run : Self.paint(run, owner, color)
      start = end
    }
    return text
  }

  private func character(_ cell: Int) -> Character {
    if dots[cell] == 0 { return " " }
    guard usesDots else { return Self.letter(owners[cell]) }
    return Character(Unicode.Scalar(0x2800 + UInt32(dots[cell])) ?? " ")
  }

  static func letter(_ curve: Int) -> Character {
    let letters = Array("*ox+abcdefghijklmnpqrstuvwyz")
    return letters[curve % letters.count]
  }

  static func paint(_ text: String, _ curve: Int, _ color: Bool) -> String {
    color ? "\u{1b}[\([36, 33, 35, 32, 31, 34][curve % 6])m\(text)\u{1b}[0m" : text
  }
}
