import IR
import Ops

/// Adam with decoupled weight decay. With t = 1 at the first step, g the clipped gradient:
///
///     m ← β₁m + (1−β₁)g        v ← β₂v + (1−β₂)g²
///     p ← p·(1 − rate·decay) − rate · (m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + eps)
///
/// The rate is computed in the program from the number of steps done, so one program serves all steps.
public struct AdamW: Hashable, Sendable {
  public var rate: LearningRate
  public var beta1: Double
  public var beta2: Double
  public var eps: Double
  public var decay: Double
  /// Decays every parameter, also those that ask for none.
  public var decaysAll: Bool
  /// Largest norm of all gradients together, tables and the rest apart; 0 for no limit.
  public var clip: Double
  /// Leaves the rows of a table alone, moments included, whose gradient is entirely zero. A step then costs as much as
  /// the rows it touches, not as the table.
  public var lazyTables: Bool

  public init(
    rate: LearningRate = LearningRate(), beta1: Double = 0.9, beta2: Double = 0.95, eps: Double = 1e-8,
    decay: Double = 0, decaysAll: Bool = false, clip: Double = 0, lazyTables: Bool = false
  ) {
    self.rate = rate
    self.beta1 = beta1
    self.beta2 = beta2
    self.eps = eps
    self.decay = decay
    self.decaysAll = decaysAll
    self.clip = clip
    self.lazyTables = lazyTables
  }

  /// A parameter's value and its two moments.
  public struct State {
    public var value, first, second: Tensor

    public init(value: Tensor, first: Tensor, second: Tensor) {
      self.value = value
      self.first = first
      self.second = second
    }
  }

  /// One step for all parameters; `step` is the number of steps done, an i64 scalar.
  ///
  /// Gradients may be row-sparse. Those of tables stay so if tables are lazy; others are made dense.
  public func update(
    _ parameters: [(parameter: Parameter, state: State, gradient: Tensor)], step: Tensor
  ) -> [State] {
    let factors = Factors(self, step: step)
    let gradients = clipped(parameters.map { Gradient($0.gradient, keepsRows: lazyTables && $0.parameter.isTable) },
      isTable: parameters.map(\.parameter.isTable))
    return zip(parameters, gradients).map { entry, gradient in
      let (parameter, state) = (entry.parameter, entry.state)
      let rate = parameter.isTable ? factors.tableRate : factors.rate
      let decays = decay != 0 && (parameter.decays || decaysAll)
      switch gradient {
      case .dense(let g):
        let next = stepped(state, g, rate, decays, factors)
        return lazyTables && parameter.isTable ? next.whereTouched(by: g, else: state) : next
      case .rows(let ids, let values):
        let touched = (values .!= 0).any(-1)
        let rows = touched.select(ids, else: -1)
        return stepped(state.rows(rows), values, rate, decays, factors).scattered(to: rows, of: state)
      }
    }
  }

  /// The equations above.
  private func stepped(_ state: State, _ g: Tensor, _ rate: Tensor, _ decays: Bool, _ factors: Factors) -> State {
    let gradient = g.cast(to: state.first.dtype)
    let value = state.value.cast(to: state.first.dtype)
    let first = state.first * beta1 + gradient * (1 - beta1)
    let second = state.second * beta2 + gradient.squared() * (1 - beta2)
    let direction = (first / factors.first) / ((second / factors.second).squareRoot() + eps)
    let kept = decays ? value * (1 - rate * decay) : value
    return State(value: (kept - rate * direction).cast(to: state.value.dtype), first: first, second: second)
  }

  /// g · min(1, clip / (‖g‖ + 1e-6)), with one norm for the tables and one for the rest.
  private func clipped(_ gradients: [Gradient], isTable: [Bool]) -> [Gradient] {
    guard clip != 0 else { return gradients }
    var clipped = gradients
    for group in [false, true] {
      let members = gradients.indices.filter { isTable[$0] == group }
      guard let first = members.first else { continue }
      let total = members.dropFirst().reduce(gradients[first].squares) { $0 + gradients[$1].squares }
      let factor = (clip / (total.squareRoot() + 1e-6)).minimum(1)
      for member in members { clipped[member] = gradients[member].scaled(by: factor) }
    }
    return clipped
  }

  /// The numbers of one step that all parameters share.
  private struct Factors {
    let rate, tableRate: Tensor
    /// 1 − β₁ᵗ and 1 − β₂ᵗ.
    let first, second: Tensor

    init(_ options: AdamW, step: Tensor) {
      let done = step.cast(to: .f32)
      rate = options.rate.rate(done)
      tableRate = rate * options.rate.tableFactor(done)
      first = Factors.correction(options.beta1, done + 1)
      second = Factors.correction(options.beta2, done + 1)
    }

    /// 1 − βᵗ = −tanh(x/2)·(eˣ + 1) with x = t·ln β, which does not cancel where βᵗ is near 1.
    private static func correction(_ beta: Double, _ t: Tensor) -> Tensor {
      guard beta > 0 else { return t.constant(1) }
      let x = t * naturalLogarithm(beta)
      return -((x * 0.5).tanh() * (x.exp() + 1))
    }
  }
}

/// A gradient as the optimizer uses it.
private enum Gradient {
  case dense(Tensor)
  /// Row numbers, each once or negative, and the rows.
  case rows(ids: Tensor, values: Tensor)

  init(_ gradient: Tensor, keepsRows: Bool) {
    let trace = gradient.trace
    if gradient.type.rows == nil {
      self = .dense(gradient)
    } else if keepsRows {
      let merged = trace.emit(MergeRows(), gradient)
      self = .rows(ids: trace.emit(RowIDs(), merged), values: trace.emit(RowValues(), merged))
    } else {
      self = .dense(trace.emit(Densify(), gradient))
    }
  }

  var squares: Tensor {
    switch self {
    case .dense(let g): g.cast(to: .f32).squared().sum()
    case .rows(_, let values): values.cast(to: .f32).squared().sum()
    }
  }

  func scaled(by factor: Tensor) -> Gradient {
    switch self {
    case .dense(let g): .dense(g * factor.cast(to: g.dtype))
    case .rows(let ids, let values): .rows(ids: ids, values: values * factor.cast(to: values.dtype))
    }
  }
}

extension AdamW.State {
  fileprivate func map(_ other: Self, _ body: (Tensor, Tensor) -> Tensor) -> Self {
    Self(value: body(value, other.value), first: body(first, other.first), second: body(second, other.second))
  }

  fileprivate func rows(_ ids: Tensor) -> Self {
    Self(value: value.rows(ids), first: first.rows(ids), second: second.rows(ids))
  }

  fileprivate func scattered(to ids: Tensor, of table: Self) -> Self {
    map(table) { rows, table in table.trace.emit(ScatterRows(), table, ids, rows) }
  }

  /// This state in the rows where `gradient` is not entirely zero, `other` in the rest.
  fileprivate func whereTouched(by gradient: Tensor, else other: Self) -> Self {
    let width = gradient.type.shape.dropFirst().reduce(1, *)
    let flat = gradient.reshaped([gradient.extent(0), width])
    let touched = (flat .!= 0).any(-1).reshaped([gradient.extent(0)] + gradient.shape.dropFirst().map { _ in 1 })
    return map(other) { new, old in touched.select(new, else: old) }
  }
}
