import Foundation
import IR
import Runtime

extension LossPlot {
  /// Colors that people who cannot tell red from green tell apart (Okabe and Ito 2008).
  private static let colors = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"]

  /// The plot as a picture that stands on its own: each curve thin as it was measured, and thick without its noise.
  public func svg(width: Int = 800, height: Int = 480) -> String {
    let (left, right, top, bottom) = (70.0, 20.0, title.isEmpty ? 20.0 : 44.0, 56.0)
    let (inner, tall) = (Double(width) - left - right, Double(height) - top - bottom)
    var text = """
      <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(width) \(height)" width="\(width)" height="\(height)" \
      font-family="sans-serif" font-size="13" fill="#333">
      <rect width="100%" height="100%" fill="#fff"/>

      """
    if !title.isEmpty {
      text += "<text x=\"\(width / 2)\" y=\"26\" text-anchor=\"middle\" font-size=\"17\">\(SVG.escaped(title))</text>\n"
    }
    guard let bounds else {
      return text
        + "<text x=\"\(width / 2)\" y=\"\(height / 2)\" text-anchor=\"middle\">no points to plot</text>\n</svg>\n"
    }
    func x(_ value: Double) -> Double {
      left + (value - bounds.x.lowerBound) / (bounds.x.upperBound - bounds.x.lowerBound) * inner
    }
    func y(_ value: Double) -> Double {
      top + tall - (value - bounds.y.lowerBound) / (bounds.y.upperBound - bounds.y.lowerBound) * tall
    }
    for tick in Self.ticks(bounds.y, about: 6) {
      let at = number(y(tick.value))
      text += "<path d=\"M\(number(left)) \(at)H\(number(left + inner))\" stroke=\"#ddd\"/>"
      text += "<text x=\"\(number(left - 8))\" y=\"\(at)\" dy=\"4\" text-anchor=\"end\">\(tick.label)</text>\n"
    }
    for tick in Self.ticks(bounds.x, about: 8) {
      let at = number(x(tick.value))
      text += "<path d=\"M\(at) \(number(top + tall))v5\" stroke=\"#333\"/>"
      text += "<text x=\"\(at)\" y=\"\(number(top + tall + 20))\" text-anchor=\"middle\">\(tick.label)</text>\n"
    }
    text +=
      "<path d=\"M\(number(left)) \(number(top))V\(number(top + tall))H\(number(left + inner))\" fill=\"none\" stroke=\"#333\"/>\n"
    let middle = number(top + tall / 2)
    text +=
      "<text x=\"\(number(left + inner / 2))\" y=\"\(height - 14)\" text-anchor=\"middle\">\(SVG.escaped(xLabel))</text>\n"
    text += "<text transform=\"translate(18 \(middle)) rotate(-90)\" text-anchor=\"middle\">\(SVG.escaped(yLabel))</text>\n"

    func path(_ points: [Point]) -> String {
      points.enumerated().map { "\($0 == 0 ? "M" : "L")\(number(x($1.x))) \(number(y($1.y)))" }.joined()
    }
    let limit = 2 * width
    for (index, curve) in curves.enumerated() {
      let color = Self.colors[index % Self.colors.count]
      let style = "fill=\"none\" stroke=\"\(color)\" stroke-linejoin=\"round\""
      text +=
        "<path d=\"\(path(Self.thinned(curve.points, to: limit)))\" \(style) stroke-width=\"1\" opacity=\"0.3\"/>\n"
      text +=
        "<path d=\"\(path(Self.thinned(Self.smoothed(curve.points), to: limit)))\" \(style) stroke-width=\"2\"/>\n"
    }
    for (index, curve) in curves.enumerated() {
      let line = top + 16 + Double(index) * 20
      let color = Self.colors[index % Self.colors.count]
      let end = left + inner
      text += "<path d=\"M\(number(end - 30)) \(number(line - 4))h22\" stroke=\"\(color)\" stroke-width=\"3\"/>"
      text +=
        "<text x=\"\(number(end - 36))\" y=\"\(number(line))\" text-anchor=\"end\">\(SVG.escaped(curve.name))</text>\n"
    }
    return text + "</svg>\n"
  }

  public func writeSVG(to path: String, width: Int = 800, height: Int = 480) throws(Diagnostic) {
    try AtomicFile.write(svg(width: width, height: height), to: path)
  }

  private func number(_ value: Double) -> String {
    let text = String(format: "%.1f", value)
    return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }
}
