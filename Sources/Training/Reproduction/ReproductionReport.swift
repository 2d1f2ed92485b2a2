import Foundation
import IR
import Runtime

/// What an experiment came to, as files: a page in Markdown, a line of JSON a run, and pictures.
struct ReproductionReport {
  private let experiment: Experiment
  private let results: Results
  private let command: String
  private let steps: Int
  private let runs: Int

  /// - Parameter runs: how many there are when all is done.
  init(_ experiment: Experiment, _ results: Results, command: String, steps: Int, runs: Int) {
    self.experiment = experiment
    self.results = results
    self.command = command
    self.steps = steps
    self.runs = runs
  }

  /// The command, then a run a line.
  var jsonl: String {
    let head: JSON = ["command": .string(command), "experiment": .string(experiment.name)]
    return ([head] + results.runs.map(\.json)).map { $0.text() + "\n" }.joined()
  }

  /// Pictures by file name.
  var pictures: [String: String] {
    let curves = experiment.arms.compactMap { arm in results.losses[arm.name].map { LossPlot.Curve(arm.title, $0) } }
    var pictures: [String: String] = [:]
    if !curves.isEmpty {
      pictures[Self.lossFile] = LossPlot(title: "Training loss, mean of the seeds", curves).svg()
    }
    for picture in experiment.pictures { pictures[picture.file] = picture.svg(results) }
    return pictures
  }

  private static let lossFile = "loss.svg"

  var markdown: String {
    let seeds = Set(results.runs.map(\.seed)).count
    let minutes = results.runs.reduce(0) { $0 + $1.seconds } / 60
    var text = "    \(command)\n\n# \(experiment.title)\n\n\(experiment.setup)\n\n"
    text += "\(steps) steps a run, \(seeds) seeds, \(String(format: "%.0f", minutes)) minutes of training on "
    text += "\(ProcessInfo.processInfo.activeProcessorCount) cores. Numbers are means over the seeds ± their standard "
    text += "deviation; differences are taken seed by seed."
    if results.runs.count < runs { text += " **\(results.runs.count) of \(runs) runs are done.**" }
    text += "\n\n" + table + "\n" + verdicts
    let there = pictures
    if there[Self.lossFile] != nil { text += "\n![Training loss](\(Self.lossFile))\n" }
    for picture in experiment.pictures where there[picture.file] != nil {
      text += "\n![\(picture.caption)](\(picture.file))\n"
    }
    return text
  }

  private var table: String {
    let measured = experiment.columns
    let key = measured.first?.key ?? Experiment.Key.validation
    let titles = ["model", "parameters", "kMAC forward"] + measured.map(\.title) + ["difference", "ms a step"]
    var lines = [titles, ["---"] + [String](repeating: "---:", count: titles.count - 1)]
    for arm in experiment.arms {
      func mean(_ key: String, _ scale: Double, _ decimals: Int) -> String {
        results.summary(key, of: arm.name).map { String(format: "%.\(decimals)f", $0.mean / scale) } ?? ""
      }
      let numbers = measured.map { results.summary($0.key, of: arm.name)?.text(decimals: $0.decimals) ?? "" }
      let difference = arm.name == experiment.baseline
        ? nil : results.difference(key, of: arm.name, from: experiment.baseline)?.text(decimals: 4, signed: true)
      lines.append(
        [arm.title, mean(Experiment.Key.parameters, 1, 0), mean(Experiment.Key.multiplyAdds, 1000, 0)] + numbers
          + [difference ?? "", mean(Experiment.Key.milliseconds, 1, 1)])
    }
    return lines.map { "| \($0.joined(separator: " | ")) |\n" }.joined()
  }

  /// A claim is held if the mean difference is further from zero than the seeds' differences from each other.
  private var verdicts: String {
    var text = "| claim | verdict | seen |\n| --- | --- | --- |\n"
    for claim in experiment.claims {
      let judgement = claim.judge(results)
      text += "| \(claim.text) | \(judgement.map { "**\($0.verdict.rawValue)**" } ?? "not run yet") | "
      text += "\(judgement?.evidence ?? "") |\n"
    }
    return text
      + "\nA claim is held, or not held, if the mean difference is larger than the seeds' standard deviation of it.\n"
  }
}
