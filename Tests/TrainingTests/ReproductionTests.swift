import Compiler
import Foundation
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of experiments: nothing is lost by an interruption, and verdicts are what the numbers say.
@Suite("reproduction") struct ReproductionTests {
  /// Two tiny models on a line of text.
  private func experiment(steps: Int = 12) throws -> Experiment {
    let text = try TinyModel.text()
    func arm(_ name: String, rate: Double) -> Experiment.Arm {
      Experiment.Arm(name, "rate \(rate)") { steps in
        guard case .object(var object) = TinyModel.json.content else { return TinyModel.json }
        object.set("optimizer", ["learning_rate": .number(rate), "schedule": "cosine", "total": .integer(steps)])
        return .object(object)
      }
    }
    return Experiment(
      "tiny", title: "Tiny", setup: "Two rates.", steps: steps, arms: [arm("slow", rate: 1e-4), arm("fast", rate: 0.02)],
      baseline: "slow",
      columns: [Experiment.Column(Experiment.Key.validation, "validation loss"), Experiment.Column("answer", "answer")],
      claims: [
        .lower("fast", than: "slow", "fast is lower"), .lower("slow", than: "fast", "slow is lower"),
        .notLower("slow", than: "fast", "slow is not lower"), .above(41, "fast", by: "answer", "the answer is large"),
        .lower("none", than: "slow", "none is lower"),
      ],
      pictures: [Experiment.Picture("always.svg", "always") { _ in "<svg/>\n" }],
      batches: { seed throws(Diagnostic) in try TextBatches(text, batch: 2, length: 8, seed: seed) },
      measure: { arm, trainer throws(Diagnostic) in
        var measurement = Experiment.Measurement()
        measurement.numbers["answer"] = 42 + Double(trainer.source.settings.seed) / 8
        measurement.pictures["\(arm.name).svg"] = "<svg/>\n"
        return measurement
      })
  }

  private func options(_ folder: String, seeds: Int = 2) -> Reproduction.Options {
    Reproduction.Options(
      folder: folder, seeds: seeds, minutes: 100, target: TinyModel.fastest, compile: CompileOptions(threads: 1),
      command: "millrace reproduce tiny")
  }

  /// The folder's results without what depends on the clock.
  private func numbers(_ folder: String) throws -> [RunResult] {
    try JSONLLog.read("\(folder)/results.jsonl").dropFirst().map { line in
      var result = try RunResult(line)
      result.seconds = 0
      result.numbers[Experiment.Key.milliseconds] = 0
      return result
    }
  }

  @Test("all runs are made, compared and reported")
  func whole() throws {
    let scratch = try Scratch()
    let screen = Screen()
    let folder = scratch.path("out")
    let reproduction = Reproduction(
      try experiment(), options(folder), output: screen.terminal(interactive: false), status: TinyModel.silent,
      isInterrupted: { false })
    #expect(try reproduction.run())
    let report = try String(contentsOfFile: "\(folder)/README.md", encoding: .utf8)
    #expect(screen.written == report)
    #expect(report.hasPrefix("    millrace reproduce tiny\n\n# Tiny\n"))
    #expect(report.contains("| fast is lower | **held** | -"))
    #expect(report.contains("| slow is lower | **not held** | +"))
    #expect(report.contains("| slow is not lower | **held** | +"))
    #expect(report.contains("| the answer is large | **held** | 42.188 ± 0.088 |"))
    #expect(report.contains("| none is lower | not run yet |  |"))
    #expect(report.contains("![always](always.svg)") && !report.contains("runs are done"))
    #expect(try numbers(folder).map(\.arm) == ["slow", "fast", "slow", "fast"])
    #expect(try numbers(folder).allSatisfy { $0.steps == 12 && $0.numbers[Experiment.Key.parameters] ?? 0 > 1000 })
    for file in ["loss.svg", "always.svg", "slow.svg", "fast.svg"] {
      let text = try String(contentsOfFile: "\(folder)/\(file)", encoding: .utf8)
      #expect(text.hasPrefix("<?millrace reproduce tiny?>\n<svg"))
    }
    let left = try FileManager.default.contentsOfDirectory(atPath: "\(folder)/runs/slow-seed-1").sorted()
    #expect(left == ["log.jsonl", "result.json"])
  }

