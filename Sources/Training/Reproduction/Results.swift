import Foundation
import IR
import Runtime

/// What one run of an experiment came to.
public struct RunResult: Hashable, Sendable {
  public var arm: String
  public var seed: UInt64
  public var steps: Int
  public var seconds: Double
  public var numbers: [String: Double]

  public init(arm: String, seed: UInt64, steps: Int, seconds: Double, numbers: [String: Double]) {
    self.arm = arm
    self.seed = seed
    self.steps = steps
    self.seconds = seconds
    self.numbers = numbers
  }

  var json: JSON {
    var object = JSON.Object()
    object.set("arm", .string(arm))
    object.set("seed", .string("\(seed)"))
    object.set("steps", .integer(steps))
    object.set("seconds", .number(seconds))
    for (key, value) in numbers.sorted(by: { $0.key < $1.key }) { object.set(key, .number(value)) }
    return .object(object)
  }

  init(_ json: JSON) throws(Diagnostic) {
    var numbers: [String: Double] = [:]
    for member in try json.object().members where !["arm", "seed", "steps", "seconds"].contains(member.key) {
      numbers[member.key] = member.value.isNull ? .nan : try member.value.double()
    }
    let text = try json.required("seed").string()
    guard let seed = UInt64(text) else { throw Diagnostic("wants a seed, got \"\(text)\"", at: json.location) }
    self.init(
      arm: try json.required("arm").string(), seed: seed, steps: try json.required("steps").int(),
      seconds: try json.required("seconds").double(), numbers: numbers)
  }
}

/// The runs of an experiment that are done.
public struct Results: Sendable {
  public var runs: [RunResult]
  /// The mean training loss of all seeds after each step, by arm.
  public var losses: [String: [Double]]

  public init(_ runs: [RunResult], losses: [String: [Double]] = [:]) {
    self.runs = runs
    self.losses = losses
  }

  /// A number of every seed of an arm.
  public func values(_ key: String, of arm: String) -> [UInt64: Double] {
    var values: [UInt64: Double] = [:]
    for run in runs where run.arm == arm { values[run.seed] = run.numbers[key] }
    return values
  }

  public func summary(_ key: String, of arm: String) -> Summary? { Summary(Array(values(key, of: arm).values)) }

  /// By how much an arm's number is above another's, for each seed that both have.
  public func difference(_ key: String, of arm: String, from other: String) -> Summary? {
    let (mine, theirs) = (values(key, of: arm), values(key, of: other))
    return Summary(mine.compactMap { seed, value in theirs[seed].map { value - $0 } })
  }
}

/// Mean and spread of a number over seeds.
public struct Summary: Hashable, Sendable {
  public let count: Int
  public let mean: Double
  /// The standard deviation of the seeds; `nil` of one.
  public let deviation: Double?

  init?(_ values: [Double]) {
    guard !values.isEmpty else { return nil }
    // In an order of their own, so that the sum does not depend on that of the runs.
    let values = values.sorted()
    let mean = values.reduce(0, +) / Double(values.count)
    count = values.count
    self.mean = mean
    guard values.count > 1 else {
      deviation = nil
      return
    }
    deviation = (values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(values.count - 1)).squareRoot()
  }

  /// `1.2345 ± 0.0012`
  func text(decimals: Int, signed: Bool = false) -> String {
    let format = "%\(signed ? "+" : "").\(decimals)f"
    let mean = String(format: format, self.mean)
    return deviation.map { mean + String(format: " ± %.\(decimals)f", $0) } ?? mean
  }
}
