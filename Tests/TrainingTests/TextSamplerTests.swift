import Compiler
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of texts that a model writes.
@Suite("sampling of text") struct TextSamplerTests {
  @Test("the likeliest byte is what greedy generation takes, also beyond the context")
  func greedy() throws {
    let program = try TinyModel.program
    var tensors = try program.initialTensors(seed: 3)
    // Larger numbers than a new model has, so that no two logits are nearly equal.
    for (name, tensor) in tensors { tensors[name] = try HostTensor(tensor.type, doubles: tensor.doubles.map { $0 * 20 }) }
    let sampler = try TextSampler(program, tensors, context: 12, for: TinyModel.fastest)
    var shown: [UInt8] = []
    let bytes = try sampler.extend([65, 66], by: 10, SamplingOptions(temperature: 0), seed: 1) { shown += $0 }
    #expect(shown == bytes)
    var parameters: [String: HostTensor] = [:]
    for (name, tensor) in tensors { parameters[ValueNames.parameter(name)] = tensor }
    let prompt = try HostTensor(TensorType(.i64, [1, 2]), integers: [65, 66])
    let wanted = try Generation(program, .interpreter).extend(prompt, 10, parameters) { logits in
      let bytes = logits.prefix(256)
      return bytes.firstIndex(of: bytes.max() ?? 0) ?? 0
    }
    #expect(wanted.integers == bytes.map { Int64($0) })
    #expect(try sampler.extend(Array(repeating: 65, count: 40), by: 3, seed: 1).count == 3)
    #expect(complaint { _ = try sampler.extend([], by: 1, seed: 1) }.contains("at least one of the model's bytes"))
  }

  @Test("draws follow from the seed, within the top, as often as the softmax says")
  func draws() {
    let logits: [Float] = [0, 2, 1, -1, 1]
    var counts = [Int](repeating: 0, count: 5)
    var random = SplitMix64(seed: 5)
    for _ in 0..<20_000 { counts[SamplingOptions(temperature: 1, top: 3).draw(logits, using: &random)] += 1 }
    #expect(counts[0] == 0 && counts[3] == 0)
    // e² : e : e
    #expect(abs(Double(counts[1]) / 20_000 - 0.5761) < 0.02)
    #expect(abs(Double(counts[2]) / 20_000 - 0.2119) < 0.02)
    var (a, b) = (SplitMix64(seed: 9), SplitMix64(seed: 9))
    let options = SamplingOptions(temperature: 0.5)
    #expect((0..<50).allSatisfy { _ in options.draw(logits, using: &a) == options.draw(logits, using: &b) })
    #expect(SamplingOptions(temperature: 0).draw([1, 3, 3], using: &a) == 1)
    #expect((0..<3).contains(options.draw([.nan, .nan, 1], using: &a)))
  }
}
