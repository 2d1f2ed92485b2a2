import CUDABackend
import Foundation
import IR
import Passes
import Testing

@Suite("emitted text") struct GoldenTests {
  /// Small kernels that show each way of spreading work; `BLESS=1` rewrites what is expected.
  static let samples = [
    Sample.normalized(37, 256), .normalized(40, 17), .reversed(9, 4), .prefixSums(6, 50), .columnSums(9, 4),
    .conditionalVector, .large, .products[0], .products[4], .scalars[0],
  ]

  @Test("kernels are emitted as they stand in Goldens", arguments: samples)
  func emits(_ sample: Sample) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
    let file = folder.appendingPathComponent("\(sample.kernel.name).cu")
    let emitted = try CUDAEmitter.emit(sample.kernel, as: mapToThreads(sample.kernel))
    let launches = emitted.launches.map { launch in
      "// \(launch.function): \(launch.grid) × \(launch.block) threads, \(launch.sharedBytes) bytes shared"
        + (launch.scratchBytes > 0 ? ", \(launch.scratchBytes) bytes of scratch\n" : "\n")
    }
    let text = launches.joined() + emitted.text
    if ProcessInfo.processInfo.environment["BLESS"] == "1" {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let expected = try String(contentsOf: file, encoding: .utf8)
    #expect(text == expected)
  }

  @Test("what cannot be spread is refused")
  func refuses() throws {
    let (i, j, k) = (LoopVariable(0, below: 4), LoopVariable(1, below: 40), LoopVariable(2, below: 40))
    let read = Sample(
      "read", [input(4), output(4)],
      [
        parallel(i, [
          .accumulator(Variable(0, .f32), .sum),
          vector(j, [
            .accumulate(Variable(0, .f32), .sum, load(0, Position(i))), store(1, Position(i), .variable(Variable(0, .f32))),
          ]),
        ])
      ])
    #expect(throws: Violation("a vector loop reads the accumulator it feeds")) { try mapToThreads(read.kernel) }
    let serialStage = Sample("serial", [output(4)], [serial(i, [store(0, Position(i), .float(0))])])
    #expect(throws: Violation("a stage of kernel 'serial' is not a parallel loop")) { try mapToThreads(serialStage.kernel) }
    let twice = Sample("twice", [output(40)], [parallel(i, [vector(j, [vector(k, [store(0, Position(k), .float(0))])])])])
    #expect(throws: Violation("a vector loop stands inside another one")) {
      try CUDAEmitter.emit(twice.kernel, as: mapToThreads(twice.kernel))
    }
  }
}
