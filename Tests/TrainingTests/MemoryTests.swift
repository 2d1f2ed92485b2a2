#if LLVM
  import Compiler
  import DSL
  import IR
  import Models
  import Runtime
  import Testing

  @testable import Training

  @Suite("memory of a training step") struct MemoryTests {
    private static let json: JSON = [
      "architecture": "language-model", "vocabulary": 512, "width": 64, "layers": 2, "heads": 4,
      "residual": ["kind": "hyper", "rate": 4], "feed_forward": ["hidden": 256], "optimizer": ["clip": 1],
    ]

    private func step() throws -> CPUProgram {
      let configuration = try Configuration(Self.json)
      let program = try Program(configuration)
      let tokens = TensorType(.i64, [4, 64])
      let forward = try program.trace(inputs: ["tokens": tokens, "targets": tokens])
      let optimizer = try #require(configuration.optimizer)
      let step = try program.trainingStep(continuing: program.differentiated(forward), optimizer: optimizer)
      return try CPUProgram(Module(functions: [step]), entry: step.name)
    }

    @Test("runs use what the plan says, to 2 %, and later runs no more")
    func planned() throws {
      let program = try step()
      for (number, value) in program.function.parameters.enumerated() {
        try program.write(try HostTensor(zeros: program.function.type(of: value)), to: number)
      }
      program.run()
      let used = try #require(program.usedBytes)
      #expect(used <= program.plannedBytes)
      #expect(Double(used) >= 0.98 * Double(program.plannedBytes), "planned \(program.plannedBytes), used \(used)")
      for _ in 0..<3 { program.run() }
      #expect(program.usedBytes == used)
    }
  }
#endif
