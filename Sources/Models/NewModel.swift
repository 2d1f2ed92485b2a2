import DSL
import IR
import Runtime

extension Program {
  /// Every tensor of a new model. Each depends on the seed and its own name alone; gains that are calibrated depend on what
  /// they scale too.
  public func initialTensors(seed: UInt64) throws(Diagnostic) -> [String: HostTensor] {
    var tensors: [String: HostTensor] = [:]
    for parameter in parameters {
      tensors[parameter.name] = try HostTensor(parameter.type, parameter.initialValues(seed: seed))
    }
    for calibration in try configuration.architecture.calibrations() { try calibration.apply(to: &tensors, seed: seed) }
    return tensors
  }
}

extension HostTensor {
  fileprivate init(_ type: TensorType, _ values: TensorValues) throws(Diagnostic) {
    switch values {
    case .integers(let integers): try self.init(type, integers: integers)
    case .floats(let floats) where type.dtype == .f32:
      try self.init(type) { memory throws(Diagnostic) in floats.withUnsafeBytes { memory.copyMemory(from: $0) } }
    case .floats(let floats): try self.init(type, doubles: floats.map { Double($0) })
    }
  }
}
