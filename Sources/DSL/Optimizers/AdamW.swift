import IR
import Ops

/// Adam with decoupled weight decay. With t = 1 at the first step, g the clipped gradient:
///
///     m ← β₁m + (1−β₁)g        v ← β₂v + (1−β₂)g²
///     p ← p·(1 − rate·decay) − rate · (m / (1−β₁ᵗ)) / (√(v / (1−β₂ᵗ)) + eps)
///
/// The rate is computed in the program from the number of steps done, so one program serves all steps. Tables may follow
/// another rule (`TableRule`).
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
  /// How tables are updated.
  public var tableRule: TableRule

  /// How the rows of tables are updated.
  public enum TableRule: String, Hashable, Sendable, CaseIterable {
    /// Like everything else.
    case adam
    /// Adagrad with one number a row, the sum of the mean squares of its gradients, instead of two moments an element:
    ///
    ///     s ← s + mean(g²)        p ← p − rate · g / (√s + eps)
    ///
    /// Rows without a gradient are left alone by the rule itself. Tables do not decay.
    case rowwiseAdagrad = "rowwise-adagrad"
  }

  public init(
    rate: LearningRate = LearningRate(), beta1: Double = 0.9, beta2: Double = 0.95, eps: Double = 1e-8,
    decay: Double = 0, decaysAll: Bool = false, clip: Double = 0, lazyTables: Bool = false,
    tableRule: TableRule = .adam
  ) {
    self.rate = rate
    self.beta1 = beta1
    self.beta2 = beta2
    self.eps = eps
    self.decay = decay
    self.decaysAll = decaysAll
    self.clip = clip
    self.lazyTables = lazyTables
    self.tableRule = tableRule
  }

  /// A parameter's value and its moments, as many as `moments(of:)` says.
  public struct State {
    public var value: Tensor
    public var moments: [Tensor]

    public init(value: Tensor, moments: [Tensor]) {
      self.value = value
      self.moments = moments
    }
  }

  /// What is kept of a parameter between steps besides its value, all of it zero at first: both moments of its gradient, or
  /// of a table by rows one number a row, `f32[rows, 1]`.
  public func moments(of parameter: Parameter) -> [TensorType] {
    switch rule(of: parameter) {
    case .adam: [parameter.type.with(.f32), parameter.type.with(.f32)]
    case .rowwiseAdagrad: [.f32(parameter.type.shape[0], 1)]
    }
  }

  private func rule(of parameter: Parameter) -> TableRule { parameter.isTable && parameter.type.rank > 0 ? tableRule : .adam }

  /// One step for all parameters; `step` is the number of steps done, an i64 scalar.
  ///
  /// Gradients may be row-sparse. Those of tables stay so if tables are lazy or updated by rows; others are made dense.
  public func update(
    _ parameters: [(parameter: Parameter, state: State, gradient: Tensor)], step: Tensor
  ) -> [State] {
    let factors = Factors(self, step: step)
    let gradients = clipped(
      parameters.map { entry in
        let isByRows = rule(of: entry.parameter) == .rowwiseAdagrad
        return Gradient(entry.gradient, keepsRows: isByRows || lazyTables && entry.parameter.isTable)
      },
      isTable: parameters.map(\.parameter.isTable))
    return parameters.indices.map { number in
      let (parameter, state) = (parameters[number].parameter, parameters[number].state)
      func next(_ state: State, _ g: Tensor) -> State {
        var next: State
        switch rule(of: parameter) {
        case .adam: next = stepped(state, g, parameter, factors)
        case .rowwiseAdagrad: next = steppedByRows(state, g, factors)
        }
        next.value = next.value.stored(as: state.value.dtype, of: parameter, number, step)
        return next
      }
      switch gradients[number] {
      case .dense(let g):
        let isLazy = lazyTables && parameter.isTable && rule(of: parameter) == .adam
        return isLazy ? next(state, g).whereTouched(by: g, else: state) : next(state, g)
      case .rows(let ids, let values):
        let touched = (values .!= 0).any(-1)
        let rows = touched.select(ids, else: -1)
        return next(state.rows(rows), values).scattered(to: rows, of: state)
      }
    }
  }

  /// The equations of Adam; the new value in f32.
  private func stepped(_ state: State, _ g: Tensor, _ parameter: Parameter, _ factors: Factors) -> State {
    let gradient = g.cast(to: .f32)
    let value = state.value.cast(to: .f32)
    let rate = parameter.isTable ? factors.tableRate : factors.rate
    let first = state.moments[0] * beta1 + gradient * (1 - beta1)
    let second = state.moments[1] * beta2 + gradient.squared() * (1 - beta2)
    let direction = (first * factors.first) / ((second * factors.second).squareRoot() + eps)
    let decays = decay != 0 && (parameter.decays || decaysAll)
    let kept = decays ? value * (1 - rate * decay) : value
    return State(value: kept - rate * direction, moments: [first, second])
  }

  /// The equations of Adagrad by rows; the new value in f32.
  private func steppedByRows(_ state: State, _ g: Tensor, _ factors: Factors) -> State {
    let shape = g.shape
    let width = shape.dropFirst().reduce(1, *)
    let gradient = g.cast(to: .f32).reshaped([shape[0], width])
    let sum = state.moments[0] + gradient.squared().mean(-1, keepingAxes: true)
    let direction = (gradient / (sum.squareRoot() + eps)).reshaped(shape)
    return State(value: state.value.cast(to: .f32) - factors.tableRate * direction, moments: [sum])
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
    /// 1 / (1 − β₁ᵗ) and 1 / (1 − β₂ᵗ), so that there is one division for all elements.
    let first, second: Tensor

    init(_ options: AdamW, step: Tensor) {
      let done = step.cast(to: .f32)
      rate = options.rate.rate(done)
      tableRate = rate * options.rate.tableFactor(done)
      first = Factors.correction(options.beta1, done + 1)
      second = Factors.correction(options.beta2, done + 1)
    }

    /// 1 / (1 − βᵗ), where 1 − βᵗ = −tanh(x/2)·(eˣ + 1) with x = t·ln β, which does not cancel where βᵗ is near 1.
    private static func correction(_ beta: Double, _ t: Tensor) -> Tensor {
      guard beta > 0 else { return t.constant(1) }
      let x = t * naturalLogarithm(beta)
      return -1 / ((x * 0.5).tanh() * (x.exp() + 1))
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

extension Tensor {
  /// A new value of a parameter (f32) as it is stored. Tables shorter than f32 are rounded up or down by chance: an update
  /// is often less than half the distance of two bf16 numbers, and would be lost for good.
  fileprivate func stored(as dtype: DType, of parameter: Parameter, _ number: Int, _ step: Tensor) -> Tensor {
    guard dtype == .bf16, parameter.isTable else { return cast(to: dtype) }
    let key = step * 65_536 + Double(number)
    return trace.emit(DitheredCast(), self, trace.emit(Random(.bits, type.with(.i32)), key))
  }
}

extension AdamW.State {
  fileprivate func map(_ other: Self, _ body: (Tensor, Tensor) -> Tensor) -> Self {
    Self(value: body(value, other.value), moments: zip(moments, other.moments).map(body))
  }

  fileprivate func rows(_ ids: Tensor) -> Self {
    Self(value: value.rows(ids), moments: moments.map { $0.rows(ids) })
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
