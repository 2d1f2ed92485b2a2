#if LLVM
import IR
import LLVMBackend
import Runtime
import TestSupport
import Testing

/// Loops, reductions and memory of every shape, against the interpreter.
@Suite("machine code of loops") struct LoopTests {
  static let extents = [1, 2, 3, 5, 8, 15, 16, 17, 31, 33, 64, 100]

  func same(_ kernel: Kernel, _ inputs: [Literal], _ results: [TensorType], tolerance: Double = 0, sourceLocation: SourceLocation = #_sourceLocation) throws {
    let wanted = try KernelInterpreter.run(kernel, inputs: inputs, resultTypes: results)
    let got = try Machine.shared.run(kernel, inputs, results)
    for (a, b) in zip(got, wanted) {
      let difference = a.difference(from: b)
      #expect(difference <= tolerance, "\(difference)\n\(a.doubles)\n\(b.doubles)", sourceLocation: sourceLocation)
    }
  }

  @Test("reductions of vectors of every length", arguments: Self.extents, [1, 2, 4])
  func reductions(extent: Int, unroll: Int) throws {
    var generator = Seeded(UInt64(extent))
    let rows = 3
    let type = TensorType.f32(rows, extent)
    let x = Literal(type, floats: (0..<type.count).map { _ in Double(Int.random(in: -8...8, using: &generator)) })
    var spoiled = x.doubles
    spoiled[extent / 2] = .nan
    let flags = Literal(type.with(.bool), integers: (0..<type.count).map { _ in Int64.random(in: 0...1, using: &generator) })
    let numbers = Literal(type.with(.i64), integers: x.integers)
    let (row, i) = (LoopVariable(0, below: rows), LoopVariable(1, below: extent))
    let at = Position(row) * extent + Position(i)
    let cases: [(DType, Reduction, Literal)] = [
      (.f32, .sum, x), (.f32, .maximum, x), (.f32, .minimum, x), (.f32, .maximum, Literal(type, floats: spoiled)),
      (.f32, .minimum, Literal(type, floats: spoiled)), (.i64, .sum, numbers), (.i64, .maximum, numbers),
      (.i64, .minimum, numbers), (.bool, .any, flags), (.bool, .all, flags),
    ]
    for (dtype, reduction, input) in cases {
      let sum = Variable(0, ScalarType(dtype))
      let kernel = Kernel(
        name: "reduce", buffers: [.init("x", dtype, type.count, .input), .init("y", dtype, rows, .output)],
        body: [
          .loop(Loop(row, .parallel, [
            .accumulator(sum, reduction),
            .loop(Loop(i, .vector(width: 16, unroll: unroll), [.accumulate(sum, reduction, load(0, dtype, at))])),
            .store(BufferID(1), Position(row), .variable(sum)),
          ]))
        ])
      try same(kernel, [input], [TensorType(dtype, [rows])])
    }
  }

  @Test("loops with a limit stop there", arguments: [1, 3, 16, 17, 100], [1, 4])
  func limits(extent: Int, unroll: Int) throws {
    // Row r has r elements that count; the rest of the result stays zero.
    let rows = extent + 2
    let (row, i, j) = (LoopVariable(0, below: rows), LoopVariable(1, below: extent), LoopVariable(2, below: extent))
    let sum = Variable(0, .f32)
    let kernel = Kernel(
      name: "limits",
      buffers: [.init("x", .f32, extent, .input), .init("y", .f32, rows * extent, .output), .init("s", .f32, rows, .output)],
      body: [
        .loop(Loop(row, .parallel, [
          .accumulator(sum, .sum),
          .loop(Loop(j, .serial, [.store(BufferID(1), Position(row) * extent + Position(j), .float(0))])),
          .loop(Loop(i, .vector(width: 8, unroll: unroll), limit: Position(row), [
            .accumulate(sum, .sum, load(0, .f32, Position(i))),
            .store(BufferID(1), Position(row) * extent + Position(i), load(0, .f32, Position(i))),
          ])),
          .store(BufferID(2), Position(row), .variable(sum)),
        ]))
      ])
    let x = Literal(.f32(extent)) { Double($0[0] + 1) }
    try same(kernel, [x], [.f32(rows, extent), .f32(rows)])
  }

