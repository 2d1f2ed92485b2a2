@testable import CUDABackend
import IR
import Passes
import TestSupport
import Testing

@Suite("functions of a program") struct SharedFunctionTests {
  static func program(_ samples: [Sample]) throws -> CUDAProgram {
    try CUDAProgram(samples.map { ($0.kernel, try mapToThreads($0.kernel)) })
  }

  /// The same kernel with other names and numbers.
  static func renamed(_ sample: Sample) -> Sample {
    let (loops, variables) = (40, 50)
    func position(_ at: Position) -> Position {
      at.replacing(
        loop: { Position(LoopVariable($0.id + loops, below: $0.extent)) },
        variable: { Position(Variable($0.id + variables, $0.type)) })
    }
    func scalar(_ value: Scalar) -> Scalar {
      switch value {
      case .variable(let variable): .variable(Variable(variable.id + variables, variable.type))
      case .position(let at): .position(position(at))
      case .load(let buffer, let type, let at, let condition):
        .load(buffer, type, position(at), guard: condition.map(scalar))
      default: value.mapParts(scalar)
      }
    }
    func changed(_ statement: Statement) -> Statement {
      switch statement {
      case .define(let variable, let value): .define(Variable(variable.id + variables, variable.type), scalar(value))
      case .accumulator(let variable, let reduction): .accumulator(Variable(variable.id + variables, variable.type), reduction)
      case .accumulate(let variable, let reduction, let value):
        .accumulate(Variable(variable.id + variables, variable.type), reduction, scalar(value))
      case .store(let buffer, let at, let value): .store(buffer, position(at), scalar(value))
      case .loop(let loop):
        .loop(
          Loop(
            LoopVariable(loop.variable.id + loops, below: loop.variable.extent), loop.kind, limit: loop.limit.map { position($0) },
            loop.body.map { changed($0) }))
      case .conditional(let condition, let body): .conditional(scalar(condition), body.map { changed($0) })
      case .product: statement
      }
    }
    var sample = sample
    sample.kernel.name += "_too"
    for index in sample.kernel.buffers.indices { sample.kernel.buffers[index].name += "\(index + 7)" }
    sample.kernel.body = sample.kernel.body.map { changed($0) }
    return sample
  }

  static let kinds = [Sample.normalized(37, 256), .prefixSums(6, 50), .columnSums(9, 4), .conditionalVector]

  @Test("stages that differ in names only are one function", arguments: kinds)
  func sharedFunctions(_ sample: Sample) throws {
    let (one, both) = (try Self.program([sample]), try Self.program([sample, Self.renamed(sample)]))
    #expect(both.functions == one.functions)
    #expect(both.kernels[1] == both.kernels[0])
    let other = try Self.program([sample, .reversed(9, 4)])
    #expect(other.functions.count == one.functions.count + 1)
  }

  @Test("every function is compiled once, the longest first, in pieces that get shorter", arguments: [1, 2, 16])
  func pieces(threads: Int) throws {
    let program = try Self.program(Self.kinds + [.reversed(9, 4), .insertion, .large, .nested])
    let work = program.functions.map(\.work)
    let least = (work.max() ?? 0) / 2
    let pieces = program.pieces(for: threads, of: least)
    #expect(pieces.flatMap { $0 }.sorted() == Array(program.functions.indices))
    #expect(pieces.count > 1)
    var left = work.reduce(0, +)
    for piece in pieces {
      let sizes = piece.map { work[$0] }, wanted = max(left / (2 * threads), least)
      // No longer than it takes to have enough, and not shorter unless nothing is left.
      #expect(sizes.reduce(0, +) - (sizes.min() ?? 0) < wanted)
      left -= sizes.reduce(0, +)
      #expect(sizes.reduce(0, +) >= wanted || left == 0)
    }
    #expect(program.pieces(for: threads, of: .max).count == 1)
  }

  @Test("a kernel that shares functions computes what it did")
  func sharedResults() throws {
    let samples = Self.kinds.flatMap { [$0, Self.renamed($0)] }
    let program = try EmulatedCUDA.compile(samples.map { ($0.kernel, try mapToThreads($0.kernel)) })
    #expect(program.program.functions.count < samples.reduce(0) { $0 + $1.kernel.body.count })
    for (number, sample) in samples.enumerated() {
      for (got, wanted) in zip(try sample.emulated(by: program, number, order: .ascending), try sample.interpreted()) {
        #expect(got.difference(from: wanted) <= sample.tolerance)
      }
    }
  }
}
