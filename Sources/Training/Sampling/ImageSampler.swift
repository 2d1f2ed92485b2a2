import Compiler
import IR
import Models
import Runtime

/// Makes images from noise with a diffusion transformer.
///
/// One compiled program serves every step: what tells the steps apart are a time and four numbers.
public final class ImageSampler {
  /// `[batch, channels, side, side]`
  public let type: TensorType
  private let schedule: [SamplingStep]
  private let executable: any Executable
  private let images, time, labels, coefficients: Int
  private let noise: Int?

  /// - Parameter tensors: the model's, by name.
  public init(
    _ program: Program, _ tensors: [String: HostTensor], _ sampling: DiffusionSampling, batch: Int,
    for target: CompileTarget, options: CompileOptions = CompileOptions()
  ) throws(Diagnostic) {
    let step = try program.samplingStep(sampling, batch: batch)
    schedule = sampling.schedule
    executable = try compile(Module(functions: [step]), entry: step.name, for: target, options: options)
    var inputs: [String: Int] = [:]
    for (number, value) in step.parameters.enumerated() {
      let name = step.name(of: value)
      inputs[name] = number
      guard name.hasPrefix(ValueNames.parameter("")) else { continue }
      guard let tensor = tensors[String(name.dropFirst(ValueNames.parameter("").count))] else {
        throw Diagnostic("the tensor '\(name)' is missing")
      }
      try executable.write(tensor, to: number)
    }
    func input(_ name: String) -> Int {
      guard let number = inputs[ValueNames.input(name)] else { preconditionFailure("a sampling step takes '\(name)'") }
      return number
    }
    (images, time, labels, coefficients) = (input("images"), input("time"), input("labels"), input("coefficients"))
    noise = inputs[ValueNames.input("noise")]
    type = step.type(of: step.parameters[images])
  }

  /// Images of the labels.
  ///
  /// - Parameters:
  ///   - start: noise of `type`.
  ///   - labels: i64 `[batch]`; the number of classes stands for no class.
  ///   - noise: what is added after the step with a number, which counts down to 1; only DDPM asks.
  public func sample(
    from start: HostTensor, labels given: HostTensor, noise draw: (Int) throws(Diagnostic) -> HostTensor
  ) throws(Diagnostic) -> HostTensor {
    try executable.write(start, to: images)
    try executable.write(given, to: labels)
    for (done, step) in schedule.enumerated() {
      try executable.write(try scalar(step.time), to: time)
      try executable.write(try HostTensor(.f32(4), doubles: step.coefficients), to: coefficients)
      if let noise {
        let isLast = step.variance == nil
        try executable.write(isLast ? try HostTensor(zeros: type) : try draw(schedule.count - 1 - done), to: noise)
      }
      try executable.run()
    }
    return try executable.parameter(images)
  }

  private func scalar(_ value: Double) throws(Diagnostic) -> HostTensor {
    let type = executable.function.type(of: executable.function.parameters[time])
    return type.dtype.isFloat
      ? try HostTensor(type, doubles: [value]) : try HostTensor(type, integers: [Int64(value)])
  }
}
