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
    terms.sort { $0.atom.precedes($1.atom) }
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
    // Digits below a common factor of the larger terms leave too: (64·r + 8·a + d + 1) / 128 with a < 8, d < 7.
    if let factor = rest.digitFactor(divisor) {
      var (large, small) = (Self(0), Self(0))
      for term in rest.terms {
        if term.coefficient.isMultiple(of: factor) {
          large.terms.append(Term(coefficient: term.coefficient / factor, atom: term.atom))
        } else {
          small.terms.append(term)
        }
      }
      large.constant = rest.constant / factor
      small.constant = rest.constant % factor
      let inner = large.divided(by: divisor / factor)
      return (whole + inner.quotient, inner.remainder * factor + small)
    }
    return (
      whole + Self(0, [Term(coefficient: 1, atom: .quotient(rest, divisor))]),
      Self(0, [Term(coefficient: 1, atom: .remainder(rest, divisor))])
    )
  }

  /// The smallest factor of the divisor and of some terms that all other terms and the constant stay below.
  private func digitFactor(_ divisor: Int) -> Int? {
    let sizes = terms.map { abs($0.coefficient) }.sorted()
    for cut in sizes.indices.dropFirst() {
      let factor = sizes[cut...].reduce(divisor, greatestCommonDivisor)
      guard factor > 1 else { continue }
      let small = Self(constant % factor, terms.filter { !$0.coefficient.isMultiple(of: factor) })
      if let range = small.range, range.lowerBound >= 0, range.upperBound < factor { return factor }
    }
    return nil
  }

  /// How much the position moves when `loop` takes a step; `nil` if that is not always the same. Variables are taken as
  /// fixed: whoever asks knows whether one is computed inside the loop.
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

  /// Whether `width` neighbouring turns of a loop, from a multiple of as many on, are at neighbouring places.
  ///
  ///     256 · (j / 32) + j % 32      up to 32
  public func isContiguous(along loop: LoopVariable, by width: Int) -> Bool {
    if let step = step(along: loop) { return step == 1 }
    guard loop.extent.isMultiple(of: width) else { return false }
    let (part, member) = (LoopVariable(-1, below: loop.extent / width), LoopVariable(-2, below: width))
    let place = replacing { $0 == loop ? Position(part) * width + Position(member) : Position($0) }
    return place.step(along: member) == 1
  }

  /// Whether it is a multiple of a number whatever the loops are at.
  public func isMultiple(of number: Int) -> Bool {
    constant.isMultiple(of: number) && terms.allSatisfy { $0.coefficient.isMultiple(of: number) }
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
    var variables: [Variable] = []
    forEachVariable { variables.append($0) }
    return variables
  }

  /// Calls `body` for each variable of the kernel it reads.
  public func forEachVariable(_ body: (Variable) -> Void) {
    for term in terms {
      switch term.atom {
      case .loop: break
      case .variable(let variable): body(variable)
      case .quotient(let inner, _), .remainder(let inner, _): inner.forEachVariable(body)
      }
    }
  }

  /// The row-major offset of a position in a shape.
  public static func offset(of position: [Position], in shape: [Int]) -> Position {
    var offset = Position(0)
    for (at, extent) in zip(position, shape) { offset = offset * extent + at }
    return offset
  }

  /// The position in a shape that has a row-major offset; in an empty shape any will do, as nobody uses it.
  public static func position(of offset: Position, in shape: [Int]) -> [Position] {
    var rest = offset
    var position: [Position] = []
    // No position is asked for in a shape without elements; an extent of 0 must not divide all the same.
    for extent in shape.reversed().map({ Swift.max($0, 1) }) {
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

  /// A total order of atoms, so that equal positions have equal terms.
  func precedes(_ other: Self) -> Bool { Self.difference(self, other) < 0 }

  /// Negative, zero or positive as `a` comes before, is, or comes after `b`.
  private static func difference(_ a: Self, _ b: Self) -> Int {
    switch (a, b) {
    case (.loop(let l), .loop(let r)): first(l.id - r.id, l.extent - r.extent)
    case (.variable(let l), .variable(let r)): first(l.id - r.id, l.type.rawValue < r.type.rawValue ? -1 : l == r ? 0 : 1)
    case (.quotient(let l, let c), .quotient(let r, let d)), (.remainder(let l, let c), .remainder(let r, let d)):
      first(c - d, difference(l, r))
    case (.loop, _), (.variable, .quotient), (.variable, .remainder), (.quotient, .remainder): -1
    case (.variable, .loop), (.quotient, .loop), (.quotient, .variable), (.remainder, _): 1
    }
  }

  private static func difference(_ a: Position, _ b: Position) -> Int {
    let own = first(a.constant - b.constant, a.terms.count - b.terms.count)
    if own != 0 { return own }
    for (l, r) in zip(a.terms, b.terms) {
      let own = first(l.coefficient - r.coefficient, difference(l.atom, r.atom))
      if own != 0 { return own }
    }
    return 0
  }

  private static func first(_ a: Int, _ b: @autoclosure () -> Int) -> Int { a != 0 ? a : b() }
}

func floorQuotient(_ a: Int, _ b: Int) -> Int {
  let (quotient, remainder) = a.quotientAndRemainder(dividingBy: b)
  return remainder < 0 ? quotient - 1 : quotient
}

/// The least power of two that is no less than a number.
public func powerOfTwo(atLeast count: Int) -> Int {
  var power = 1
  while power < count { power *= 2 }
  return power
}

func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
  var (a, b) = (abs(a), abs(b))
  while b != 0 { (a, b) = (b, a % b) }
  return a
}
