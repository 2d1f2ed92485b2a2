import Compiler
import IR
import Models
import Runtime

/// Continues token sequences with a language model.
public struct Generation {
  private let program: Program
  private let target: CompileTarget
  private let options: CompileOptions

  public init(_ program: Program, _ target: CompileTarget, _ options: CompileOptions = CompileOptions()) {
    self.program = program
    self.target = target
    self.options = options
  }

  /// The tokens that follow a prompt when the one with the largest logit is taken each time, the lowest of equals.
  ///
  /// One program of the full length serves every step: a causal model does not see what follows, so that the places
  /// still to come may hold anything.
  ///
  /// - Parameter prompt: `i64[B, T]`, T at least 1.
  /// - Returns: `i64[B, count]`.
  public func greedy(
    after prompt: HostTensor, count: Int, parameters: [String: HostTensor]
  ) throws(Diagnostic) -> HostTensor {
    try extend(prompt, count, parameters) { logits in
      var best = 0
      for (token, logit) in logits.enumerated() where logit > logits[best] { best = token }
      return best
    }
  }

  /// The same with a choice of one's own from the logits of the last position.
  public func extend(
    _ prompt: HostTensor, _ count: Int, _ parameters: [String: HostTensor], choose: ([Float]) -> Int,
    show: (Int) throws(Diagnostic) -> Void = { _ in }
  ) throws(Diagnostic) -> HostTensor {
    guard prompt.type.dtype == .i64, prompt.type.rank == 2, prompt.type.shape[1] > 0 else {
      throw Diagnostic("a prompt is i64[B, T] with at least one token, got \(prompt.type)")
    }
    let (batch, length) = (prompt.type.shape[0], prompt.type.shape[1])
    let whole = length + max(0, count - 1)
    let forward = try program.trace(inputs: ["tokens": TensorType(.i64, [batch, whole])])
    let executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    guard let tokenNumber = executable.parameterNumber("input/tokens"), let logitNumber = executable.resultNumber("logits")
    else { throw Diagnostic("only a language model can generate") }
    for (number, value) in forward.parameters.enumerated() where number != tokenNumber {
      guard let tensor = parameters[forward.name(of: value)] else {
        throw Diagnostic("the tensor '\(forward.name(of: value))' is missing")
      }
      try executable.write(tensor, to: number)
    }
    let given = prompt.integers
    var rows = (0..<batch).map { row in Array(given[row * length..<(row + 1) * length]) }
    for step in 0..<count {
      let padded = rows.flatMap { $0 + [Int64](repeating: 0, count: whole - min(whole, $0.count)) }
      try executable.write(try HostTensor(TensorType(.i64, [batch, whole]), integers: padded), to: tokenNumber)
      try executable.run()
      let logits = try executable.result(logitNumber)
      let vocabulary = logits.type.shape[2]
      for row in rows.indices {
        let start = (row * whole + length + step - 1) * vocabulary
        let last = logits.withBytes { bytes in
          (0..<vocabulary).map { bytes.loadUnaligned(fromByteOffset: (start + $0) * 4, as: Float.self) }
        }
        rows[row].append(Int64(choose(last)))
      }
      try show(step)
    }
    return try HostTensor(TensorType(.i64, [batch, count]), integers: rows.flatMap { $0.suffix(count) })
  }
}
