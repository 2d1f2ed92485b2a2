import DSL
import IR
import Runtime

/// One residual site around T(u) = linear(RMSNorm(u)), on a state that is already expanded.
struct ResidualSiteBlock: Architecture {
  private let width: Int
  private let residual: ResidualChoice
  private let index: Int
  private let normEps: Double

  init(_ fields: inout Fields) throws(Diagnostic) {
    width = try fields.size("width")
    residual = try ResidualChoice(try fields.requiredFields("residual"), width: width)
    index = try fields.int("index", default: 0, in: 0...Fields.widest)
    normEps = try fields.number("norm_eps", default: 1e-5)
  }

  var inputs: [ProgramInput] { [ProgramInput("streams", .f32, residual.stateAxes(width: width))] }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let site = Stack {
      Residual(residual.scheme, site: "site", number: index) {
        RMSNorm(width, eps: normEps).named("norm")
        Linear(width, width).named("linear")
      }
    }
    return [("streams", site(inputs.input("streams")))]
  }
}

/// What a model does with its residual state before the first and after the last site.
struct ResidualEndsBlock: Architecture {
  private let width: Int
  private let residual: ResidualChoice

  init(_ fields: inout Fields) throws(Diagnostic) {
    width = try fields.size("width")
    residual = try ResidualChoice(try fields.requiredFields("residual"), width: width)
  }

  var inputs: [ProgramInput] {
    [
      ProgramInput("x", .f32, [.free("B"), .free("T"), .fixed(width)]),
      ProgramInput("streams", .f32, residual.stateAxes(width: width)),
    ]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let expand = Stack { Expand(residual.scheme).named("residual") }
    let collapse = Stack { Collapse(residual.scheme).named("residual") }
    return [("streams", expand(inputs.input("x"))), ("y", collapse(inputs.input("streams")))]
  }
}

extension ResidualChoice {
  func stateAxes(width: Int) -> [ProgramInput.Axis] {
    [.free("B"), .free("T")] + stateShape(width: width).map { .fixed($0) }
  }
}
