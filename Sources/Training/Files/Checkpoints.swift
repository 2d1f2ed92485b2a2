import DSL
import Foundation
import IR
import Models
import Runtime

/// The checkpoints of a training run: folders `step-00000100`, each a model with the state of its training.
///
/// A folder appears whole or not at all, and older ones go only after a newer one is there: whatever ends a run, the
/// newest checkpoint can be read.
public struct Checkpoints {
  public let folder: String

  public init(in folder: String) { self.folder = folder }

  private static let prefix = "step-"

  /// All that are there, oldest first.
  public var all: [(step: Int, path: String)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    let found: [(step: Int, path: String)] = names.compactMap { name in
      guard name.hasPrefix(Self.prefix), let step = Int(name.dropFirst(Self.prefix.count)), step >= 0 else { return nil }
      return (step, "\(folder)/\(name)")
    }
    return found.sorted { $0.step < $1.step }
  }

  public var newest: (step: Int, path: String)? { all.last }

  /// Writes a checkpoint and removes the oldest beyond `count`.
  @discardableResult
  public func write(_ checkpoint: Checkpoint, keeping count: Int) throws(Diagnostic) -> String {
    let number = String(checkpoint.state.step)
    let digits = String(repeating: "0", count: max(0, 8 - number.count)) + number
    let path = "\(folder)/\(Self.prefix)\(digits)"
    let staged = try StagedFolder(path)
    try ModelDirectory.writeFiles(checkpoint.json, checkpoint.tensors, checkpoint.tokenizer, in: staged)
    try TensorFile.write(
      checkpoint.moments, metadata: checkpoint.state.metadata, to: staged.path(of: Checkpoint.stateName))
    try staged.commit(replacing: true)
    for old in all.dropLast(max(1, count)) { removeFolder(old.path) }
    return path
  }

  /// Removes what runs that were killed have left unfinished.
  public func removeUnfinished() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    for name in names where name.hasPrefix(".\(Self.prefix)") && name.hasSuffix(StagedFolder.suffix) {
      removeFolder("\(folder)/\(name)")
    }
  }
}

/// All that a training run goes on from.
public struct Checkpoint {
  public var json: JSON
  /// The model's tensors; if there is a running average of the weights, that, and buffers that belong to it.
  public var tensors: [String: HostTensor]
  /// The optimizer's moments, and the weights where the model is their average, under the names of the training step.
  public var moments: [String: HostTensor]
  public var state: TrainingState
  public var tokenizer: Tokenizer
  /// What the model's tables are stored as.
  public var tables: DType

  static let stateName = "state.safetensors"

  public init(
    json: JSON, tensors: [String: HostTensor], moments: [String: HostTensor], state: TrainingState,
    tokenizer: Tokenizer = .bytes, tables: DType = .f32
  ) {
    self.json = json
    self.tensors = tensors
    self.moments = moments
    self.state = state
    self.tokenizer = tokenizer
    self.tables = tables
  }

  /// What is kept of a tensor beside the model.
  static func moments(
    of parameter: Parameter, _ optimizer: AdamW, averageDecay: Double?
  ) -> [(name: String, type: TensorType)] {
    let moments = parameter.isTrained ? optimizer.namedMoments(of: parameter) : []
    guard averageDecay != nil, parameter.role != .frozen else { return moments }
    return moments + [(ValueNames.parameter(parameter.name), parameter.type)]
  }

  /// Reads a checkpoint's folder.
  public init(_ path: String) throws(Diagnostic) {
    let model = try ModelDirectory(path)
    let file = try TensorFile("\(path)/\(Self.stateName)")
    state = try TrainingState(file.metadata, of: file.path)
    guard let optimizer = model.program.configuration.optimizer else {
      throw Diagnostic("\(path): no checkpoint of a training run: its configuration has no optimizer")
    }
    var moments: [String: HostTensor] = [:]
    for parameter in model.program.parameters {
      for (name, type) in Self.moments(of: parameter, optimizer, averageDecay: state.averageDecay) {
        moments[name] = try file.tensor(name, as: type)
      }
    }
    (json, tensors, self.moments) = (model.json, model.tensors, moments)
    tokenizer = try model.tokenizer()
    tables = model.program.tables
  }
}
