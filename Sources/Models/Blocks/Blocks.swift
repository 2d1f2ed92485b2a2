import DSL
import IR
import Runtime

extension Configuration {
  /// The single block of an architecture `block`: a part of the models, alone.
  static func block(_ fields: inout Fields, _ mode: Mode, optimizer: AdamW?) throws(Diagnostic) -> any Architecture {
    var block = try fields.requiredFields("block")
    let kind: BlockKind = try block.choice("kind")
    let architecture: any Architecture
    switch kind {
    case .residualSite: architecture = try ResidualSiteBlock(&block)
    case .residualEnds: architecture = try ResidualEndsBlock(&block)
    case .attention: architecture = try LayerBlock(attention: &block)
    case .swiglu: architecture = try LayerBlock(swiglu: &block)
    case .geluMLP: architecture = try LayerBlock(geluMLP: &block)
    case .rmsnorm: architecture = try LayerBlock(rmsnorm: &block)
    case .layernorm: architecture = try LayerBlock(layernorm: &block)
    case .crossEntropy: architecture = CrossEntropyBlock()
    case .adamwStep:
      guard let optimizer else { throw block.failure("kind", "\"adamw-step\" wants a key 'optimizer' beside 'block'") }
      architecture = try OptimizerBlock(&block, optimizer)
    case .embedding: architecture = try EmbeddingBlock(&block)
    case .engram: architecture = try EngramBlock(&block)
    case .moe: architecture = try MixtureBlock(&block, mode)
    case .routerSimilarity: architecture = RouterSimilarityBlock()
    case .memory: architecture = try MemoryBlock(&block, mode)
    case .ditBlock: architecture = try DiffusionBlockProgram(&block, mode)
    case .diffusionNoise: architecture = DiffusionFunction.noise
    case .flowNoise: architecture = DiffusionFunction.flow
    case .varianceLoss: architecture = DiffusionFunction.variance
    }
    try block.finish()
    return architecture
  }

  private enum BlockKind: String, CaseIterable {
    case residualSite = "residual-site"
    case embedding, memory, moe, attention, swiglu
    case geluMLP = "gelu-mlp"
    case rmsnorm, layernorm
    case ditBlock = "dit-block"
    case crossEntropy = "cross-entropy"
    case routerSimilarity = "router-similarity"
    case adamwStep = "adamw-step"
    case diffusionNoise = "diffusion-noise"
    case flowNoise = "flow-noise"
    case varianceLoss = "variance-loss"
    case residualEnds = "residual-ends"
    case engram
  }
}

extension [String: Tensor] {
  /// An input that the program checked to be there.
  func input(_ name: String) -> Tensor {
    guard let tensor = self[name] else { preconditionFailure("a program is traced with its input '\(name)'") }
    return tensor
  }
}

/// The mean loss of logits against target ids.
struct CrossEntropyBlock: Architecture {
  var inputs: [ProgramInput] {
    let positions: [ProgramInput.Axis] = [.free("B"), .free("T")]
    return [ProgramInput("logits", .f32, positions + [.free("V")]), ProgramInput("targets", .i64, positions)]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    trace.at(#fileID, #line, #column) { [("loss", inputs.input("logits").crossEntropy(inputs.input("targets")))] }
  }
}
