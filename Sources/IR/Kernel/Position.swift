/// The counter of a loop: runs over 0 ..< extent.
public struct LoopVariable: Hashable, Sendable {
  public let id: Int
  public let extent: Int
  public init(_ id: Int, below extent: Int) {
    self.id = id
    self.extent = extent
  }
}

/// An integer expression over loop counters: a constant and a sum of multiples of atoms, kept in one normal form.
///
/// `/` and `%` are the floor quotient and remainder by a positive constant; they vanish where the ranges of the loops
/// allow it, which is what makes a reshape free and an access recognisable.
public struct Position: Hashable, Sendable {
  public private(set) var constant: Int
  public private(set) var terms: [Term]

  public struct Term: Hashable, Sendable {
    public let coefficient: Int
    public let atom: Atom
  }

  public indirect enum Atom: Hashable, Sendable {
    case loop(LoopVariable)
    case quotient(Position, Int)
    case remainder(Position, Int)
    /// An integer the kernel computed, such as a token id.
    case variable(Variable)
  }

  public init(_ constant: Int) {
    self.constant = constant
    terms = []
  }
  public init(_ loop: LoopVariable) {
    constant = 0
    terms = loop.extent <= 1 ? [] : [Term(coefficient: 1, atom: .loop(loop))]
  }
  public init(_ variable: Variable) {
    constant = 0
    terms = [Term(coefficient: 1, atom: .variable(variable))]
  }
  private init(_ constant: Int, _ terms: [Term]) {
    self.constant = constant
    self.terms = terms
  }

  /// The value, if it does not depend on any loop.
  public var asConstant: Int? { terms.isEmpty ? constant : nil }

  /// Smallest and largest value, `nil` if a variable of unknown range takes part.
  public var range: ClosedRange<Int>? {
    var (low, high) = (constant, constant)
    for term in terms {
      guard let range = term.atom.range else { return nil }
      let (a, b) = (term.coefficient * range.lowerBound, term.coefficient * range.upperBound)
      low += min(a, b)
      high += max(a, b)
    }
    return low...high
  }

  public static func + (l: Self, r: Self) -> Self {
    if l.terms.isEmpty { return Self(l.constant + r.constant, r.terms) }
    if r.terms.isEmpty { return Self(l.constant + r.constant, l.terms) }
    var terms = l.terms
    for term in r.terms {
      if let i = terms.firstIndex(where: { $0.atom == term.atom }) {
        let sum = terms[i].coefficient + term.coefficient
        if sum == 0 { terms.remove(at: i) } else { terms[i] = Term(coefficient: sum, atom: term.atom) }
      } else {
        terms.append(term)
      }
    }
    if let joined = Self.joined(terms) { return joined + (l.constant + r.constant) }
    terms.sort { $0.atom.order < $1.atom.order }
    return Self(l.constant + r.constant, terms)
  }

  /// `k·c·(x / c) + k·(x % c) = k·x`: a position taken apart by a shape and put together again is itself.
  private static func joined(_ terms: [Term]) -> Position? {
    for (i, low) in terms.enumerated() {
      guard case .remainder(let inner, let by) = low.atom else { continue }
      let high = Atom.quotient(inner, by)
      guard let j = terms.firstIndex(where: { $0.atom == high && $0.coefficient == low.coefficient * by }) else { continue }
      let others = terms.enumerated().filter { $0.offset != i && $0.offset != j }.map(\.element)
      return others.reduce(inner * low.coefficient) { $0 + Self(0, [$1]) }
    }
    return nil
  }

  public static func - (l: Self, r: Self) -> Self { l + r * -1 }
  public static func + (l: Self, r: Int) -> Self { Self(l.constant + r, l.terms) }
  public static func * (l: Self, r: Int) -> Self {
    r == 0 ? Self(0) : Self(l.constant * r, l.terms.map { Term(coefficient: $0.coefficient * r, atom: $0.atom) })
  }

  public static func / (l: Self, divisor: Int) -> Self { l.divided(by: divisor).quotient }
  public static func % (l: Self, divisor: Int) -> Self { l.divided(by: divisor).remainder }

