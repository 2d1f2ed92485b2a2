import IR
@testable import Ops
import TestSupport
import Testing

@Suite("random numbers") struct RandomTests {
  /// The known answers of the Random123 library, `kat_vectors`.
  @Test("Philox gives its known answers", arguments: [
    ([0, 0, 0, 0], [0, 0], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
    ([.max, .max, .max, .max], [.max, .max], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
    ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
  ] as [([UInt32], [UInt32], [UInt32])])
  func knownAnswers(counter: [UInt32], key: [UInt32], words: [UInt32]) {
    var counter = counter
    #expect(Philox.block(&counter, key: (key[0], key[1])) == words)
  }

  @Test("the formula gives the same bits for any key", arguments: [0, 1, -1, .min, .max, 0x1234_5678_9abc_def0] as [Int64])
  func anyKey(key: Int64) throws {
    let key = Literal(.i64(), integers: [key])
    for distribution in [Random.Distribution.bits, .uniform, .normal] {
      _ = try apply(Random(distribution, TensorType(distribution == .bits ? .i64 : .f32, [3, 7])), key)
    }
  }

  @Test("uniform and normal numbers have the moments they should")
  func moments() {
    let key = Literal(.i64(), integers: [42])
    let count = 20_000
    func moments(_ distribution: Random.Distribution) -> (mean: Double, variance: Double) {
      let x = Random(distribution, .f32(count)).reference([key])[0].doubles
      let mean = x.reduce(0, +) / Double(count)
      return (mean, x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(count))
    }
    let (uniform, normal) = (moments(.uniform), moments(.normal))
    #expect(abs(uniform.mean - 0.5) < 0.01 && abs(uniform.variance - 1 / 12.0) < 0.003)
    #expect(abs(normal.mean) < 0.03 && abs(normal.variance - 1) < 0.04)
  }
}