  @Test("elements at any distance and under guards", arguments: DType.allCases, [7, 16, 37])
  func distances(dtype: DType, count: Int) throws {
    var generator = Seeded(3)
    let x = Literal.random(TensorType(dtype, [count * 4]), using: &generator)
    let ids = Literal(.i64(count), integers: (0..<count).map { _ in Int64.random(in: -3..<Int64(count * 4 + 3), using: &generator) })
    func isBelow(_ position: Position, _ bound: Int) -> Scalar {
      .compare(.less, .position(position), .integer(Int64(bound), .i64))
    }
    func element(_ number: Int, _ i: Position) -> Scalar {
      switch number {
      case 0: return load(0, dtype, i)
      case 1: return load(0, dtype, i * 3 + 1)
      case 2: return load(0, dtype, Position(2 * count) - i * 2)
      case 3: return load(0, dtype, Position(5))
      case 4: return load(0, dtype, i / 3)
      case 5: return load(0, dtype, (i * 5) % 7)
      case 6: return load(0, dtype, i + -2, where: .unary(.not, isBelow(i, 2)))
      case 7: return load(0, dtype, i * 5, where: isBelow(i * 5, count * 4))
      case 8: return load(0, dtype, Position(3), where: isBelow(i, 4))
      case 9: return load(0, dtype, i / 2, where: isBelow(i, 4))
      case 10: return load(0, dtype, i, where: .boolean(false))
      default: return load(0, dtype, Position(-9), where: .boolean(false))
      }
    }
    let type = TensorType(dtype, [count])
    for number in 0..<12 {
      for (width, unroll) in [(1, 1), (16, 1), (16, 2)] {
        let kernel = elementwise([x.type], type, width: width, unroll: unroll) { element(number, $0) }
        try same(kernel, [x], [type])
      }
    }
    // Numbers the kernel reads, some of them outside the table.
    let (row, i, id) = (LoopVariable(0, below: 1), LoopVariable(1, below: count), Variable(0, .i64))
    let inside = Scalar.binary(
      .and, .compare(.greaterOrEqual, .variable(id), .integer(0, .i64)),
      .compare(.less, .variable(id), .integer(Int64(count * 4), .i64)))
    for kind in [Loop.Kind.serial, .vector(width: 16, unroll: 2)] {
      let kernel = Kernel(
        name: "gather",
        buffers: [.init("x", dtype, count * 4, .input), .init("ids", .i64, count, .input), .init("y", dtype, count, .output)],
        body: [
          .loop(Loop(row, .parallel, [
            .loop(Loop(i, kind, [
              .define(id, load(1, .i64, Position(i))),
              .store(BufferID(2), Position(i), load(0, dtype, Position(id), where: inside)),
            ]))
          ]))
        ])
      try same(kernel, [x, ids], [TensorType(dtype, [count])])
    }
  }

  @Test("stores at a distance, under conditions, and where numbers say", arguments: DType.allCases, [5, 16, 37])
  func stores(dtype: DType, count: Int) throws {
    var generator = Seeded(4)
    let x = Literal.random(TensorType(dtype, [count]), using: &generator)
    let order = Literal(.i64(count), integers: (0..<Int64(count)).shuffled(using: &generator))
    let type = TensorType(dtype, [count * 2])
    let (row, i, j, id) = (LoopVariable(0, below: 1), LoopVariable(1, below: count), LoopVariable(2, below: count * 2), Variable(0, .i64))
    let zero: Scalar = dtype.isFloat ? .float(0) : dtype == .bool ? .boolean(false) : .integer(0, ScalarType(dtype))
    let value = load(0, dtype, Position(i))
    let isThird = Scalar.compare(.equal, .position(Position(i) % 3), .integer(1, .i64))
    let bodies: [[Statement]] = [
      [.store(BufferID(2), Position(i) * 2 + 1, value)],
      [.store(BufferID(2), Position(i) * -1 + (count - 1), value)],
      [.conditional(isThird, [.store(BufferID(2), Position(i), value)])],
      [.conditional(isThird, [.store(BufferID(2), Position(i) * 2, value)])],
      [.conditional(.boolean(true), [.store(BufferID(2), Position(i), value)])],
      [.define(id, load(1, .i64, Position(i))), .store(BufferID(2), Position(id), value)],
    ]
    for body in bodies {
      for kind in [Loop.Kind.serial, .vector(width: 16, unroll: 2)] {
        let kernel = Kernel(
          name: "stores",
          buffers: [.init("x", dtype, count, .input), .init("order", .i64, count, .input), .init("y", dtype, count * 2, .output)],
          body: [
            .loop(Loop(row, .parallel, [.loop(Loop(j, .vector(width: 16, unroll: 1), [.store(BufferID(2), Position(j), zero)]))])),
            .loop(Loop(row, .parallel, [.loop(Loop(i, kind, body))])),
          ])
        try same(kernel, [x, order], [type])
      }
    }
  }

