import DSL
import IR
import Runtime

extension Program {
  /// Every tensor of a new model. Each depends on the seed and its own name alone; gains that are calibrated depend on what
  /// they scale too.
  public func initialTensors(seed: UInt64) throws(Diagnostic) -> [String: HostTensor] {
    var tensors: [String: HostTensor] = [:]
    for parameter in parameters {
      tensors[parameter.name] = try HostTensor(initial: parameter, seed: seed)
    }
    for calibration in try configuration.architecture.calibrations() { try calibration.apply(to: &tensors, seed: seed) }
    return tensors
  }
}

extension HostTensor {
  /// What a parameter is in a new model.
  fileprivate init(initial parameter: Parameter, seed: UInt64) throws(Diagnostic) {
    let size = parameter.type.dtype.size
    try self.init(parameter.type) { memory throws(Diagnostic) in
      try parameter.forEachInitialPiece(seed: seed) { first, values throws(Diagnostic) in
        let piece = try HostTensor(values, as: parameter.type.dtype)
        piece.withBytes { UnsafeMutableRawBufferPointer(rebasing: memory[(first * size)...]).copyMemory(from: $0) }
      }
    }
  }

  private init(_ values: TensorValues, as dtype: DType) throws(Diagnostic) {
    switch values {
    case .integers(let integers): try self.init(TensorType(dtype, [integers.count]), integers: integers)
    case .floats(let floats) where dtype == .f32:
      try self.init(.f32(floats.count)) { memory throws(Diagnostic) in
        floats.withUnsafeBytes { memory.copyMemory(from: $0) }
      }
    case .floats(let floats):
      try self.init(TensorType(dtype, [floats.count]), doubles: floats.map { Double($0) })
    }
  }
}
