import IR
import Passes
import Rewriting
import Runtime

/// Finds the first pass, and within it the first rewrite, after which a function computes something else.
public struct Bisection: Sendable {
  public struct Finding: Sendable {
    public let pass: String
    /// Rewrites of that pass after which the numbers part; `nil` if the pass does not count its rewrites.
    public let rewrite: Int?
    /// How far they part, or what failed.
    public let problem: String
    /// The program that the pass was given.
    public let before: Module
    public let after: Module
  }

  /// Passes that were found to be right, in order.
  public private(set) var checked: [String] = []
  public private(set) var finding: Finding?

  /// Runs a function after every pass on the same inputs. Costs a run by the interpreter for each pass, and some for each
  /// rewrite of a pass that is wrong.
  public init(
    of module: Module, entry: String, through passes: [Pass], inputs: [Literal], tolerance: Double
  ) throws(Diagnostic) {
    guard let function = module.function(named: entry) else { throw Diagnostic("there is no function @\(entry)") }
    let wanted = try Interpreter(module).run(function, inputs).flatMap(\.withoutRows)
    let dense = inputs.flatMap(\.withoutRows)
    /// What is wrong with a program, if something is.
    func problem(of module: Module) -> String? {
      do {
        try verify(module)
        guard let function = module.function(named: entry) else { return "@\(entry) is gone" }
        let arguments = function.parameters.count == inputs.count ? inputs : dense
        let found = try Interpreter(module).run(function, arguments).flatMap(\.withoutRows)
        guard found.map(\.type) == wanted.map(\.type) else { return "results have other types" }
        let differences = zip(found, wanted).map { $0.largestDifference(from: $1) }
        guard let worst = differences.indices.max(by: { differences[$0] < differences[$1] }) else { return nil }
        return differences[worst] > tolerance ? "result \(worst) is off by \(differences[worst]) of its largest element" : nil
      } catch {
        return error.message
      }
    }
    /// What becomes of a program when a pass may make so many rewrites.
    func attempt(_ pass: Pass, on before: Module, limit: Int) -> (module: Module, left: Int, problem: String?) {
      var module = before
      var context = PassContext(limit: limit)
      do {
        try pass.run(&module, &context)
      } catch {
        return (module, context.remaining, error.message)
      }
      return (module, context.remaining, problem(of: module))
    }
    var current = module
    for pass in passes {
      let whole = attempt(pass, on: current, limit: .max)
      guard let problem = whole.problem else {
        checked.append(pass.name)
        current = whole.module
        continue
      }
      // With no rewrites the program is right; find the smallest number with which it is wrong.
      var (right, wrong) = (0, Int.max - whole.left)
      guard wrong > 0, attempt(pass, on: current, limit: 0).problem == nil else {
        finding = Finding(pass: pass.name, rewrite: nil, problem: problem, before: current, after: whole.module)
        return
      }
      while wrong - right > 1 {
        let middle = right + (wrong - right) / 2
        if attempt(pass, on: current, limit: middle).problem == nil { right = middle } else { wrong = middle }
      }
      let (good, bad) = (attempt(pass, on: current, limit: right), attempt(pass, on: current, limit: wrong))
      finding = Finding(
        pass: pass.name, rewrite: wrong, problem: bad.problem ?? problem, before: good.module, after: bad.module)
      return
    }
  }
}

extension Literal {
  /// A row-sparse tensor as the two dense ones that `split-rows` makes of it.
  fileprivate var withoutRows: [Literal] {
    guard type.rows != nil else { return [self] }
    let values = TensorType(type.dtype, [ids.count] + type.shape.dropFirst())
    return [Literal(.i64(ids.count), integers: ids), Literal(values, floats: doubles)]
  }

  /// The largest difference, as a share of the other's largest element (at least 1).
  fileprivate func largestDifference(from other: Literal) -> Double {
    var (largest, scale) = (0.0, 1.0)
    for (a, b) in zip(doubles, other.doubles) where a != b && !(a.isNaN && b.isNaN) {
      guard a.isFinite, b.isFinite else { return .infinity }
      largest = max(largest, abs(a - b))
      scale = max(scale, abs(b))
    }
    return largest / scale
  }
}
