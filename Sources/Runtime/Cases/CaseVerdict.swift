import Foundation
import IR

/// How a result compares with its case.
public struct CaseVerdict: Hashable, Sendable {
  public let name: String
  public let lines: [Line]

  public struct Line: Hashable, Sendable {
    /// Full name of the tensor, such as `grad/param/norm.weight`.
    public let name: String
    /// Largest absolute error.
    public let error: Double
    /// The error as a share of the largest element wanted.
    public let relative: Double
    public let allowed: Double
    public let outcome: Outcome
  }

  public enum Outcome: Hashable, Sendable {
    case ok
    case wrong
    /// Optional, and not there.
    case skipped
    case missing
    case shape(found: TensorType, wanted: TensorType)

    public var isGood: Bool { self == .ok || self == .skipped }
  }

  public var passed: Bool { lines.allSatisfy(\.outcome.isGood) }
  public var failures: [Line] { lines.filter { !$0.outcome.isGood } }
  /// The tensor with the largest error for its size.
  public var worst: Line? {
    lines.filter { $0.outcome != .skipped }.max {
      $0.relative < $1.relative || ($1.relative.isNaN && !$0.relative.isNaN)
    }
  }

  /// One line, and one more for every tensor that fails (or every tensor).
  public func text(everyTensor: Bool = false) -> String {
    let good = lines.count - failures.count
    var text = "\(passed ? "PASS" : "FAIL") \(name): \(good) of \(lines.count) tensors"
    if let worst {
      text += ", worst \(worst.name) abs \(short(worst.error)) rel \(short(worst.relative))"
    }
    for line in everyTensor ? lines : failures {
      let word =
        switch line.outcome {
        case .ok: "ok"
        case .wrong: "FAIL"
        case .skipped: "skipped"
        case .missing: "MISSING"
        case .shape(let found, let wanted): "SHAPE \(found), not \(wanted)"
        }
      text += "\n     \(word.count < 8 ? word + String(repeating: " ", count: 8 - word.count) : word) \(line.name):"
      text += " abs \(short(line.error)) of \(short(line.allowed)), rel \(short(line.relative))"
    }
    return text
  }
}

extension CaseFile {
  /// Compares a result, given by full names, with what the case wants.
  ///
  /// A tensor passes if `max|found − want| ≤ absolute + relative·max|want|`; integers must be equal, and a shape `[1]`
  /// stands for `[]`.
  public func compare(_ result: [String: HostTensor]) throws(Diagnostic) -> CaseVerdict {
    var lines: [CaseVerdict.Line] = []
    for name in expected { lines.append(try compare(name, result[name])) }
    return CaseVerdict(name: self.name, lines: lines)
  }

  /// Compares the result that stands in a file.
  public func compare(resultFile path: String) throws(Diagnostic) -> CaseVerdict {
    let results = try TensorFile(path)
    var lines: [CaseVerdict.Line] = []
    for name in expected {
      lines.append(try compare(name, results.entry(name) == nil ? nil : try results.tensor(name)))
    }
    return CaseVerdict(name: name, lines: lines)
  }

  private func compare(_ name: String, _ found: HostTensor?) throws(Diagnostic) -> CaseVerdict.Line {
    let want = try file.literal(name)
    let values = want.doubles
    let scale = values.reduce(0) { max($0, abs($1)) }
    let rule = tolerance(for: name)
    let allowed = want.type.dtype.isFloat ? rule.absolute + rule.relative * scale : 0
    func line(_ error: Double, _ outcome: CaseVerdict.Outcome) -> CaseVerdict.Line {
      CaseVerdict.Line(
        name: name, error: error, relative: scale > 0 ? error / scale : error, allowed: allowed, outcome: outcome)
    }
    guard let found else { return line(0, optional.contains(name) ? .skipped : .missing) }
    guard found.type.shape == want.type.shape || (found.type.count == 1 && want.type.count == 1),
      found.type.dtype.isFloat == want.type.dtype.isFloat
    else { return line(.infinity, .shape(found: found.type, wanted: want.type)) }
    if case .integers(let integers) = want.elements {
      let differs = zip(found.integers, integers).contains { $0 != $1 }
      let error = zip(found.doubles, values).reduce(0) { max($0, abs($1.0 - $1.1)) }
      return line(error, differs ? .wrong : .ok)
    }
    var error = 0.0
    for (a, b) in zip(found.doubles, values) where a != b {
      let difference = abs(a - b)
      // A NaN, once there, stays.
      if !(difference <= error) && !error.isNaN { error = difference }
    }
    return line(error, error <= allowed ? .ok : .wrong)
  }

  /// Writes a result under the case's own name into a folder.
  public func write(_ result: [String: HostTensor], intoFolder folder: String) throws(Diagnostic) {
    try TensorFile.write(result, to: "\(folder)/\(name).safetensors")
  }
}

/// A number with three digits.
private func short(_ value: Double) -> String { String(format: "%.3g", value) }
