#if LLVM
  import Compiler
  import IR
  import Ops
  import Runtime
  import TestSupport
  import Testing

  /// Every op through all passes and into machine code, against its reference.
  @Suite("compiled ops") struct CompiledLaw {
    /// Ops without a kernel are bookkeeping that needs a program around it.
    static let samples = OpSet.samples.filter { sample in
      if case .none = sample.op.lower(sample.operands) { false } else { true }
    }

    @Test("machine code computes what the reference does", arguments: samples)
    func machineCodeAgreesWithReference(sample: Sample) throws {
      var builder = FunctionBuilder(name: "f")
      let operands = sample.operands.map { builder.parameter($0) }
      builder.function.results = try builder.emit(sample.op, operands)
      let options = CompileOptions(threads: 2, cacheDirectory: nil)
      let program = try CPUProgram(Module(functions: [builder.function]), entry: "f", options: options)
      let arguments = sample.arguments(seed: 11)
      for (number, argument) in arguments.enumerated() { try program.write(HostTensor(argument), to: number) }
      program.run()
      for (number, wanted) in sample.op.reference(arguments).enumerated() {
        let got = try program.result(number).literal
        let tolerance = wanted.type.dtype == .f32 ? 2e-5 : wanted.type.dtype.isFloat ? 1e-2 : 0
        #expect(got.difference(from: wanted) <= tolerance, "\(sample): \(got.doubles), not \(wanted.doubles)")
      }
    }
  }
#endif
