import IR
import Models
import Runtime

/// A paper's claims at a size for small machines: models that are trained alike, and what is said of them.
public struct Experiment: Sendable {
  /// One of the models that are compared.
  public struct Arm: Sendable {
    /// As part of file names.
    public let name: String
    /// As tables and plots have it.
    public let title: String
    /// The model and its optimizer for a run of so many steps.
    let training: @Sendable (_ steps: Int) throws(Diagnostic) -> TrainingConfiguration
    /// Makes what is measured a running average of the weights.
    let averageDecay: Double?

    public init(
      _ name: String, _ title: String, averageDecay: Double? = nil,
      training: @escaping @Sendable (_ steps: Int) throws(Diagnostic) -> TrainingConfiguration
    ) {
      self.name = name
      self.title = title
      self.averageDecay = averageDecay
      self.training = training
    }

    /// A model by the value of its `config.json` for a run of so many steps.
    public init(
      _ name: String, _ title: String, averageDecay: Double? = nil, configuration: @escaping @Sendable (Int) -> JSON
    ) {
      self.init(name, title, averageDecay: averageDecay) { steps throws(Diagnostic) in
        try TrainingConfiguration(configuration(steps), steps: steps)
      }
    }
  }

  /// A number of every run that the table shows.
  public struct Column: Sendable {
    let key, title: String
    let decimals: Int

    public init(_ key: String, _ title: String, decimals: Int = 4) {
      self.key = key
      self.title = title
      self.decimals = decimals
    }
  }

  /// A picture of all results; `nil` while there is nothing to show.
  public struct Picture: Sendable {
    let file, caption: String
    let svg: @Sendable (Results) -> String?

    public init(_ file: String, _ caption: String, svg: @escaping @Sendable (Results) -> String?) {
      self.file = file
      self.caption = caption
      self.svg = svg
    }
  }

  /// What was found out about a trained model: numbers by the keys of columns, and pictures by file name.
  public struct Measurement: Sendable {
    public var numbers: [String: Double] = [:]
    public var pictures: [String: String] = [:]
    public init() {}
  }

  public var name, title: String
  /// What is trained on what, for the report.
  public var setup: String
  /// Steps of every run, if there is time for them.
  public var steps: Int
  public var arms: [Arm]
  /// The arm that others are held against in the table.
  public var baseline: String
  /// What the table shows; the first is what arms are compared by.
  public var columns: [Column]
  public var claims: [Claim]
  public var pictures: [Picture]
  /// The batches that a run with a seed is trained on, the same for every arm.
  let batches: @Sendable (_ seed: UInt64) throws(Diagnostic) -> any BatchSource
  /// Looks at a model that was trained, besides its losses.
  let measure: @Sendable (Arm, Trainer) throws(Diagnostic) -> Measurement

  public init(
    _ name: String, title: String, setup: String, steps: Int, arms: [Arm], baseline: String, columns: [Column],
    claims: [Claim], pictures: [Picture] = [],
    batches: @escaping @Sendable (UInt64) throws(Diagnostic) -> any BatchSource,
    measure: @escaping @Sendable (Arm, Trainer) throws(Diagnostic) -> Measurement = { _, _ in Measurement() }
  ) {
    self.name = name
    self.title = title
    self.setup = setup
    self.steps = steps
    self.arms = arms
    self.baseline = baseline
    self.columns = columns
    self.claims = claims
    self.pictures = pictures
    self.batches = batches
    self.measure = measure
  }

  /// Keys that every run has.
  public enum Key {
    /// The mean training loss of the last tenth of the steps.
    public static let training = "training_loss"
    public static let validation = "validation_loss"
    public static let parameters = "parameters"
    /// Multiply-adds of the forward pass, for one token or image.
    public static let multiplyAdds = "forward_multiply_adds"
    public static let milliseconds = "milliseconds_per_step"
  }
}

/// The experiments there are.
public enum Paper: String, CaseIterable, Sendable {
  case hyperConnections = "hyper-connections"
  case overTokenized = "over-tokenized"
  case ultraMem = "ultramem"
  case expertRace = "expert-race"

  /// The experiment, with its data read.
  public func experiment() throws(Diagnostic) -> Experiment {
    switch self {
    case .hyperConnections: return .hyperConnections(on: try TextData(TextData.Dictionary.name))
    case .expertRace: return try .expertRace()
    case .ultraMem: return try .ultraMem()
    case .overTokenized: return .overTokenized(on: try Self.dictionary(vocabulary: 4096))
    }
  }

  /// The dictionary, cut by a tokenizer that is learnt from a part of it.
  private static func dictionary(vocabulary: Int) throws(Diagnostic) -> TextData {
    let whole = try TextData(TextData.Dictionary.name, validation: 0)
    let part = whole.tokens.withBytes { Array($0.prefix(1 << 23)) }
    let tokenizer = try BytePairTokenizer.trained(on: part, vocabulary: vocabulary)
    return try TextData(TextData.Dictionary.name, tokenizer: .bytePairs(tokenizer))
  }
}
