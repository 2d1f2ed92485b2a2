import IR
import Models
import Runtime

/// Random facts to be learnt by heart: a subject and a relation have an object.
///
///     facts = (subject[s] + relation[r]) / √2   objects = o     s < 256, r < 64, o < 64
///
/// Subjects and relations are vectors of 64 normal numbers, which stay what they are.
/// Nothing about a fact follows from others, so that a model knows as many as it has room for. Every pass takes each once,
/// in a new order. Validated is on all of them.
struct FactBatches: BatchSource {
  static let subjects = 256, relations = 64, objects = 64
  static let count = subjects * relations
  static let width = 64

  let batch: Int
  let seed: UInt64
  /// A row for each subject, then one for each relation.
  private let vectors: [Double]

  init(batch: Int, seed: UInt64) {
    self.batch = batch
    self.seed = seed
    var random = SplitMix64(seed: SplitMix64.mixed(seed &+ 1))
    vectors = (0..<((Self.subjects + Self.relations) * Self.width)).map { _ in random.normal() / 2.0.squareRoot() }
  }

  var types: [String: TensorType] { ["facts": .f32(batch, 1, Self.width), "objects": .i64(batch, 1)] }
  var unit: String { "facts" }
  var unitsPerBatch: Int { batch }
  var settings: BatchSettings { BatchSettings(batch: batch, seed: seed) }
  var identity: DataIdentity { DataIdentity(source: "random facts", bytes: Self.count, crc32: UInt(seed & 0xffff_ffff)) }

  func check(_ program: Program) throws(Diagnostic) {
    guard program.inputs.contains(where: { $0.name == "facts" }) else {
      throw Diagnostic("facts want a model that takes facts")
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
    var facts: [Double] = []
    for number in numbers {
      let (subject, relation) = number.quotientAndRemainder(dividingBy: Self.relations)
      let (first, second) = (subject * Self.width, (Self.subjects + relation) * Self.width)
      for place in 0..<Self.width { facts.append(vectors[first + place] + vectors[second + place]) }
    }
    return [
      "facts": try HostTensor(.f32(batch, 1, Self.width), doubles: facts),
      "objects": try HostTensor(.i64(batch, 1), integers: numbers.map(object)),
    ]
  }
}
