import Compiler
import DSL
import IR
import Passes
import Testing

/// What the boundary between two hyper-connection sites moves, against the least it could.
///
/// Source: specification of hyper-connections 2.3 and 2.4: in units of d elements a token, 2n + 2 forward (n streams and
/// the sublayer's output in, n streams and the next sublayer's input out) and 3n + 3 backward.
@Suite("traffic of a hyper-connection boundary") struct BoundaryTraffic {
  static let tokens = 512
  static let width = 512

  private struct Sites: Model {
    let streams: Int
    var body: some Layer {
      for _ in 0..<3 {
        HyperConnected(streams: streams) {
          RMSNorm(BoundaryTraffic.width)
          Linear(BoundaryTraffic.width, BoundaryTraffic.width)
        }
      }
    }
  }

  private func forward(_ streams: Int) throws -> Function {
    let trace = Trace(name: "forward")
    let sites = Sites(streams: streams)
    let y = sites(trace.input("h", .f32(1, Self.tokens, streams, Self.width)))
    return try trace.finish([("h", y)])
  }

  /// Bytes of each launch that is no matrix product, in units of d elements a token, in order.
  private func units(_ function: Function) throws -> [Double] {
    let lowered = try lower(Module(functions: [function]), entry: function.name)
    return lowered.function.operations.compactMap { operation in
      guard let launch = operation.op as? Launch, let kernel = lowered.module.kernel(named: launch.callee),
        !kernel.name.contains("product")
      else { return nil }
      return Double(kernel.cost.bytes) / Double(4 * Self.tokens * Self.width)
    }
  }

  @Test("forward: one kernel at 1.1 times the least", arguments: [2, 4])
  func forward(streams n: Int) throws {
    let launches = try units(forward(n))
    // Before the first site, two boundaries, after the last.
    #expect(launches.count == 4, "\(launches)")
    for boundary in launches.dropFirst().dropLast() { #expect(boundary <= 1.1 * Double(2 * n + 2), "\(launches)") }
  }

  @Test("backward: a boundary is one kernel at 1.2 times the least, and all kernels together below it", arguments: [2, 4])
  func backward(streams n: Int) throws {
    let function = try forward(n)
    let gradient = try function.differentiated(
      named: "gradient", from: .cotangents(results: [0]), withRespectTo: Array(function.parameters.indices))
    let launches = try units(gradient)
    let boundary = Double(3 * n + 3)
    // The last two kernels are the boundary between the first two sites and what is before the first.
    #expect(launches.count == 6, "\(launches)")
    #expect(launches[4] <= 1.2 * boundary, "\(launches)")
    let forwardLeast = Double(n + 1 + 2 * (2 * n + 2) + 2 * n + 1)
    let backwardLeast = Double(n + 2) + 2 * boundary + Double(3 * n + 1)
    #expect(launches.reduce(0, +) <= forwardLeast + backwardLeast, "\(launches)")
  }
}
