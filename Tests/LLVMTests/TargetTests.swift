#if LLVM
import IR
import LLVMBackend
import Passes
import Runtime
import TestSupport
import Testing

/// Code for lesser processors than this one, run here, and code for others, looked at.
@Suite("other processors") struct TargetTests {
  static let others: [CPUTarget] = {
    let host = CPUTarget.host
    guard host.triple.hasPrefix("x86_64"), host.features.contains("+avx2"), host.features.contains("+fma") else { return [] }
    let wide = "+sse4.2,+avx,+avx2,+fma,+f16c,+bmi,+bmi2"
    return [("haswell", wide), ("x86-64", "+sse4.2"), ("x86-64", "")].map { cpu, features in
      CPUTarget(triple: host.triple, cpu: cpu, features: features)
    }
  }()

  @Test("lesser processors give the same results", arguments: others)
  func lesser(target: CPUTarget) throws {
    try Machine.$shared.withValue(Machine(target)) {
      let (scalars, loops, products) = (ScalarTests(), LoopTests(), ProductTests())
      for function in BinaryFunction.allCases {
        for dtype in [DType.f32, .i32, .i64, .bool] { try scalars.binary(function: function, dtype: dtype) }
      }
      for function in [UnaryFunction.absolute, .floor, .squareRoot] { try scalars.unary(function: function, dtype: .f32) }
      for dtype in DType.allCases {
        for other in [DType.f32, .i64, .f16, .bf16, .bool] { try scalars.conversion(from: dtype, to: other) }
        try loops.distances(dtype: dtype, count: 37)
        try loops.stores(dtype: dtype, count: 21)
      }
      try scalars.rounding(dtype: .f16)
      try scalars.rounding(dtype: .bf16)
      for extent in [1, 5, 17, 100] { try loops.reductions(extent: extent, unroll: 2) }
      try loops.limits(extent: 17, unroll: 2)
      try loops.stages(width: 17)
      for turned in ProductTests.turns { try products.check(7, 19, 33, turned, limit: 5) }
      try products.check(7, 19, 33, [false, false, false], [.f16, .bf16, .f32])
    }
  }

  @Test("expanded functions have the same errors on lesser processors", arguments: Array(others.prefix(1)), MathTests.cases)
  func lesserMath(target: CPUTarget, function: MathTests.Case) throws {
    try Machine.$shared.withValue(Machine(target)) { try MathTests().errors(function) }
  }

  @Test("large outputs are written past the caches where they are aligned", arguments: [0, 8, 32], [DType.f32, .bf16, .u8])
  func streaming(margin: Int, dtype: DType) throws {
    // With a cache of 512 bytes every output is large.
    var target = CPUTarget.host
    target.cacheBytes = 512
    let machine = Machine(target, margin: margin)
    let (row, i) = (LoopVariable(0, below: 5), LoopVariable(1, below: 192))
    let at = Position(row) * 192 + Position(i)
    let type = TensorType(dtype, [5 * 192])
    let kernel = Kernel(
      name: "rows", buffers: [.init("x", dtype, type.count, .input), .init("y", dtype, type.count, .output)],
      body: [.loop(Loop(row, .parallel, [.loop(Loop(i, .vector(width: 16, unroll: 2), [.store(BufferID(1), at, load(0, dtype, at))]))]))])
    var generator = Seeded(8)
    let x = Literal.random(type, using: &generator)
    for pool in [Machine.one, Machine.two] {
      #expect(try machine.run(kernel, [x], [type], on: pool)[0].isSame(as: x))
    }
    let isStreamed = try machine.compiler.text(kernel, .llvm).contains("!nontemporal")
    #expect(isStreamed == (target.triple.hasPrefix("x86_64") && target.features.contains("+avx") && target.lanes * dtype.size >= 32))
    // An output that is its input's memory.
    let memory = try Arena(size: type.count * dtype.size)
    let compiled = try machine.compiler.compile([kernel])[0]
    memory.base.storeBytes(of: 0x4041_4243, as: UInt32.self)
    try compiled.run([memory.base, memory.base], on: Machine.one)
    #expect(memory.base.load(as: UInt32.self) == 0x4041_4243)
  }

  @Test("code for 64-bit ARM")
  func arm() throws {
    let target = CPUTarget(triple: "aarch64-unknown-linux-gnu", cpu: "cortex-a76", features: "+neon,+fullfp16")
    let compiler = CPUCompiler(cacheDirectory: nil, threads: 1, target: target)
    for dtype in DType.allCases {
      let type = TensorType(dtype, [37])
      let kernel = elementwise([type, type], type, unroll: 2) { load(0, dtype, $0, where: .compare(.less, .position($0), .integer(5, .i64))) }
      #expect(try compiler.text(kernel, .assembly).contains("elementwise_0:"))
    }
    let math = elementwise([.f32(64)], .f32(64), unroll: 2) { .unary(.tanh, load(0, .f32, $0)) }
    let text = try compiler.text(expandMath(math), .assembly)
    #expect(text.contains("fmla") && !text.contains("\tbl\t"))
  }
}
#endif
