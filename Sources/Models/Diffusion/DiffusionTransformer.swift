import DSL
import IR
import Runtime

/// A transformer on patches of noisy images that knows how noisy they are and what they are to show.
///
/// Source: Scalable Diffusion Models with Transformers, arXiv 2212.09748.
struct DiffusionTransformer: Architecture {
  /// The side of an image, its channels, and the side of a patch.
  let image, channels, patch: Int
  let layers: Int
  /// The label after the last class stands for none.
  let classes: Int
  let frequencies: Int
  /// The second half of the predicted channels is the variance of a step.
  let learnsVariance: Bool
  let block: DiffusionBlockOptions
  let objective: Objective

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    image = try fields.int("image", in: 1...1 << 16)
    channels = try fields.int("channels", default: 4, in: 1...1 << 16)
    patch = try fields.int("patch", default: 2, in: 1...1 << 16)
    try fields.require(image % patch == 0, "image", "wants a multiple of the patch \(patch), got \(image)")
    layers = try fields.int("layers", in: 0...4096)
    classes = try fields.size("classes")
    frequencies = try fields.size("frequency_width", default: 256)
    try fields.require(frequencies % 2 == 0, "frequency_width", "wants an even number, got \(frequencies)")
    learnsVariance = try fields.bool("learn_variance", default: false)
    block = try DiffusionBlockOptions(
      &fields, of: .diffusionTransformer(patchWidth: channels * patch * patch), mode)
    try fields.require(block.width % 4 == 0, "width", "wants a multiple of 4, got \(block.width)")
    objective = try Objective(try fields.fields("objective"), learnsVariance: learnsVariance)
  }

  var inputs: [ProgramInput] {
    let images: [ProgramInput.Axis] = [.free("B"), .fixed(channels), .fixed(image), .fixed(image)]
    let times = objective.isFlow
      ? ProgramInput("timesteps", .f32, [.free("B")])
      : ProgramInput("timesteps", .i64, [.free("B")], below: NoiseSchedule.count)
    return [
      ProgramInput("latents", .f32, images), times, ProgramInput("labels", .i64, [.free("B")], below: classes + 1),
      ProgramInput("target", .f32, images, isOptional: true),
    ]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let latents = inputs.input("latents")
    let timesteps = inputs.input("timesteps")
    let prediction = predict(latents, timesteps, inputs.input("labels"))
    guard let target = inputs["target"] else { return [("prediction", prediction)] }
    return trace.at(#fileID, #line, #column) {
      let main = prediction.slice(0..<channels, axis: 1).meanSquare(target)
      var outputs = [("prediction", prediction), ("loss_diffusion", main)]
      var loss = main
      if case .noiseAndVariance(let weight) = objective {
        let bound = prediction.varianceBound(latents: latents, noise: target, timesteps: timesteps)
        outputs.append(("loss_variance", bound))
        loss = loss + bound * weight
      }
      let time = objective.isFlow ? timesteps : timesteps.cast(to: .f32) / Double(NoiseSchedule.count)
      for (layer, record) in trace.records(of: RoutingRecord.self).enumerated() {
        trace.scope("blocks.\(layer).feed_forward") { trace.observeHealth("experts_by_time", record.expertsByTime(time)) }
      }
      for other in block.feedForward.losses(in: trace, target: target.patches(of: patch)) {
        outputs.append((other.name, other.value))
        loss = loss + other.value * other.weight
      }
      return outputs + [("loss", loss)]
    }
  }

  /// From noisy images to the predicted noise or velocity `[batch, channels, image, image]`, and variance, if learned.
  func predict(_ latents: Tensor, _ timesteps: Tensor, _ labels: Tensor) -> Tensor {
    let width = block.width
    let small = Initial.normal(0.02)
    let time = Stack {
      TimeFeatures(frequencies)
      Linear(frequencies, width, bias: true, initial: small).named("input")
      Apply { $0.silu() }
      Linear(width, width, bias: true, initial: small).named("output")
    }
    let label = Stack { Embedding(rows: classes + 1, width: width, initial: small).named("label") }
    let condition = Stack {
      time.named("time")
      Apply { $0 + label(labels) }
      Apply { $0.silu() }
    }
    return network(condition(times(timesteps)))(latents)
  }

  /// What features of times are made of.
  private func times(_ timesteps: Tensor) -> Tensor {
    guard case .flow(let scale) = objective else { return timesteps.cast(to: .f32) }
    return timesteps * scale
  }

  private func network(_ condition: Tensor) -> Stack {
    let width = block.width
    let predicted = learnsVariance ? 2 * channels : channels
    return Stack {
      PatchEmbedding(channels: channels, patch: patch, width: width).named("patch")
      Apply { $0 + $0.trace.gridPositions(grid: image / patch, width: width) }
      Expand(block.residual.scheme).named("residual")
      for index in 0..<layers {
        DiffusionBlock(options: block, index: index, condition: condition).named("blocks.\(index)")
      }
      Collapse(block.residual.scheme).named("residual")
      LayerNorm(width, eps: block.normEps, affine: false)
      FinalLayer(width: width, outputs: patch * patch * predicted, condition: condition).named("final")
      Apply { $0.images(fromPatches: patch, channels: predicted) }
    }
  }
}

/// output(x·(1 + scale) + shift) with (shift, scale) = modulation(condition); zero in a new model.
private struct FinalLayer: Model {
  let width, outputs: Int
  let condition: Tensor

  var body: some Layer {
    let modulation = Linear(width, 2 * width, bias: true, initial: .zeros).named("modulation")
    let parts = modulation(condition).split(into: [2, width])
    Modulate(shift: parts.at(0, axis: -2), scale: parts.at(1, axis: -2))
    Linear(width, outputs, bias: true, initial: .zeros).named("output")
  }
}