  @Test("who interrupts it anywhere and starts it again gets the same results", arguments: [3, 30])
  func resumes(after steps: Int) throws {
    let scratch = try Scratch()
    let (whole, parts) = (scratch.path("whole"), scratch.path("parts"))
    func run(_ folder: String, seeds: Int = 2, stoppingAfter limit: Int = .max) throws -> Bool {
      var count = 0
      return try Reproduction(
        experiment(), options(folder, seeds: seeds), output: TinyModel.silent, status: TinyModel.silent,
        isInterrupted: {
          count += 1
          return count >= limit
        }
      ).run()
    }
    #expect(try run(whole))
    #expect(try !run(parts, stoppingAfter: steps))
    let early = try String(contentsOfFile: "\(parts)/README.md", encoding: .utf8)
    #expect(early.contains("\(steps / 12) of 4 runs are done") == (steps < 48))
    #expect(try run(parts))
    #expect(try numbers(parts) == numbers(whole))
    // More seeds are added to those that are there.
    #expect(try run(parts, seeds: 3))
    #expect(try numbers(parts).count == 6 && numbers(parts).prefix(4).elementsEqual(numbers(whole)))
  }

  @Test("there are as many steps as there is time for, and a folder belongs to its experiment")
  func plan() throws {
    var plan = ReproductionPlan(experiment: "x", steps: 1000)
    (plan.secondsPerStep, plan.secondsBeside) = (["a": 0.125, "b": 0.25], ["a": 3, "b": 3])
    plan.fit(minutes: 1, seeds: 2)
    #expect(plan.steps == 64 && plan.seconds == 30)
    #expect(try ReproductionPlan(plan.json) == plan)
    plan.fit(minutes: 0, seeds: 3)
    #expect(plan.steps == 10)
    plan.steps = 1000
    plan.fit(minutes: 1e6, seeds: 1)
    #expect(plan.steps == 1000)

    let scratch = try Scratch()
    try FileManager.default.createDirectory(atPath: scratch.path("out/runs"), withIntermediateDirectories: true)
    _ = try scratch.file("out/runs/plan.json", Array(plan.json.text().utf8))
    let other = Reproduction(try experiment(), options(scratch.path("out")), output: TinyModel.silent, status: TinyModel.silent)
    #expect(complaint { _ = try other.run() }.contains("holds the experiment 'x'"))
  }

  @Test("verdicts follow from differences seed by seed")
  func verdicts() throws {
    func results(_ values: [String: [Double]]) -> Results {
      Results(values.flatMap { arm, numbers in
        numbers.enumerated().map {
          RunResult(arm: arm, seed: UInt64($0), steps: 1, seconds: 1, numbers: [Experiment.Key.validation: $1])
        }
      })
    }
    // Seeds differ by more than arms, but all of them say the same.
    let clear = results(["a": [1, 2, 3], "b": [1.1, 2.1, 3.12], "c": [1.3, 2.3, 3.3]])
    func verdict(_ claim: Claim, _ results: Results) -> Judgement.Verdict? { claim.judge(results)?.verdict }
    #expect(verdict(.lower("a", than: "b", ""), clear) == .held)
    #expect(verdict(.lower("a", than: "b", atLeast: 0.5, ""), clear) == .notHeld)
    #expect(verdict(.lower("b", than: "a", ""), clear) == .notHeld)
    #expect(verdict(.notLower("b", than: "a", ""), clear) == .held)
    #expect(verdict(.notLower("a", than: "b", ""), clear) == .notHeld)
    #expect(verdict(.falling(["c", "b", "a"], ""), clear) == .held)
    #expect(verdict(.falling(["a", "b", "c"], ""), clear) == .notHeld)
    let noisy = results(["a": [1, 2.2, 3], "b": [1.1, 2.1, 3.1]])
    #expect(verdict(.lower("a", than: "b", ""), noisy) == .withinSpread)
    #expect(verdict(.notLower("a", than: "b", ""), noisy) == .held)
    #expect(verdict(.lower("a", than: "b", ""), results(["a": [1], "b": [2]])) == .withinSpread)
    #expect(verdict(.lower("a", than: "b", ""), results(["a": [1]])) == nil)
    let line = results(["a": [4, 4], "b": [3, 3], "c": [2.1, 2.1]])
    #expect(verdict(.logLinear(["a", "b", "c"], sizes: [1, 2, 4], by: Experiment.Key.validation, ""), line) == .held)
    #expect(verdict(.logLinear(["c", "b", "a"], sizes: [1, 2, 4], by: Experiment.Key.validation, ""), line) == .notHeld)
    #expect(Summary([1, 3])?.text(decimals: 1, signed: true) == "+2.0 ± 1.4")
  }

