import IR

/// The stage as a product of a library, if it is nothing but products of known sizes:
///
///     parallel i < 24 { product 64, 512, 256 rows [-64*(i % 4) + 200]: … }
/// ->
///     200 × 512 × 256, 6 times
///
/// Pieces of rows, which the CPU's threads share, become one product again; what the other steps of the loop move is a
/// batch with even steps, and calls where the steps are not even.
func libraryProduct(of stage: Loop, in kernel: Kernel, within limits: ThreadLimits) -> LibraryProduct? {
  guard stage.limit == nil, stage.body.count == 1, case .product(var product) = stage.body[0] else { return nil }
  guard product.depthLimit == nil, let digits = digits(of: stage, product) else { return nil }
  let dtypes = [product.a, product.b, product.c].map { kernel.buffers[$0.buffer.index].dtype }
  guard isMultiplied(dtypes[0], dtypes[1], into: dtypes[2]) else { return nil }

  var rest = digits.steps
  if let first = rest.first, first.isRows(of: product) {
    rest.removeFirst()
    guard let rows = digits.rows(of: product, first) else { return nil }
    product.m = rows
  } else if product.rowLimit != nil {
    guard let limit = digits.start.limit else { return nil }
    product.m = min(product.m, limit)
  }
  guard rest.allSatisfy({ $0.limit == 0 }) else { return nil }
  product.rowLimit = nil
  product.a.offset = Position(digits.start.a)
  product.b.offset = Position(digits.start.b)
  product.c.offset = Position(digits.start.c)
  let types = (a: dtypes[0], b: dtypes[1], c: dtypes[2])
  let steps = rest.map { LibraryProduct.Step(extent: $0.extent, a: $0.a, b: $0.b, c: $0.c) }
  let library = LibraryProduct(product, dtypes: types, steps: steps, allowsTF32: limits.allowsTF32)
  guard let library, library.calls.reduce(1, *) <= limits.libraryCalls else { return nil }
  return library.flops >= limits.libraryFlops ? library : nil
}

/// The element types that are multiplied with sums in f32.
private func isMultiplied(_ a: DType, _ b: DType, into c: DType) -> Bool {
  guard a == b else { return false }
  switch a {
  case .f32: return c == .f32
  case .bf16, .f16: return c == a || c == .f32
  case .i32, .i64, .u8, .bool: return false
  }
}

/// Where the matrices start in one iteration of a stage, and what is left of its rows.
private struct Place: Hashable {
  var a: Int, b: Int, c: Int
  var limit: Int?
}

/// One digit of a stage's counter: how often it steps and how far each step goes.
private struct Digit: Hashable {
  var extent: Int
  var a: Int, b: Int, c: Int
  var limit: Int

  /// Whether the steps are pieces of one matrix's rows.
  func isRows(of product: Product) -> Bool {
    let isPiece = a == product.m * product.a.rowStride && b == 0 && c == product.m * product.c.rowStride
    return isPiece && (product.rowLimit == nil ? limit == 0 : limit == -product.m)
  }
}

/// The counter of a stage as digits, the innermost first, in which all positions are even steps.
private struct Digits {
  var start: Place
  var steps: [Digit]

  /// The rows of the whole product whose pieces the first digit counts; `nil` if a piece inside is a short one.
  func rows(of product: Product, _ first: Digit) -> Int? {
    guard product.rowLimit != nil else { return product.m * first.extent }
    guard let limit = start.limit, limit > product.m * (first.extent - 1) else { return nil }
    return min(limit, product.m * first.extent)
  }
}

private func digits(of stage: Loop, _ product: Product) -> Digits? {
  let count = stage.variable.extent
  guard (1...4096).contains(count) else { return nil }
  func at(_ number: Int, _ position: Position) -> Int? {
    position.replacing(loop: { $0 == stage.variable ? Position(number) : Position($0) }).asConstant
  }
  var places: [Place] = []
  for number in 0..<count {
    guard let a = at(number, product.a.offset), let b = at(number, product.b.offset), let c = at(number, product.c.offset)
    else { return nil }
    var limit: Int?
    if let rows = product.rowLimit {
      guard let value = at(number, rows) else { return nil }
      limit = value
    }
    places.append(Place(a: a, b: b, c: c, limit: limit))
  }
  // The first steps are even until one is not; their number is a digit's extent, and every one after starts a next digit.
  var steps: [Digit] = []
  var rest = places
  while rest.count > 1 {
    let step = difference(rest[0], rest[1])
    var extent = 2
    while extent < rest.count, difference(rest[extent - 1], rest[extent]) == step { extent += 1 }
    guard rest.count.isMultiple(of: extent) else { return nil }
    for first in stride(from: 0, to: rest.count, by: extent) {
      for number in first + 1..<first + extent where difference(rest[number - 1], rest[number]) != step { return nil }
    }
    steps.append(Digit(extent: extent, a: step.a, b: step.b, c: step.c, limit: step.limit ?? 0))
    rest = stride(from: 0, to: rest.count, by: extent).map { rest[$0] }
  }
  return Digits(start: places[0], steps: steps)
}

private func difference(_ from: Place, _ to: Place) -> Place {
  var limit: Int?
  if let first = from.limit, let second = to.limit { limit = second - first }
  return Place(a: to.a - from.a, b: to.b - from.b, c: to.c - from.c, limit: limit)
}
