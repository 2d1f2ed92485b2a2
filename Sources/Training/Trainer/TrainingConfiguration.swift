import DSL
import Foundation
import IR
import Models
import Runtime

/// A model's `config.json` with all that training it takes.
public struct TrainingConfiguration {
  /// The configuration with its key `optimizer`, as checkpoints keep it.
  public let json: JSON
  public let program: Program
  public let optimizer: AdamW
  /// What people should know of the choices made.
  public var notes: [String] { program.configuration.notes }
  /// Whether a file describes the model, so that a checkpoint can be read again.
  var isDescribed: Bool { json["architecture"] != nil }

  /// - Parameters:
  ///   - json: the file.
  ///   - steps: steps of the whole run, for a schedule that the file does not give.
  ///   - earlier: the configuration of the checkpoint that is resumed; it gives the optimizer if the file does not.
  ///   - rate: a learning rate instead of the configured one.
  ///   - tables: what tables of rows are stored as: f32, or bf16, whose updates are rounded by chance.
  public init(
    _ json: JSON, steps: Int, continuing earlier: JSON? = nil, learningRate rate: Double? = nil, tables: DType = .f32
  ) throws(Diagnostic) {
    var object = try json.object()
    if object["optimizer"] == nil {
      object.set("optimizer", earlier?["optimizer"] ?? Self.usualOptimizer(steps: steps))
    }
    if let rate {
      guard let json = object["optimizer"] else { preconditionFailure("the optimizer was set above") }
      var optimizer = try json.object()
      optimizer.set("learning_rate", .number(rate))
      object.set("optimizer", JSON(.object(optimizer), at: json.location))
    }
    self.json = JSON(.object(object), at: json.location)
    // Also where the file says how the model is used later.
    let configuration = try Configuration(self.json, mode: .train)
    program = try Program(configuration, tables: tables)
    guard let optimizer = configuration.optimizer else { preconditionFailure("the optimizer was set above") }
    self.optimizer = optimizer
    if let earlier {
      guard Self.model(of: earlier) == Self.model(of: json) else {
        throw Diagnostic("the checkpoint's model is another than the configuration's; choose another folder", at: json.location)
      }
    }
  }

  /// A program that no file describes; its checkpoints cannot be read again.
  init(_ program: Program, optimizer: AdamW) {
    json = [:]
    self.program = program
    self.optimizer = optimizer
  }

  /// Warm-up to 1e-3 over a tenth of the run (at most 100 steps), a cosine down to a tenth, decay 0.1, clipping at 1.
  private static func usualOptimizer(steps: Int) -> JSON {
    [
      "learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.95, "weight_decay": 0.1, "clip": 1,
      "warmup": .integer(min(100, steps / 10)), "schedule": "cosine", "total": .integer(max(1, steps)), "final": 0.1,
    ]
  }

  /// The configuration without what a run may change.
  private static func model(of json: JSON) -> JSON {
    guard case .object(let object) = json.content else { return json }
    var rest = JSON.Object()
    for member in object.members where !["optimizer", "training", "generation", "sampling", "mode"].contains(member.key) {
      rest.set(member.key, member.value)
    }
    return .object(rest)
  }
}

extension TrainingConfiguration {
  /// Throws if this machine has not the memory to train the model: each tensor in the step and once on its way there, the
  /// moments, and a running average if there is one.
  func checkMemory(hasAverage: Bool) throws(Diagnostic) {
    func bytes(_ type: TensorType) -> Double { type.shape.reduce(Double(type.dtype.size)) { $0 * Double($1) } }
    let needed = program.parameters.reduce(0.0) { sum, parameter in
      let copies: Double = hasAverage ? 3 : 2
      let moments = parameter.isTrained ? optimizer.moments(of: parameter).reduce(0) { $0 + bytes($1) } : 0
      return sum + copies * bytes(parameter.type) + moments
    }
    let available = Double(ProcessInfo.processInfo.physicalMemory)
    guard needed <= available else {
      let (wanted, has) = (needed / 1e9, available / 1e9)
      let sizes = String(format: "the model wants %.1f GB of memory, this machine has %.1f GB", wanted, has)
      let largest = program.parameters.max { bytes($0.type) < bytes($1.type) }
      throw Diagnostic(sizes + (largest.map { "; its largest tensor is the \($0)" } ?? ""))
    }
  }
}