  /// Every paper's experiment, on a little text where it takes any; none where its data is not on this machine.
  static func experiment(_ paper: Paper) throws -> Experiment? {
    let text = try TinyModel.text()
    switch paper {
    case .hyperConnections: return .hyperConnections(on: text)
    case .overTokenized:
      let tokenizer = try BytePairTokenizer.trained(on: text.tokens.withBytes { Array($0) }, vocabulary: 300)
      let tokens = Tokens(try tokenizer.encode(text.tokens.withBytes { Array($0) }).map { UInt32($0) })
      return .overTokenized(on: try TextData(tokens, tokenizer: .bytePairs(tokenizer), source: "mill"))
    case .ultraMem: return try .ultraMem()
    case .expertRace:
      do { return try .expertRace() } catch {
        #expect(error.message.hasSuffix("scripts/setup brings it"))
        return nil
      }
    }
  }

  @Test("every experiment has models that can be built, and claims about them", arguments: Paper.allCases)
  func experiments(paper: Paper) throws {
    guard let experiment = try Self.experiment(paper) else { return }
    #expect(experiment.name == paper.rawValue)
    #expect(Set(experiment.arms.map(\.name)).count == experiment.arms.count)
    #expect(experiment.arms.contains { $0.name == experiment.baseline })
    for arm in experiment.arms { _ = try arm.training(10) }
    if paper == .ultraMem || paper == .expertRace {
      let source = try experiment.batches(1)
      for arm in experiment.arms { try source.check(arm.training(10).program) }
    }
    // Claims are about arms that there are, and numbers that are measured.
    let keys = experiment.columns.map(\.key) + [
      Experiment.Key.training, Experiment.Key.validation, "experts_clean_to_noisy", "threshold_to_batch",
      "time_of_256_times_the_slots", "time_to_experts_at_1", "time_to_experts_at_16", "time_to_experts_at_64",
    ]
    let runs = experiment.arms.enumerated().flatMap { number, arm in
      (1...3).map { seed in
        RunResult(
          arm: arm.name, seed: seed, steps: 1, seconds: 1,
          numbers: Dictionary(keys.map { ($0, Double(number) + Double(seed) / 100) }) { $1 })
      }
    }
    let results = Results(runs, losses: ["x": [1, 2]])
    for claim in experiment.claims { #expect(claim.judge(results) != nil, "\(claim.text)") }
    let report = ReproductionReport(experiment, results, command: "c", steps: 1, runs: runs.count)
    #expect(report.markdown.hasPrefix("    c\n") && !report.markdown.contains("not run yet"))
    for (_, svg) in report.pictures { #expect(svg.hasPrefix("<svg ")) }
  }

  @Test("what a mixture chooses is counted")
  func routing() throws {
    var statistics = RoutingStatistics(experts: 3)
    // Two images of two tokens: the clean one has experts {0, 1} and {0}, the noisy one {0, 1, 2} and none.
    statistics.add(
      try HostTensor(.f32(2, 2, 3), doubles: [1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 0, 0]), times: [0.01, 0.99])
    #expect(statistics.violation == 0.5)
    #expect(statistics.expertsByTime.first == 1.5 && statistics.expertsByTime.last == 1.5)
    // Pairs 01 twice, 02 and 12 once: the first two are three quarters.
    #expect(statistics.usedPairs == 2.0 / 3)
    #expect(RoutingStatistics(experts: 4).usedPairs == 0)
  }

  @Test("facts are learnt by heart or not at all")
  func facts() throws {
    let source = FactBatches(batch: 256, seed: 3)
    var seen: [[UInt8]: Int] = [:]
    var objects: [[UInt8]: Int64] = [:]
    var isRight = true
    let rowBytes = FactBatches.width * 4
    for step in 0..<source.validationBatches * 2 {
      let batch = try source.batch(step: step)
      let (facts, answers) = (try #require(batch["facts"]), try #require(batch["objects"]).integers)
      let bytes = facts.withBytes { Array($0) }
      for row in 0..<256 {
        let fact = Array(bytes[(row * rowBytes)..<((row + 1) * rowBytes)])
        isRight = isRight && (0..<64).contains(answers[row]) && (objects[fact] ?? answers[row]) == answers[row]
        objects[fact] = answers[row]
        seen[fact, default: 0] += 1
      }
    }
    #expect(isRight && seen.count == 16384 && seen.values.allSatisfy { $0 == 2 })
    #expect(try source.batch(step: 0) != source.batch(step: 64), "each pass has an order of its own")
    #expect(try source.validationBatch(0) != source.validationBatch(1))
  }
}
