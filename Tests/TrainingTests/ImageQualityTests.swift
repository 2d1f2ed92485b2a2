import IR
import Models
import Runtime
import TestSupport
import Testing

@testable import Training

@Suite("image quality") struct ImageQualityTests {
  @Test("a symmetric square root squares to the matrix")
  func squareRoot() {
    var random = SplitMix64(seed: 3)
    let factor = (0..<36).map { _ in random.normal() }
    let matrix = SymmetricMatrix(order: 6) { row, column in
      (0..<6).reduce(0) { $0 + factor[row * 6 + $1] * factor[column * 6 + $1] }
    }
    let root = matrix.squareRoot()
    let one = SymmetricMatrix(order: 6) { $0 == $1 ? 1 : 0 }
    let squared = root.sandwiching(one)
    #expect(zip(squared.elements, matrix.elements).allSatisfy { abs($0 - $1) < 1e-9 })
    #expect(abs(matrix.eigen().values.reduce(0, +) - matrix.trace) < 1e-9)
    #expect(SymmetricMatrix(order: 0) { _, _ in 0 }.squareRoot().elements.isEmpty)
  }

  @Test("the distance of normal distributions whose axes agree is a sum over the axes")
  func frechet() throws {
    // Vectors (±a, ±b) around a centre have the variances 4a²/3 and 4b²/3.
    func around(_ x: Double, _ y: Double, _ a: Double, _ b: Double) throws -> FeatureStatistics {
      try FeatureStatistics([x + a, y + b, x + a, y - b, x - a, y + b, x - a, y - b], width: 2)
    }
    let first = try around(0, 0, 1, 2)
    #expect(first.frechetDistance(to: first) < 1e-12)
    // 3² + 4² apart; deviations apart by 2 and 1, times √(4/3).
    let wanted: Double = 25 + 5 * 4 / 3.0
    let other = try around(3, 4, 3, 1)
    #expect(abs(first.frechetDistance(to: other) - wanted) < 1e-9)
    #expect(abs(other.frechetDistance(to: first) - wanted) < 1e-9)
    #expect(complaint { _ = try FeatureStatistics([1, 2], width: 2) }.contains("at least two vectors"))
  }

  @Test("a judge knows real images from swapped ones and from noise")
  func judge() throws {
    let data = try ImageTests.data()
    let judge = try ImageJudge(data, steps: 60, batch: 8, for: TinyModel.fastest)
    #expect(judge.heldOutAccuracy == 1)
    let type = TensorType.f32(data.count, 1, 4, 4)
    let real = try HostTensor(type, doubles: data.pixels.map { Double($0) })
    let same = try judge.judge(real, labels: data.labels)
    #expect(same.accuracy == 1 && same.frechetDistance < 1e-6 && same.counts == [10, 10])
    #expect(try judge.judge(real, labels: data.labels.map { 1 - $0 }).accuracy == 0)
    var random = SplitMix64(seed: 1)
    let noise = try HostTensor(type, doubles: (0..<type.count).map { _ in random.normal() })
    let strange = try judge.judge(noise, labels: data.labels)
    #expect(strange.frechetDistance > 0.1 && strange.counts.reduce(0, +) == data.count)
    #expect(complaint { _ = try judge.judge(real, labels: [1]) }.contains("an image for each of 1 labels"))
  }
}
