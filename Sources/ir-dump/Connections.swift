import ArgumentParser
import Compiler
import IR
import Runtime
import Training

/// `ir-dump connections`: what each sublayer of a trained model reads of every earlier output.
struct ShowConnections: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "connections", abstract: "Unfold the residual connections of a model into one matrix.",
    discussion: """
      A row for each sublayer's input and the network's end, a column for the embedding and each sublayer's output. \
      Dynamic connections differ from token to token: the matrix is then the mean over windows, or images, of the \
      validation part of what the model was trained on, or of --data.
      """)

  @Argument(help: "A model's folder, or a training run's: its newest checkpoint is taken.")
  var model: String
  @Option(
    help: ArgumentHelp(
      "What dynamic connections are averaged over (default: what it was trained on).", valueName: "data"))
  var data: String?
  @Option(
    help: "The data is a file of token ids of this size: \(Tokens.Format.allCases.map(\.rawValue).joined(separator: ", ")).")
  var ids: Tokens.Format?
  @Option(help: "Windows, or images, that dynamic connections are averaged over.")
  var batch = 8
  @Option(help: "Tokens of a window (default: those it was trained on, or 256).")
  var length: Int?
  @Flag(help: "Print JSON, with the weights in each slot of the state as well.")
  var json = false
  @Option(help: ArgumentHelp("Write a picture of the matrix as well.", valueName: "file.svg"))
  var svg: String?
  @Option(help: "What runs the model: \(CompileTarget.allCases.map(\.rawValue).joined(separator: ", ")).")
  var backend: CompileTarget = .cpu

  func validate() throws {
    if !(1...1 << 20).contains(batch) { throw ValidationError("--batch wants 1 to \(1 << 20), got \(batch)") }
    if let length, !(1...1 << 20).contains(length) {
      throw ValidationError("--length wants 1 to \(1 << 20), got \(length)")
    }
  }

  func run() throws {
    let directory = try ModelDirectory(model)
    var source: (any BatchSource)?
    if try UnfoldedConnections.needBatches(of: directory) {
      source = try directory.batches(of: data, ids: ids, batch: batch, length: length)
    }
    let connections = try UnfoldedConnections(of: directory.program, directory.tensors, on: source, for: backend)
    print(json ? connections.json.text(pretty: true) + "\n" : connections.text(), terminator: "")
    if let svg { try AtomicFile.write(connections.heatMap.svg(), to: svg) }
  }
}

extension Tokens.Format: ExpressibleByArgument {}
