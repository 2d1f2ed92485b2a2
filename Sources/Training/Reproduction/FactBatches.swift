import IR
import Models
import Runtime

/// Random facts to be learnt by heart: a subject and a relation, in this order, are followed by an object.
///
///     tokens [s, 256 + r]   targets [-1, o]     s < 256, r < 64, o < 64
///
/// Nothing about a fact follows from others, so that a model knows as many as it has room for. Every pass takes each once,
/// in a new order. Validated is on all of them.
struct FactBatches: BatchSource {
  static let subjects = 256, relations = 64, objects = 64
  static let count = subjects * relations
  static let vocabulary = subjects + relations

  let batch: Int
  let seed: UInt64

  var types: [String: TensorType] { ["tokens": .i64(batch, 2), "targets": .i64(batch, 2)] }
  var unit: String { "facts" }
  var unitsPerBatch: Int { batch }
  var settings: BatchSettings { BatchSettings(batch: batch, length: 2, seed: seed) }
  var identity: DataIdentity { DataIdentity(source: "random facts", bytes: Self.count, crc32: UInt(seed & 0xffff_ffff)) }

  func check(_ program: Program) throws(Diagnostic) {
    guard let rows = program.vocabulary, rows >= Self.vocabulary else {
      throw Diagnostic("facts want a language model with a vocabulary of at least \(Self.vocabulary)")
    }
  }

  func batch(step: Int) throws(Diagnostic) -> [String: HostTensor] {
    try facts((0..<batch).map { row in
      let (pass, index) = (step * batch + row).quotientAndRemainder(dividingBy: Self.count)
      return Shuffle(Self.count, key: SplitMix64.mixed(seed &+ UInt64(pass) &* 0x9e37_79b9_7f4a_7c15))[index]
    })
  }

  var validationBatches: Int { (Self.count + batch - 1) / batch }

  func validationBatch(_ number: Int) throws(Diagnostic) -> [String: HostTensor] {
    try facts((0..<batch).map { (number * batch + $0) % Self.count })
  }

  /// What follows a subject and a relation.
  func object(of fact: Int) -> Int64 {
    Int64(SplitMix64.mixed(SplitMix64.mixed(seed) ^ UInt64(fact)) % UInt64(Self.objects))
  }

  private func facts(_ numbers: [Int]) throws(Diagnostic) -> [String: HostTensor] {
    var (tokens, targets): ([Int64], [Int64]) = ([], [])
    for number in numbers {
      tokens += [Int64(number / Self.relations), Int64(Self.subjects + number % Self.relations)]
      targets += [-1, object(of: number)]
    }
    let type = TensorType(.i64, [batch, 2])
    return ["tokens": try HostTensor(type, integers: tokens), "targets": try HostTensor(type, integers: targets)]
  }
}
