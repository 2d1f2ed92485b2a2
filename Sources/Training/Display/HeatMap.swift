import Foundation
import IR
import Runtime

/// A matrix as a picture: blue below zero, orange above it, white at zero.
public struct HeatMap: Sendable {
  public var title, rowTitle, columnTitle: String
  public var rows, columns: [String]
  public var values: [[Double]]

  public init(
    title: String, rowTitle: String, columnTitle: String, rows: [String], columns: [String], values: [[Double]]
  ) {
    self.title = title
    self.rowTitle = rowTitle
    self.columnTitle = columnTitle
    self.rows = rows
    self.columns = columns
    self.values = values
  }

  /// A picture that stands on its own; each cell says its value when it is pointed at.
  public func svg() -> String {
    let cell = max(10, min(28, 640 / max(1, columns.count)))
    let letter = 7
    let left = 40 + letter * (rows.map(\.count).max() ?? 0)
    let top = 60 + letter * (columns.map(\.count).max() ?? 0)
    let (width, height) = (left + cell * columns.count + 110, top + cell * rows.count + 20)
    let largest = values.joined().lazy.filter(\.isFinite).map(abs).max() ?? 0
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
      font-family="sans-serif" font-size="11" fill="#333">
      <rect width="100%" height="100%" fill="#fff"/>
      <text x="12" y="22" font-size="15">\(SVG.escaped(title))</text>
      <text x="\(left)" y="42">\(SVG.escaped(columnTitle)) →</text>
      <text x="12" y="\(top - 6)">↓ \(SVG.escaped(rowTitle))</text>

      """
    for (number, name) in columns.enumerated() {
      let at = left + cell * number + cell / 2 + 4
      text += "<text transform=\"translate(\(at) \(top - 6)) rotate(-90)\">\(SVG.escaped(name))</text>\n"
    }
    for (row, name) in rows.enumerated() {
      let y = top + cell * row
      text += "<text x=\"\(left - 6)\" y=\"\(y + cell / 2 + 4)\" text-anchor=\"end\">\(SVG.escaped(name))</text>\n"
      for (column, value) in values[row].enumerated() {
        let place = "x=\"\(left + cell * column)\" y=\"\(y)\" width=\"\(cell)\" height=\"\(cell)\""
        text += "<rect \(place) fill=\"\(Self.color(value, of: largest))\" stroke=\"#eee\">"
        text += "<title>\(SVG.escaped("\(name) ← \(columns[column])")): \(Show.decimals(value))</title></rect>\n"
      }
    }
    return text + legend(at: left + cell * columns.count + 24, top, largest) + "</svg>\n"
  }

  private func legend(at x: Int, _ y: Int, _ largest: Double) -> String {
    (0...8).map { step in
      let value = largest * (1 - Double(step) / 4)
      let place = "x=\"\(x)\" y=\"\(y + 16 * step)\" width=\"16\" height=\"16\""
      return "<rect \(place) fill=\"\(Self.color(value, of: largest))\" stroke=\"#eee\"/>"
        + "<text x=\"\(x + 22)\" y=\"\(y + 16 * step + 12)\">\(Show.decimals(value))</text>\n"
    }.joined()
  }

  /// White at zero, toward blue below and orange above; black what is no number.
  private static func color(_ value: Double, of largest: Double) -> String {
    guard value.isFinite else { return "#000000" }
    let share = largest > 0 ? min(1, abs(value) / largest) : 0
    let (red, green, blue) = value < 0 ? (0.0, 114.0, 178.0) : (213.0, 94.0, 0.0)
    func mixed(_ full: Double) -> Int { Int((255 + (full - 255) * share).rounded()) }
    return String(format: "#%02x%02x%02x", mixed(red), mixed(green), mixed(blue))
  }
}

/// What pictures have in common.
enum SVG {
  /// Text as it may stand in an element or attribute.
  static func escaped(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\"": result += "&quot;"
      case "\t", "\n", "\r": result += " "
      case "\u{0}"..."\u{1f}": continue
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
