import DSL
import IR
import Models
import Runtime
import TestSupport
import Testing

@Suite("mixtures of experts") struct MixtureTests {
  /// What a function of inputs computes.
  private func compute(
    _ inputs: [Literal], _ body: ([Tensor], Trace) -> [Tensor]
  ) throws -> [Literal] {
    let trace = Trace(name: "f")
    let tensors = inputs.enumerated().map { trace.input("x\($0)", $1.type) }
    let results = body(tensors, trace)
    let function = try trace.finish(results.enumerated().map { ("y\($0)", $1) })
    return try Interpreter(Module()).run(function, inputs)
  }

  /// Every pool, as the positions of its scores `[batch, token, expert]`.
  private func pools(_ routing: Routing, _ shape: [Int]) -> [[Int]] {
    var pools: [[Int]: [Int]] = [:]
    for (place, at) in Positions(of: shape).enumerated() {
      pools[(0..<3).filter { !routing.pool.contains($0) }.map { at[$0] }, default: []].append(place)
    }
    return Array(pools.values)
  }

  @Test("every pool has its share of winners, and they are its largest", arguments: Routing.allCases, [[2, 6, 4], [3, 5, 7], [1, 1, 3]])
  func winners(routing: Routing, shape: [Int]) throws {
    var generator = Seeded(3)
    let scores = Literal.random(TensorType(.f32, shape), using: &generator)
    for top in 1...shape[2] {
      let mask = try compute([scores]) { tensors, _ in [tensors[0].winners(top, by: routing).chosen] }[0].integers
      let pools = pools(routing, shape)
      let share = max(1, shape[0] * shape[1] * top / pools.count)
      for pool in pools {
        let chosen = pool.filter { mask[$0] != 0 }
        let least = chosen.map { scores.doubles[$0] }.min() ?? 0
        #expect(chosen.count == share)
        #expect(pool.allSatisfy { mask[$0] != 0 || scores.doubles[$0] <= least })
      }
    }
  }

  /// The values are those of the paper's equations for sharp routers of 8 experts, 2 for each token.
  @Test("router similarity tells balance from collapse")
  func similarity() throws {
    let (tokens, experts) = (64, 8)
    func loss(_ experts: (Int) -> [Int], sharp: Double = 30) throws -> Double {
      var mask = [Int64](repeating: 0, count: tokens * 8)
      for token in 0..<tokens { for expert in experts(token) { mask[token * 8 + expert] = 1 } }
      let logits = Literal(.f32(tokens, 8), floats: mask.map { Double($0) * sharp })
      let chosen = Literal(.i64(tokens, 8), integers: mask)
      return try compute([logits, chosen]) { tensors, _ in [tensors[0].routerSimilarity(tensors[1])] }[0].doubles[0]
    }
    let pairs = (0..<8).flatMap { a in ((a + 1)..<8).map { [a, $0] } }
    let glued = try loss { [$0 % 4 * 2, $0 % 4 * 2 + 1] }
    let collapsed = try loss { _ in [0, 1] }
    #expect(abs(glued - 4) < 0.2, "experts in fixed pairs: \(glued)")
    #expect(abs(collapsed - 16) < 0.5, "two experts for all: \(collapsed)")
    #expect(try loss { pairs[$0 % pairs.count] } < 1.2)
    // No token has two experts: nothing is divided by zero.
    #expect(abs(try loss { [$0 % experts] } - 1) < 1e-6)
    #expect(abs(try loss({ _ in [] })) < 1e-6)
  }

