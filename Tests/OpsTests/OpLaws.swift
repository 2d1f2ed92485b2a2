import IR
import Ops
import Runtime
import TestSupport
import Testing

extension OpSet {
  /// Every op applied to operands that show what it can do.
  static let samples: [Sample] = all.flatMap { $0.samples }
}

extension Sample {
  /// Random operands, the same in every run.
  func arguments(seed: UInt64 = 1) -> [Literal] {
    var generator = Seeded(seed)
    return operands.map { Literal.random($0, integersBelow: integersBelow, using: &generator) }
  }
}

/// What must hold of every op, tried on the samples each op gives.
@Suite("laws of ops") struct OpLaws {
  @Test("every op has samples and every sample a result", arguments: OpSet.all.map { String(describing: $0) })
  func hasSamples(name: String) throws {
    let type = try #require(OpSet.all.first { String(describing: $0) == name })
    #expect(!type.samples.isEmpty)
  }

  @Test("infer agrees with reference", arguments: OpSet.samples)
  func inferAgreesWithReference(sample: Sample) throws {
    let inferred = try sample.op.infer(sample.operands)
    #expect(sample.op.reference(sample.arguments()).map(\.type) == inferred)
  }

  @Test("the kernel computes what the reference does", arguments: OpSet.samples, [1, 2] as [UInt64])
  func kernelAgreesWithReference(sample: Sample, seed: UInt64) throws {
    let results = try sample.op.infer(sample.operands)
    guard let kernel = FormulaKernel.kernel(of: sample.op, sample.operands, results: results) else { return }
    let arguments = sample.arguments(seed: seed)
    let wanted = sample.op.reference(arguments)
    let got = try KernelInterpreter.run(kernel, inputs: arguments, resultTypes: results)
    for (got, wanted) in zip(got, wanted) {
      // Sums of 16-bit floats may be rounded more often than once.
      let tolerance = wanted.type.dtype == .f32 ? 1e-12 : wanted.type.dtype.isFloat ? 1e-2 : 0
      #expect(got.difference(from: wanted) <= tolerance, "\(sample): \(got.doubles) instead of \(wanted.doubles)")
    }
  }

  @Test("an op and its attributes survive the text", arguments: OpSet.samples)
  func roundTrip(sample: Sample) throws {
    let fields = AttributeEncoder.attributes(of: sample.op)
    let hidden = (type(of: sample.op) as? any OpFamily.Type)?.nameAttribute
    let read = try OpSet.table.op(named: sample.op.name, fields.filter { $0.name != hidden })
    #expect(AnyHashable(read) == AnyHashable(sample.op))
    let text = try program(of: sample).text()
    #expect(try Module(parsing: text, ops: OpSet.table).text() == text)
  }

  private func program(of sample: Sample) throws -> Module {
    var builder = FunctionBuilder(name: "f")
    let operands = sample.operands.map { builder.parameter($0) }
    builder.function.results = try builder.emit(sample.op, operands)
    return Module(functions: [builder.function])
  }

  /// Types nobody should give to an op, and some that are fine.
  static let oddTypes: [TensorType] = [
    .f32(), .f32(1), .f32(3, 5), .f32(0), .i64(), .i64(3), .i64(2, 2), TensorType(.bool, [3]), TensorType(.u8, [3, 5]),
    .f32(-1), .f32(3, -5), TensorType(.f32, [1 << 40, 1 << 40]), TensorType(.i64, [.max]), .f32(0, .max, .max), .f32(.max, .max, 0),
    TensorType(.f32, [3, 5], rows: 2), TensorType(.f32, [3, 5], rows: -2), TensorType(.i64, [3, 5], rows: 2),
    TensorType(.f32, [3], rows: 1), TensorType(.f32, [], rows: 1), TensorType(.f32, [3, .max], rows: .max),
  ]

  @Test("wrong operands are refused and never trap", arguments: OpSet.samples)
  func inferNeverTraps(sample: Sample) {
    let odd = Self.oddTypes
    var operandLists: [[TensorType]] = [[]]
    for a in odd {
      operandLists.append([a])
      for b in odd {
        operandLists.append([a, b])
        operandLists.append([a, b, b])
      }
      // The sample's own operands with one exchanged.
      for number in sample.operands.indices {
        var operands = sample.operands
        operands[number] = a
        operandLists.append(operands)
      }
    }
    for operands in operandLists {
      guard let results = try? sample.op.infer(operands) else { continue }
      #expect(results.allSatisfy { $0.shape.allSatisfy { $0 >= 0 } }, "\(sample.op) of \(operands) gives \(results)")
      #expect(operands.allSatisfy { $0.shape.allSatisfy { $0 >= 0 } }, "\(sample.op) accepts \(operands)")
    }
  }
}
