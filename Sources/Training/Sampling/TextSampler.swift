import Compiler
import Foundation
import IR
import Models
import Runtime

/// How the next token is drawn from the logits.
public struct SamplingOptions: Hashable, Sendable {
  /// What the logits are divided by; 0 takes the likeliest token.
  public var temperature: Double
  /// Only so many of the likeliest tokens can be drawn; 0 for all.
  public var top: Int

  public init(temperature: Double = 1, top: Int = 0) {
    self.temperature = temperature
    self.top = top
  }

  /// Draws from a softmax of the logits; of equal logits the lower token comes first.
  public func draw(_ logits: [Float], using random: inout SplitMix64) -> Int {
    var order = Array(logits.indices)
    order.sort { (logits[$1], $0) < (logits[$0], $1) }
    guard temperature > 0, let best = order.first else { return order.first ?? 0 }
    if top > 0 { order = Array(order.prefix(top)) }
    let weights = order.map { exp((Double(logits[$0]) - Double(logits[best])) / temperature) }
    var rest = random.unit() * weights.reduce(0, +)
    for (token, weight) in zip(order, weights) {
      rest -= weight
      if rest < 0 { return token }
    }
    return best
  }
}

/// Continues a text token by token.
///
/// The model sees at most the last `context` tokens. Each token costs a forward pass over the whole context.
public final class TextSampler {
  public let tokenizer: Tokenizer
  private let executable: any Executable
  private let context: Int
  private let vocabulary: Int
  /// Ids that can be drawn: those that stand for something.
  private let drawn: Int
  private let tokens, logits: Int

  public init(
    _ program: Program, _ tensors: [String: HostTensor], _ tokenizer: Tokenizer = .bytes, context: Int,
    for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    self.tokenizer = tokenizer
    self.context = context
    let forward = try program.trace(inputs: ["tokens": TensorType(.i64, [1, context])])
    executable = try compile(Module(functions: [forward]), entry: forward.name, for: target, options: options)
    guard let tokens = executable.parameterNumber(ValueNames.input("tokens")),
      let logits = executable.resultNumber("logits")
    else { throw Diagnostic("only a language model can be sampled from") }
    (self.tokens, self.logits) = (tokens, logits)
    let type = forward.type(of: forward.results[logits])
    vocabulary = type.shape[2]
    drawn = tokenizer.vocabulary ?? vocabulary
    guard vocabulary >= drawn, type.dtype == .f32 else {
      throw Diagnostic("\(tokenizer.unit) want f32 logits of at least \(drawn) ids, the model has \(type)")
    }
    for (number, value) in forward.parameters.enumerated() where number != tokens {
      let name = forward.name(of: value)
      guard let tensor = tensors.first(where: { ValueNames.parameter($0.key) == name })?.value else {
        throw Diagnostic("the tensor '\(name)' is missing")
      }
      try executable.write(tensor, to: number)
    }
  }

  /// Gives the bytes of `count` tokens that follow a prompt of at least one, each to `show` as it comes.
  public func extend(
    _ prompt: [UInt8], by count: Int, _ options: SamplingOptions = SamplingOptions(), seed: UInt64,
    show: ([UInt8]) -> Void = { _ in }
  ) throws(Diagnostic) -> [UInt8] {
    var ids = try tokenizer.encode(prompt)
    guard !ids.isEmpty else { throw Diagnostic("a prompt wants at least one of the model's \(tokenizer.unit)") }
    if let id = ids.first(where: { $0 >= vocabulary }) {
      throw Diagnostic("the prompt's id \(id) is none of the model's \(vocabulary)")
    }
    var random = SplitMix64(seed: seed)
    var text: [UInt8] = []
    for _ in 0..<count {
      // A causal model does not see what follows, so the places still to come may hold anything.
      let window = ids.suffix(context)
      let padded = window.map { Int64($0) } + [Int64](repeating: 0, count: context - window.count)
      try executable.write(try HostTensor(TensorType(.i64, [1, context]), integers: padded), to: tokens)
      try executable.run()
      let id = options.draw(try last(window.count - 1), using: &random)
      let bytes = tokenizer.decode([id])
      ids.append(id)
      text += bytes
      show(bytes)
    }
    return text
  }

  /// The logits of all ids at a position.
  private func last(_ position: Int) throws(Diagnostic) -> [Float] {
    let start = position * vocabulary
    return try executable.result(logits).withBytes { bytes in
      (0..<drawn).map { bytes.loadUnaligned(fromByteOffset: (start + $0) * 4, as: Float.self) }
    }
  }
}