  private func divided(by divisor: Int) -> (quotient: Self, remainder: Self) {
    precondition(divisor > 0, "positions are divided by positive numbers only")
    if divisor == 1 { return (self, Self(0)) }
    // What is a multiple of the divisor leaves; the rest is small, or stays a quotient.
    var (whole, rest) = (Self(0), Self(0))
    for term in terms {
      if term.coefficient.isMultiple(of: divisor) {
        whole.terms.append(Term(coefficient: term.coefficient / divisor, atom: term.atom))
      } else {
        rest.terms.append(term)
      }
    }
    whole.constant = floorQuotient(constant, divisor)
    rest.constant = constant - whole.constant * divisor
    if let range = rest.range, range.lowerBound >= 0 || rest.terms.isEmpty {
      if range.upperBound < divisor { return (whole, rest) }
    }
    // (a·q + s) / (a·c) = q / c when 0 ≤ s < a: common factors of coefficients and divisor leave with their digits.
    let common = rest.terms.reduce(divisor) { greatestCommonDivisor($0, $1.coefficient) }
    if common > 1 {
      let digit = rest.constant % common
      let reduced = Self(
        (rest.constant - digit) / common,
        rest.terms.map { Term(coefficient: $0.coefficient / common, atom: $0.atom) })
      let inner = reduced.divided(by: divisor / common)
      return (whole + inner.quotient, inner.remainder * common + digit)
    }
    // A digit below the common factor of the other terms leaves too: (64·r + d) / 128 with d < 64.
    for (number, term) in rest.terms.enumerated() where rest.constant == 0 && rest.terms.count > 1 {
      guard let range = term.atom.range, term.coefficient > 0, range.lowerBound >= 0 else { continue }
      var others = rest.terms
      others.remove(at: number)
      let factor = others.reduce(divisor) { greatestCommonDivisor($0, $1.coefficient) }
      if factor > 1, term.coefficient * range.upperBound < factor {
        let inner = Self(0, others.map { Term(coefficient: $0.coefficient / factor, atom: $0.atom) })
          .divided(by: divisor / factor)
        return (whole + inner.quotient, inner.remainder * factor + Self(0, [term]))
      }
    }
    return (
      whole + Self(0, [Term(coefficient: 1, atom: .quotient(rest, divisor))]),
      Self(0, [Term(coefficient: 1, atom: .remainder(rest, divisor))])
    )
  }

  /// How much the position moves when `loop` takes a step; `nil` if that is not always the same.
  public func step(along loop: LoopVariable) -> Int? {
    var step = 0
    for term in terms {
      switch term.atom {
      case .loop(let other): if other == loop { step += term.coefficient }
      case .quotient(let inner, _), .remainder(let inner, _): if inner.depends(on: loop) { return nil }
      case .variable: break
      }
    }
    return step
  }

  public func depends(on loop: LoopVariable) -> Bool {
    terms.contains {
      switch $0.atom {
      case .loop(let other): other == loop
      case .quotient(let inner, _), .remainder(let inner, _): inner.depends(on: loop)
      case .variable: false
      }
    }
  }

  /// The position with every atom that is a loop or a variable replaced.
  public func replacing(
    loop: (LoopVariable) -> Position, variable: (Variable) -> Position = { Position($0) }
  ) -> Position {
    var result = Position(constant)
    for term in terms {
      let atom: Position =
        switch term.atom {
        case .loop(let old): loop(old)
        case .variable(let old): variable(old)
        case .quotient(let inner, let by): inner.replacing(loop: loop, variable: variable) / by
        case .remainder(let inner, let by): inner.replacing(loop: loop, variable: variable) % by
        }
      result = result + atom * term.coefficient
    }
    return result
  }

  /// The variables of the kernel it reads.
  public var variables: [Variable] {
    terms.flatMap { term -> [Variable] in
      switch term.atom {
      case .loop: []
      case .variable(let variable): [variable]
      case .quotient(let inner, _), .remainder(let inner, _): inner.variables
      }
    }
  }

  /// The row-major offset of a position in a shape.
  public static func offset(of position: [Position], in shape: [Int]) -> Position {
    var offset = Position(0)
    for (at, extent) in zip(position, shape) { offset = offset * extent + at }
    return offset
  }

  /// The position in a shape that has a row-major offset.
  public static func position(of offset: Position, in shape: [Int]) -> [Position] {
    var rest = offset
    var position: [Position] = []
    for extent in shape.reversed() {
      position.append(position.count == shape.count - 1 ? rest : rest % extent)
      rest = rest / extent
    }
    return position.reversed()
  }
}

extension Position.Atom {
  public var range: ClosedRange<Int>? {
    switch self {
    case .loop(let loop): return 0...Swift.max(0, loop.extent - 1)
    case .remainder(_, let by): return 0...(by - 1)
    case .quotient(let inner, let by):
      guard let range = inner.range else { return nil }
      return floorQuotient(range.lowerBound, by)...floorQuotient(range.upperBound, by)
    case .variable: return nil
    }
  }

  /// A fixed order of atoms, so that equal positions have equal terms.
  var order: (Int, Int, Int, Int) {
    switch self {
    case .loop(let loop): (0, loop.id, 0, 0)
    case .variable(let variable): (1, variable.id, 0, 0)
    case .quotient(let inner, let by): (2, by, inner.constant, inner.terms.first?.atom.order.1 ?? 0)
    case .remainder(let inner, let by): (3, by, inner.constant, inner.terms.first?.atom.order.1 ?? 0)
    }
  }
}

private func floorQuotient(_ a: Int, _ b: Int) -> Int {
  let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
  return remainder < 0 ? quotient - 1 : quotient
}

func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (abs(a), abs(b))
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
