import DSL
import IR
import Runtime

/// A model's `config.json`, understood.
public struct Configuration: Sendable {
  public enum Mode: String, Sendable, CaseIterable { case train, infer }

  let architecture: any Architecture
  public let mode: Mode
  public let optimizer: AdamW?
  /// Steps of a training run that the configuration asks for.
  public let trainingSteps: Int?
  /// Tokens to generate after a prompt.
  public let generatedTokens: Int?
  /// How images are to be made from noise.
  public let sampling: DiffusionSampling?

  /// Reads a configuration; what is wrong with it is said where it stands.
  ///
  /// - Parameter mode: takes the place of the configuration's own, which is `infer` where it generates or samples.
  public init(_ json: JSON, mode wanted: Mode? = nil) throws(Diagnostic) {
    var fields = try Fields(json, "the configuration")
    let kind: Kind = try fields.choice("architecture")
    let stated: Mode = try fields.choice("mode", default: .train)
    optimizer = try fields.fields("optimizer").map { fields throws(Diagnostic) in try AdamW(fields) }
    trainingSteps = try fields.fields("training").map { fields throws(Diagnostic) in
      var fields = fields
      let steps = try fields.int("steps", in: 0...1 << 40)
      try fields.finish()
      return steps
    }
    // A key that the architecture does not know is left for the end, where nobody has asked for it.
    let generation = kind == .languageModel ? try fields.fields("generation") : nil
    generatedTokens = try generation.map { fields throws(Diagnostic) in
      var fields = fields
      let count = try fields.int("count", in: 0...1 << 24)
      try fields.finish()
      return count
    }
    let sampling = kind == .diffusionTransformer ? try fields.fields("sampling") : nil
    self.sampling = try sampling.map { fields throws(Diagnostic) in try DiffusionSampling(fields) }
    mode = wanted ?? (generation == nil && sampling == nil ? stated : .infer)
    switch kind {
    case .languageModel: architecture = try LanguageModel(&fields, mode)
    case .diffusionTransformer:
      let model = try DiffusionTransformer(&fields, mode)
      if let sampling = self.sampling { try model.check(sampling, at: fields.place(of: "sampling")) }
      architecture = model
    case .block: architecture = try Configuration.block(&fields, mode, optimizer: optimizer)
    }
    try fields.finish()
  }

  /// What people should know of the choices made, though nothing is wrong.
  public var notes: [String] { (architecture as? LanguageModel)?.embedding.notes ?? [] }

  /// A network that no file describes.
  init(_ architecture: any Architecture) {
    self.architecture = architecture
    mode = .train
    (optimizer, trainingSteps, generatedTokens, sampling) = (nil, nil, nil, nil)
  }

  private enum Kind: String, CaseIterable {
    case languageModel = "language-model"
    case diffusionTransformer = "diffusion-transformer"
    case block
  }
}
