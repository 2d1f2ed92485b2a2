import DSL
import IR
import Models
import Runtime

/// Windows of a text, as a language model is trained on them.
public struct TextBatches: BatchSource {
  public let data: TextData
  public let batch: Int
  public let length: Int
  public let seed: UInt64

  /// Throws if the text has no window of this length.
  public init(_ data: TextData, batch: Int, length: Int, seed: UInt64) throws(Diagnostic) {
    try data.check(length: length)
    self.data = data
    self.batch = batch
    self.length = length
    self.seed = seed
  }

  public var types: [String: TensorType] {
    let type = TensorType(.i64, [batch, length])
    return ["tokens": type, "targets": type]
  }
  public var unit: String { "tokens" }
  public var unitsPerBatch: Int { batch * length }
  public var settings: BatchSettings {
    BatchSettings(batch: batch, length: length, tokenizer: data.tokenizer.name, seed: seed)
  }

  public var identity: DataIdentity { data.identity }
  public var tokenizer: Tokenizer? { data.tokenizer }

  public func check(_ program: Program) throws(Diagnostic) {
    guard program.inputs.contains(where: { $0.name == "tokens" }), program.inputs.contains(where: { $0.name == "targets" })
    else { throw Diagnostic("only a language model can be trained on text") }
    let table = program.parameters.first { $0.name == "embed.token.weight" }
    if let rows = table?.type.shape.first { try data.check(vocabulary: rows) }
  }

  public func batch(step: Int) throws(Diagnostic) -> [String: HostTensor] {
    try inputs(data.batch(step: step, batch: batch, length: length, seed: seed))
  }

  public var validationBatches: Int {
    data.validation.count > length ? data.validationBatches(batch: batch, length: length) : 0
  }

  public func validationBatch(_ number: Int) throws(Diagnostic) -> [String: HostTensor] {
    try inputs(data.validationBatch(number, batch: batch, length: length))
  }

  private func inputs(_ windows: HostTensor) throws(Diagnostic) -> [String: HostTensor] {
    let (tokens, targets) = try windows.tokensAndTargets()
    return ["tokens": tokens, "targets": targets]
  }
}

extension HostTensor {
  /// Windows i64[B, T + 1] as inputs and, one place on, what is to follow them.
  func tokensAndTargets() throws(Diagnostic) -> (tokens: HostTensor, targets: HostTensor) {
    (try columns(from: 0), try columns(from: 1))
  }

  /// All columns but one, from column `first` on.
  private func columns(from first: Int) throws(Diagnostic) -> HostTensor {
    let (rows, columns) = (type.shape[0], type.shape[1])
    return try HostTensor(TensorType(.i64, [rows, columns - 1])) { (memory) throws(Diagnostic) in
      withBytes { bytes in
        let (width, stride) = ((columns - 1) * 8, columns * 8)
        for row in 0..<rows {
          let source = UnsafeRawBufferPointer(rebasing: bytes[(row * stride + first * 8)...].prefix(width))
          UnsafeMutableRawBufferPointer(rebasing: memory[(row * width)...].prefix(width)).copyMemory(from: source)
        }
      }
    }
  }
}
