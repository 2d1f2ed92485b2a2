#if LLVM
import IR

/// A kernel on its way to machine code: one LLVM function for each stage.
struct KernelCode {
  let kernel: Kernel
  let target: CPUTarget
  /// The name of the functions, less the stage's number; the same for equal kernels.
  let symbol: String

  func symbols() -> [String] { kernel.body.indices.map { "\(symbol)_\($0)" } }

  /// The stages as loops; anything else is no kernel.
  func stages() throws(Diagnostic) -> [Loop] {
    var stages: [Loop] = []
    for statement in kernel.body {
      guard case .loop(let loop) = statement, loop.kind == .parallel else {
        throw Diagnostic("kernel '\(kernel.name)' has a stage that is no parallel loop")
      }
      stages.append(loop)
    }
    return stages
  }

  private func optimized(by machine: TargetMachine) throws(Diagnostic) -> CodeBuilder {
    let code = CodeBuilder(module: symbol)
    let places = LocalPlaces(kernel)
    for (stage, name) in zip(try stages(), symbols()) {
      _ = try StageEmitter(name, stage, of: kernel, places: places, target: target, in: code)
    }
    try machine.optimize(code)
    return code
  }

  func object() throws(Diagnostic) -> [UInt8] {
    let machine = try TargetMachine(target)
    return try machine.emit(optimized(by: machine), assembly: false)
  }

  func text(_ form: CPUCompiler.TextForm) throws(Diagnostic) -> String {
    let machine = try TargetMachine(target)
    let code = try optimized(by: machine)
    switch form {
    case .llvm: return machine.text(code)
    case .assembly: return String(decoding: try machine.emit(code, assembly: true), as: UTF8.self)
    }
  }
}
#endif
