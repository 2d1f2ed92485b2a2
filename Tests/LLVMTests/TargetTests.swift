#if LLVM
import IR
import LLVMBackend
import Passes
import Runtime
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
