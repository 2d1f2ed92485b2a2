import IR
import Ops

/// Feed-forward networks side by side, each of which computes only the tokens that chose it.
///
/// The chosen pairs of token and expert are sorted by expert, so that each expert's tokens lie together, and every linear
/// layer is one grouped product. No token is dropped and none is padded.
public struct Experts {
  public let count: Int
  /// `nil` for experts down(gelu(up(x))) with biases; otherwise they are down(silu(gate(x)) · up(x)).
  public let gate: GroupedLinear?
  public let up, down: GroupedLinear
  public let gelu: GELU

  public init(
    _ count: Int, width: Int, hidden: Int, isGated: Bool = false, gelu: GELU = .tanh, bias: Bool? = nil,
    initial: Initial? = nil, outputInitial: Initial? = nil
  ) {
    let upward = initial ?? .xavier(inputs: width, outputs: hidden)
    let downward = outputInitial ?? initial ?? .xavier(inputs: hidden, outputs: width)
    let hasBias = bias ?? !isGated
    self.count = count
    self.gelu = gelu
    gate = isGated ? GroupedLinear("gate", count, width, hidden, bias: false, initial: upward) : nil
    up = GroupedLinear("up", count, width, hidden, bias: hasBias, initial: upward)
    down = GroupedLinear("down", count, hidden, width, bias: hasBias, initial: downward)
  }

  /// Σₑ weights[t, e] · Expertₑ(x[t]) over the chosen pairs, from tokens `[…, width]`.
  ///
  /// - Parameters:
  ///   - chosen: truth values `[…, experts]`.
  ///   - weights: `[…, experts]`; zero where not chosen.
  ///   - limit: how many pairs are chosen at most.
  public func callAsFunction(_ x: Tensor, chosen: Tensor, weights: Tensor, limit: Int) -> Tensor {
    x.trace.scope("experts") {
      let width = x.extent(-1)
      let tokens = x.type.count / Swift.max(1, width)
      // Pairs in the order of experts, and of tokens within each.
      let byExpert = chosen.reshaped([tokens, count]).transposed([1, 0])
      let pairs = byExpert.reshaped([count * tokens]).places(limit: limit)
      let groups = RowGroups(sizes: byExpert.cast(to: .i64).sum(1), group: pairs / Double(Swift.max(1, tokens)))
      let token = (pairs .>= 0).select(pairs.remainder(Double(Swift.max(1, tokens))), else: -1)

      let rows = x.reshaped([tokens, width]).rows(token)
      let outputs = down(activated(rows, groups), groups)
      let weight = weights.reshaped([tokens, count]).transposed([1, 0]).reshaped([count * tokens]).rows(pairs)
      return (outputs * weight.insertingAxis(-1)).rowSums(by: token, count: tokens).reshaped(x.shape)
    }
  }

  private func activated(_ rows: Tensor, _ groups: RowGroups) -> Tensor {
    let inner = up(rows, groups)
    guard let gate else { return inner.gelu(gelu) }
    return gate(rows, groups).silu() * inner
  }
}

/// Rows that lie in groups, one after the other.
public struct RowGroups {
  /// Rows of each group, `[groups]`.
  public let sizes: Tensor
  /// The group of each row, `[rows]`; −1 for rows after the last group.
  public let group: Tensor

  public init(sizes: Tensor, group: Tensor) {
    self.sizes = sizes
    self.group = group
  }
}

/// y[r] = W[g] x[r] + b[g] for the rows r of group g; the weight is `[groups, outputs, inputs]`.
public struct GroupedLinear {
  public let weight: Parameter
  public let bias: Parameter?

  public init(_ name: String, _ groups: Int, _ inputs: Int, _ outputs: Int, bias: Bool, initial: Initial) {
    weight = Parameter("\(name).weight", [groups, outputs, inputs], initial)
    self.bias = bias ? Parameter("\(name).bias", [groups, outputs], .zeros, decays: false) : nil
  }

  public func callAsFunction(_ rows: Tensor, _ groups: RowGroups) -> Tensor {
    let y = rows.trace.emit(GroupedContract(), rows, rows.trace[weight], groups.sizes)
    guard let bias else { return y }
    return y + rows.trace[bias].rows(groups.group)
  }
}
