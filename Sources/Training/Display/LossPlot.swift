import Foundation

/// Curves over training steps, for a terminal and as an SVG file.
public struct LossPlot: Sendable {
  public struct Curve: Sendable {
    public var name: String
    public var points: [Point]
    public init(_ name: String, _ points: [Point]) {
      self.name = name
      self.points = points
    }
    public init(_ name: String, _ values: [Double]) {
      self.init(name, values.enumerated().map { Point(Double($0), $1) })
    }
  }

  public struct Point: Hashable, Sendable {
    public var x: Double
    public var y: Double
    public init(_ x: Double, _ y: Double) {
      self.x = x
      self.y = y
    }
    var isFinite: Bool { x.isFinite && y.isFinite }
  }

  public var title: String
  public var xLabel: String
  public var yLabel: String
  public var curves: [Curve]

  public init(title: String = "", xLabel: String = "step", yLabel: String = "loss", _ curves: [Curve]) {
    self.title = title
    self.xLabel = xLabel
    self.yLabel = yLabel
    self.curves = curves
  }

  /// The ranges all finite points lie in; `nil` if there are none. Never empty, so that one point has a place.
  var bounds: (x: ClosedRange<Double>, y: ClosedRange<Double>)? {
    var (x, y): (ClosedRange<Double>?, ClosedRange<Double>?) = (nil, nil)
    for point in curves.lazy.flatMap(\.points) where point.isFinite {
      x = x.map { min($0.lowerBound, point.x)...max($0.upperBound, point.x) } ?? point.x...point.x
      y = y.map { min($0.lowerBound, point.y)...max($0.upperBound, point.y) } ?? point.y...point.y
    }
    guard let x, let y else { return nil }
    return (widened(x), widened(y))
  }

  private func widened(_ range: ClosedRange<Double>) -> ClosedRange<Double> {
    let span = range.upperBound - range.lowerBound
    let scale = max(abs(range.lowerBound), abs(range.upperBound))
    if span.isFinite, span > scale * 1e-9 { return range }
    let margin = max(scale * 0.5, 0.5)
    // At the end of the numbers there is no room to widen into.
    let half = Double.greatestFiniteMagnitude / 4
    return max(range.lowerBound - margin, -half)...min(max(range.upperBound + margin, -half), half)
  }

  /// Round numbers in a range, about so many: 1, 2 or 5 times a power of ten apart; and how to write them.
  static func ticks(_ range: ClosedRange<Double>, about count: Int) -> [(value: Double, label: String)] {
    let raw = (range.upperBound - range.lowerBound) / Double(max(count, 1))
    guard raw > 0, raw.isFinite else { return [] }
    let power = pow(10, log10(raw).rounded(.down))
    let step = power * ([1, 2, 5].first { power * $0 >= raw } ?? 10)
    guard step > 0, step.isFinite else { return [] }
    let first = (range.lowerBound / step - 1e-9).rounded(.up)
    let last = (range.upperBound / step + 1e-9).rounded(.down)
    guard last >= first, last - first < 1000 else { return [] }
    return (0...Int(last - first)).map { number in
      let value = (first + Double(number)) * step
      return (value, label(value, step: step))
    }
  }

  private static func label(_ value: Double, step: Double) -> String {
    let magnitude = max(abs(value), step)
    if magnitude >= 1e6 || magnitude < 1e-4 { return value == 0 ? "0" : String(format: "%.3g", value) }
    let decimals = max(0, Int((-log10(step) - 1e-9).rounded(.up)))
    let text = String(format: "%.\(decimals)f", value)
    return value == 0 ? "0" : text
  }

  /// The curve without its noise: an exponential mean that forgets half in a fiftieth of the curve.
  static func smoothed(_ points: [Point]) -> [Point] {
    let finite = points.filter(\.isFinite)
    let decay = pow(0.5, 50 / Double(max(50, finite.count)))
    var (sum, weight) = (0.0, 0.0)
    return finite.map { point in
      sum = sum * decay + point.y
      weight = weight * decay + 1
      return Point(point.x, sum / weight)
    }
  }

  /// At most about `limit` points: of each piece of the curve the lowest and the highest.
  static func thinned(_ points: [Point], to limit: Int) -> [Point] {
    let finite = points.filter(\.isFinite)
    guard finite.count > limit, limit >= 2 else { return finite }
    let pieces = limit / 2
    var result: [Point] = []
    for piece in 0..<pieces {
      let part = finite[(finite.count * piece / pieces)..<(finite.count * (piece + 1) / pieces)]
      guard let low = part.min(by: { $0.y < $1.y }), let high = part.max(by: { $0.y < $1.y }) else { continue }
      result += low.x <= high.x ? [low, high] : [high, low]
    }
    return result
  }
}
