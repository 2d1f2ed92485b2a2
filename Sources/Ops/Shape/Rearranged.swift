import IR

extension Literal {
  /// A tensor of another shape whose elements are picked from this one by offset; `nil` picks zero.
  func rearranged(to shape: [Int], _ offset: ([Int]) -> Int?) -> Literal {
    let result = type.with(shape: shape)
    switch elements {
    case .floats(let values):
      return Literal(result, floats: Positions(of: shape).map { offset($0).map { values[$0] } ?? 0 })
    case .integers(let values):
      return Literal(result, integers: Positions(of: shape).map { offset($0).map { values[$0] } ?? 0 })
    }
  }
}
