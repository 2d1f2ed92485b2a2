import Compiler
import IR
import Models
import Runtime

/// Continues token sequences with a language model.
public struct Generation {
  fileprivate let program: Program
  fileprivate let target: CompileTarget
  fileprivate let options: CompileOptions

  public init(_ program: Program, _ target: CompileTarget, _ options: CompileOptions = CompileOptions()) {
    self.program = program
    self.target = target
    self.options = options
  }

  /// The tokens that follow a prompt when the one with the largest logit is taken each time, the lowest of equals.
  ///
  /// One program of the full length serves every step of a causal model: it does not see what follows, so that the
  /// places still to come may hold anything. Others are asked anew at every length.
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
    var whole = length + max(0, count - 1)
    var model = try Forward(self, batch, whole, parameters)
    let given = prompt.integers
    var rows = (0..<batch).map { row in Array(given[row * length..<(row + 1) * length]) }
    for step in 0..<count {
      if !program.isCausal, step > 0 || whole != length {
        whole = length + step
        model = try Forward(self, batch, whole, parameters)
      }
      let padded = rows.flatMap { $0 + [Int64](repeating: 0, count: whole - min(whole, $0.count)) }
      let logits = try model.logits(after: try HostTensor(TensorType(.i64, [batch, whole]), integers: padded))
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

/// A language model compiled for one length, with its tensors.
private struct Forward {
  private let executable: any Executable
  private let tokens, logits: Int

  init(
    _ generation: Generation, _ batch: Int, _ length: Int, _ parameters: [String: HostTensor]
  ) throws(Diagnostic) {
    let forward = try generation.program.trace(inputs: ["tokens": TensorType(.i64, [batch, length])])
    executable = try compile(
      Module(functions: [forward]), entry: forward.name, for: generation.target, options: generation.options)
    guard let tokens = executable.parameterNumber("input/tokens"), let logits = executable.resultNumber("logits") else {
      throw Diagnostic("only a language model can generate")
    }
    (self.tokens, self.logits) = (tokens, logits)
    for (number, value) in forward.parameters.enumerated() where number != tokens {
      guard let tensor = parameters[forward.name(of: value)] else {
        throw Diagnostic("the tensor '\(forward.name(of: value))' is missing")
      }
      try executable.write(tensor, to: number)
    }
  }

  /// The logits of every position.
  func logits(after ids: HostTensor) throws(Diagnostic) -> HostTensor {
    try executable.write(ids, to: tokens)
    try executable.run()
    return try executable.result(logits)
  }
}
