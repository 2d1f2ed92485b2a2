import IR

/// What a diffusion transformer makes, and what it learns it from.
public struct ImageTask: Hashable, Sendable {
  /// The side of an image, and its channels.
  public var side, channels: Int
  /// Labels are below it; this one stands for none.
  public var classes: Int
  public var objective: Objective

  public init(side: Int, channels: Int, classes: Int, objective: Objective = .noise) {
    self.side = side
    self.channels = channels
    self.classes = classes
    self.objective = objective
  }
}

extension Program {
  /// The images that the program makes; `nil` of other models.
  public var imageTask: ImageTask? {
    guard let model = configuration.architecture as? DiffusionTransformer else { return nil }
    return ImageTask(
      side: model.image, channels: model.channels, classes: model.classes, objective: model.objective)
  }
}
