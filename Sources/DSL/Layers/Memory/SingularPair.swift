import IR

/// The leading singular value of each matrix of `[heads, rank, rank]` and its vectors: C ≈ λ u tᵀ.
///
/// The vectors are constants of differentiation, λ = uᵀ C t is not; its gradient is u tᵀ.
struct SingularPair {
  /// `[heads, rank]`
  let left, right: Tensor
  /// `[heads]`
  let value: Tensor

  /// Every squaring of CᵀC squares the ratio of its eigenvalues: after these only the largest is left.
  private static let squarings = 16

  init(of matrices: Tensor) {
    let core = matrices.stoppingGradient()
    var power = core.contract(core, "hij,hik->hjk")
    for _ in 0..<Self.squarings {
      power = power / power.diagonal().sum(-1).maximum(Self.smallest).insertingAxis(-1).insertingAxis(-1)
      power = power.contract(power, "hij,hjk->hik")
    }
    // All columns point along t; the longest does so best.
    let longest = power.diagonal().argMax()
    let t = power.contract(longest.oneHot(power.extent(-1), dtype: power.dtype), "hij,hj->hi").normalized()
    let u = core.contract(t, "hij,hj->hi").normalized()
    (left, right) = (u, t)
    value = matrices.contract(t, "hij,hj->hi").contract(u, "hi,hi->h")
  }

  /// What remains of the matrices without this pair.
  func removed(from matrices: Tensor) -> Tensor {
    let part = left * value.insertingAxis(-1)
    return matrices - part.contract(right, "hi,hj->hij")
  }

  static let smallest = 1e-30

  /// The pair with the sign rule of UltraMem: the sign nearer (in L1) to the stored pair; without one, the sign with
  /// Σu + Σt ≥ 0.
  func oriented(like stored: (left: Tensor, right: Tensor)) -> (left: Tensor, right: Tensor) {
    func distance(_ sign: Double) -> Tensor {
      (left * sign - stored.left).magnitude().sum(-1) + (right * sign - stored.right).magnitude().sum(-1)
    }
    let isStored = (stored.left .!= 0).any(-1) .| (stored.right .!= 0).any(-1)
    let staysNear = distance(1) .<= distance(-1)
    let isPositive = (left.sum(-1) + right.sum(-1)) .>= 0
    let keeps = isStored.select(staysNear, else: isPositive)
    let sign = keeps.select(value.constant(1), else: -1).insertingAxis(-1)
    return (left * sign, right * sign)
  }
}

extension Tensor {
  /// The diagonal of the last two axes, which are of one extent.
  fileprivate func diagonal() -> Tensor { isDiagonal.select(self, else: 0).sum(-1) }
  private var isDiagonal: Tensor { indices(along: -1) .== indices(along: -2) }

  /// 1 at each number's place among `count`, 0 elsewhere.
  fileprivate func oneHot(_ count: Int, dtype: DType) -> Tensor {
    (insertingAxis(-1) .== trace.iota(.i64(count))).cast(to: dtype)
  }

  fileprivate func normalized() -> Tensor {
    let length = squared().sum(-1, keepingAxes: true).squareRoot()
    return self / length.maximum(SingularPair.smallest)
  }
}