  @Test("the threshold starts at the least winner and follows it")
  func threshold() throws {
    let layer = MixtureOfExperts(
      router: Router(3, experts: 4, isMLP: false), experts: Experts(4, width: 3, hidden: 2), top: 2, momentum: 0.75)
    var generator = Seeded(5)
    var threshold = Literal(.f32(), floats: [.infinity])
    var expected: Double?
    for _ in 0..<4 {
      let trace = Trace(name: "f")
      let y = layer(trace.input("input", .f32(2, 3, 3)))
      guard let record = trace.records(of: RoutingRecord.self).first, let next = trace.updates.first else {
        Issue.record("there is no choice or no threshold")
        return
      }
      #expect(next.name == "threshold")
      let function = try trace.finish([("y", y), ("logits", record.logits), ("chosen", record.chosen), ("next", next.tensor)])
      let arguments = function.parameters.map { value in
        function.name(of: value) == "param/threshold" ? threshold : .random(function.type(of: value), using: &generator)
      }
      let results = try Interpreter(Module()).run(function, arguments)
      let least: Double = zip(results[1].doubles, results[2].integers).filter { $0.1 != 0 }.map(\.0).min() ?? 0
      #expect(results[2].integers.reduce(0, +) == 12)
      let before = expected ?? least
      expected = 0.75 * before + 0.25 * least
      #expect(abs(results[3].doubles[0] - (expected ?? 0)) < 1e-6)
      threshold = results[3]
    }
  }

  @Test("a mixture says how evenly it uses its experts, if it is asked")
  func health() throws {
    let layer = Stack {
      MixtureOfExperts(
        router: Router(3, experts: 4, isMLP: false), experts: Experts(4, width: 3, hidden: 2), routing: .leChoice, top: 2
      ).named("moe")
    }
    func function(_ isObserved: @escaping (String) -> Bool) throws -> Function {
      let trace = Trace(name: "f", observing: isObserved)
      let y = layer(trace.input("x", .f32(2, 5, 3)))
      let chosen = trace.records(of: RoutingRecord.self)[0].chosen
      return try trace.finish([("y", y), ("chosen", chosen)] + trace.observations.map { ($0.name, $0.tensor) })
    }
    #expect(try function { _ in false }.resultNames == ["y", "chosen"])
    let asked = try function(Trace.isHealth)
    var generator = Seeded(8)
    let arguments = asked.parameters.map { Literal.random(asked.type(of: $0), using: &generator) }
    let results = Dictionary(uniqueKeysWithValues: zip(asked.resultNames, try Interpreter(Module()).run(asked, arguments)))
    let mask = try #require(results["chosen"]).integers
    let loads = (0..<4).map { expert in stride(from: expert, to: 40, by: 4).reduce(0) { $0 + Double(mask[$1]) } }
    let found = try #require(results["moe.health.loads"]).doubles
    #expect(zip(found, loads).allSatisfy { abs($0 - $1 / 20) < 1e-6 })
    let violation = try #require(results["moe.health.max_violation"]).doubles[0]
    #expect(abs(violation - ((loads.max() ?? 0) / 5 - 1)) < 1e-6)
    let tokens = (0..<10).map { token in (0..<4).filter { mask[token * 4 + $0] != 0 } }
    let idle = try #require(results["moe.health.idle_tokens"]).doubles[0]
    #expect(abs(idle - Double(tokens.count { $0.isEmpty }) / 10) < 1e-6)
    var pairs: [[Int]: Double] = [:]
    for experts in tokens { for a in experts { for b in experts where a < b { pairs[[a, b], default: 0] += 1 } } }
    let (all, counts) = (pairs.values.reduce(0, +), pairs.values.sorted(by: >))
    var (sum, used) = (0.0, 0.0)
    for count in counts {
      sum += count
      if sum < 0.95 * all { used += 1 }
    }
    let usage = try #require(results["moe.health.pair_usage"]).doubles[0]
    #expect(abs(usage - used / 6) < 1e-6)
  }

  @Test("wrong sizes are errors of the model")
  func errors() throws {
    func fails(_ layer: MixtureOfExperts, _ type: TensorType) {
      let trace = Trace(name: "f")
      let y = layer(trace.input("x", type))
      #expect(throws: Diagnostic.self) { _ = try trace.finish([("y", y)]) }
    }
    func layer(_ experts: Int, top: Int) -> MixtureOfExperts {
      MixtureOfExperts(router: Router(4, experts: experts), experts: Experts(experts, width: 4, hidden: 2), top: top)
    }
    fails(layer(4, top: 5), .f32(1, 2, 4))
    fails(layer(4, top: 0), .f32(1, 2, 4))
    fails(layer(0, top: 1), .f32(1, 2, 4))
    fails(layer(4, top: 2), .f32(2, 4))
    fails(layer(4, top: 2), .f32(1, 2, 5))
  }
}