  @Test("all lanes to one place is refused")
  func oneplace() throws {
    let i = LoopVariable(1, below: 32)
    let store = Statement.store(BufferID(0), Position(0), .float(1))
    let kernel = Kernel(name: "wrong", buffers: [.init("y", .f32, 1, .output)], body: [
      .loop(Loop(LoopVariable(0, below: 1), .parallel, [.loop(Loop(i, .vector(width: 16, unroll: 1), [store]))]))
    ])
    #expect(throws: Diagnostic.self) { try Machine.shared.compiler.compile([kernel]) }
  }

  @Test("sums inside of vector loops, stages with workspace, local buffers", arguments: [3, 17, 1500])
  func stages(width: Int) throws {
    // y = x · w (loops), then a stage that subtracts the mean of each row, by way of a local buffer.
    let (rows, depth) = (5, 7)
    let (row, j, k) = (LoopVariable(0, below: rows), LoopVariable(1, below: width), LoopVariable(2, below: depth))
    let (j2, j3) = (LoopVariable(3, below: width), LoopVariable(4, below: width))
    let (sum, total, mean) = (Variable(0, .f32), Variable(1, .f32), Variable(2, .f32))
    let (r, local) = (Position(row) * width, BufferID(4))
    let kernel = Kernel(
      name: "stages",
      buffers: [
        .init("x", .f32, rows * depth, .input), .init("w", .f32, depth * width, .input), .init("y", .f32, rows * width, .output),
        .init("t", .f32, rows * width, .workspace), .init("l", .f32, width, .local),
      ],
      body: [
        .loop(Loop(row, .parallel, [
          .loop(Loop(j, .vector(width: 16, unroll: 2), [
            .accumulator(sum, .sum),
            .loop(Loop(k, .serial, [
              .accumulate(sum, .sum, load(0, .f32, Position(row) * depth + Position(k)) * load(1, .f32, Position(k) * width + Position(j)))
            ])),
            .store(BufferID(3), r + Position(j), .variable(sum)),
          ]))
        ])),
        .loop(Loop(row, .parallel, [
          .accumulator(total, .sum),
          .loop(Loop(j2, .vector(width: 8, unroll: 4), [
            .accumulate(total, .sum, load(3, .f32, r + Position(j2))),
            .store(local, Position(j2), load(3, .f32, r + Position(j2)) * .float(2)),
          ])),
          .define(mean, .variable(total) / .float(Double(width))),
          .conditional(.compare(.notEqual, .position(Position(row)), .integer(3, .i64)), [
            .loop(Loop(j3, .vector(width: 16, unroll: 1), [
              .store(BufferID(2), r + Position(j3), load(4, .f32, Position(j3)) - .variable(mean))
            ]))
          ]),
          .conditional(.compare(.equal, .position(Position(row)), .integer(3, .i64)), [
            .loop(Loop(j3, .vector(width: 16, unroll: 1), [.store(BufferID(2), r + Position(j3), .float(1))]))
          ]),
        ])),
      ])
    var generator = Seeded(9)
    let x = Literal.random(.f32(rows, depth), using: &generator)
    let w = Literal.random(.f32(depth, width), using: &generator)
    try same(kernel, [x, w], [.f32(rows, width)], tolerance: 1e-6)
    let compiled = try Machine.shared.compiler.compile([kernel])[0]
    let one = try Machine.shared.run(compiled, kernel, [x, w], [.f32(rows, width)], on: Machine.one)[0]
    let two = try Machine.shared.run(compiled, kernel, [x, w], [.f32(rows, width)], on: Machine.two)[0]
    #expect(one.isSame(as: two))
  }
}
#endif
