import DSL
import IR
import Runtime

/// One block of a diffusion transformer, alone.
struct DiffusionBlockProgram: Architecture {
  private let options: DiffusionBlockOptions
  private let index: Int

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    options = try DiffusionBlockOptions(&fields, of: .block, mode)
    index = try fields.int("index", default: 0, in: 0...Fields.widest)
  }

  var inputs: [ProgramInput] {
    [
      ProgramInput("x", .f32, options.residual.stateAxes(width: options.width)),
      ProgramInput("condition", .f32, [.free("B"), .fixed(options.width)]),
    ]
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let block = Stack {
      Apply { x in
        DiffusionBlock(options: options, index: index, condition: inputs.input("condition").silu()).named("block")(x)
      }
    }
    return [("y", block(inputs.input("x")))]
  }
}

/// What turns images and noise into what a diffusion transformer sees, or judges its predictions.
enum DiffusionFunction: Architecture {
  case noise, flow, variance

  var inputs: [ProgramInput] {
    let images: [ProgramInput.Axis] = [.free("B"), .free("C"), .free("S"), .free("S")]
    switch self {
    case .noise, .flow:
      return [
        ProgramInput("x0", .f32, images), ProgramInput("noise", .f32, images),
        ProgramInput("timesteps", self == .flow ? .f32 : .i64, [.free("B")]),
      ]
    case .variance:
      let both: [ProgramInput.Axis] = [.free("B"), .free("2C", least: 2), .free("S"), .free("S")]
      return [
        ProgramInput("prediction", .f32, both), ProgramInput("latents", .f32, images),
        ProgramInput("target", .f32, images), ProgramInput("timesteps", .i64, [.free("B")]),
      ]
    }
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    trace.at(#fileID, #line, #column) {
      let timesteps = inputs.input("timesteps")
      switch self {
      case .noise:
        return [("latents", inputs.input("x0").noised(by: inputs.input("noise"), at: timesteps))]
      case .flow:
        let (latents, velocity) = inputs.input("x0").flowed(to: inputs.input("noise"), at: timesteps)
        return [("latents", latents), ("target", velocity)]
      case .variance:
        let prediction = inputs.input("prediction")
        let bound = prediction.varianceBound(
          latents: inputs.input("latents"), noise: inputs.input("target"), timesteps: timesteps)
        return [("loss", bound)]
      }
    }
  }
}
