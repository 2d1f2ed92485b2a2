import DSL
import IR
import Runtime
import TestSupport
import Testing

/// What model code writes down, and what comes of it.
@Suite("tensors") struct TensorTests {
  /// Runs what `body` traces on inputs of the given types.
  private func run(_ types: [TensorType], _ body: ([Tensor]) -> Tensor) throws -> (inputs: [Literal], result: Literal) {
    let trace = Trace(name: "test")
    let tensors = types.enumerated().map { trace.input("x\($0)", $1) }
    let function = try trace.finish([("y", body(tensors))])
    var random = Seeded(7)
    let inputs = types.map { Literal.random($0, using: &random) }
    return (inputs, try Interpreter(Module(functions: [function])).run(function, inputs)[0])
  }

  static let shapes: [([Int], [Int], [Int])] = [
    ([2, 3], [2, 3], [2, 3]), ([2, 3], [3], [2, 3]), ([2, 1], [1, 4], [2, 4]), ([], [2, 2], [2, 2]),
    ([3, 1, 2], [5, 1], [3, 5, 2]), ([1], [1, 1], [1, 1]), ([2, 0], [1], [2, 0]),
  ]

  @Test("axes that are missing or of extent 1 are repeated", arguments: shapes)
  func broadcasts(_ left: [Int], _ right: [Int], _ result: [Int]) throws {
    for (l, r) in [(left, right), (right, left)] {
      let (inputs, sum) = try run([TensorType(.f32, l), TensorType(.f32, r)]) { $0[0] - $0[1] }
      let expected = Literal(TensorType(.f32, result)) { at in
        inputs[0][place(at, in: l)] - inputs[1][place(at, in: r)]
      }
      #expect(sum == expected)
    }
  }

  private func place(_ at: [Int], in shape: [Int]) -> [Int] {
    zip(at.suffix(shape.count), shape).map { $1 == 1 ? 0 : $0 }
  }

  @Test("numbers stand on either side of a tensor")
  func constants() throws {
    let (inputs, result) = try run([.f32(4)]) { 1 - ($0[0] * 2 + 3) / 4 }
    #expect(result.doubles == inputs[0].doubles.map { 1 - ($0 * 2 + 3) / 4 })
    let (ids, next) = try run([.i64(4)]) { $0[0] * 3 + 1 }
    #expect(next.integers == ids[0].integers.map { $0 * 3 + 1 })
  }

  @Test("reductions drop their axes or keep them")
  func reductions() throws {
    let (inputs, mean) = try run([.f32(2, 3, 4)]) { $0[0].mean(-1, 0, keepingAxes: true) }
    let expected = Literal(.f32(1, 3, 1)) { at in
      (0..<8).reduce(0) { $0 + inputs[0][[$1 / 4, at[1], $1 % 4]] } / 8
    }
    #expect(mean.difference(from: expected) < 1e-12)
    let (_, all) = try run([.f32(2, 3)]) { $0[0].softmax().sum() }
    #expect(abs(all.doubles[0] - 2) < 1e-12)
  }

  @Test("an equation with open axes is that with letters")
  func equations() throws {
    let types: [TensorType] = [.f32(2, 3, 4, 5), .f32(2, 3, 4, 6)]
    let (_, open) = try run(types) { $0[0].contract($0[1], "...ij,...id->...jd") }
    let (_, written) = try run(types) { $0[0].contract($0[1], "btij,btid->btjd") }
    #expect(open == written)
  }

  @Test("parts of an axis put together give the axis")
  func slices() throws {
    let (inputs, whole) = try run([.f32(2, 5)]) { x in
      .concatenated([x[0].slice(0..<2), x[0].at(2).insertingAxis(-1), x[0].slice(3..<5)])
    }
    #expect(whole == inputs[0])
    let (same, split) = try run([.f32(2, 6)]) { $0[0].split(into: [-1, 2]).flattened(last: 2) }
    #expect(split == same[0])
  }

  @Test("the first error is thrown, with its line, and nothing after it traps")
  func errors() throws {
    let trace = Trace(name: "test")
    let x = trace.input("x", .f32(2, 3))
    let line = #line + 1
    let bad = x.contract(x, "ab,ab->c")
    let more = (bad + x.reshaped([7])).at(9).slice(3..<100).sum(5).rows(x).softmax().broadcast(to: [4])
    let error = #expect(throws: Diagnostic.self) { _ = try trace.finish([("y", more.crossEntropy(x))]) }
    #expect(error?.location.line == line)
    #expect(error?.location.file.hasSuffix("TensorTests.swift") == true)
  }

  @Test("what does not fit is an error, not a trap", arguments: [
    { $0[0] + $0[1] }, { $0[0].extent(7) > 0 ? $0[0] : $0[1] }, { $0[0].reshaped([-1, 5]) }, { $0[0].reshaped([-1, -1]) },
    { $0[0].slice(2..<9) }, { $0[0].at(-1) }, { $0[0].insertingAxis(9) }, { $0[0].flattened(last: 3) },
    { $0[0].contract($0[1], "...") }, { $0[0].contract($0[1], "...a") }, { $0[0].contract($0[1], "->...") },
    { $0[0].sum(2) }, { $0[0].broadcast(to: [2]) }, { $0[0].transposed([0, 0]) }, { $0[0].cast(to: .i64) + 0.5 },
    { $0[0].rows($0[1]) }, { $0[0].reshaped([1 << 62, 1 << 62]) }, { $0[0].broadcast(to: [1 << 40, 1 << 40, 2, 3]) },
    { $0[0].top(9).values }, { .concatenated([$0[0], $0[1]], axis: 0) },
  ] as [@Sendable ([Tensor]) -> Tensor])
  func rejects(_ body: @Sendable ([Tensor]) -> Tensor) {
    #expect(throws: Diagnostic.self) { _ = try run([.f32(2, 3), .f32(4)], body) }
  }
}
