import IR

/// Square patches of images as tokens, a convolution whose stride is its side: from `[batch, channels, side, side]` to
/// `[batch, (side / patch)², width]`, row by row of the grid.
public struct PatchEmbedding: Layer {
  /// `[width, channels, patch, patch]`
  public let weight: Parameter
  public let bias: Parameter
  public let patch: Int

  public init(channels: Int, patch: Int, width: Int) {
    let inputs = channels * patch * patch
    weight = Parameter("weight", [width, channels, patch, patch], .xavier(inputs: inputs, outputs: width))
    bias = Parameter("bias", [width], .zeros, decays: false)
    self.patch = patch
  }

  public func callAsFunction(_ images: Tensor) -> Tensor {
    let kernel = images.trace[weight].transposed([0, 2, 3, 1]).flattened(last: 3)
    return images.patches(of: patch).linear(kernel) + images.trace[bias]
  }
}

extension Tensor {
  /// Images `[batch, channels, side, side]` as patches `[batch, (side / patch)², patch · patch · channels]`, row by row
  /// of the grid; inside a patch come rows, then columns, then channels.
  public func patches(of patch: Int) -> Tensor {
    guard trace.require(
      patch > 0 && rank == 4 && shape[2] == shape[3] && shape[3] % patch == 0,
      "wants square images [batch, channels, side, side] that patches of side \(patch) fit, got \(type)")
    else { return poisoned }
    let (channels, grid) = (shape[1], shape[3] / patch)
    return reshaped([shape[0], channels, grid, patch, grid, patch])
      .transposed([0, 2, 4, 3, 5, 1])
      .reshaped([shape[0], grid * grid, patch * patch * channels])
  }

  /// The images that patches were cut from: the inverse of `patches`.
  public func images(fromPatches patch: Int, channels: Int) -> Tensor {
    let grid = rank == 3 ? Int(Double(shape[1]).squareRoot().rounded()) : 0
    guard trace.require(
      rank == 3 && grid * grid == shape[1] && shape[2] == patch * patch * channels,
      "wants patches [batch, grid², \(patch * patch * channels)], got \(type)")
    else { return poisoned }
    return reshaped([shape[0], grid, grid, patch, patch, channels])
      .transposed([0, 5, 1, 3, 2, 4])
      .reshaped([shape[0], channels, grid * patch, grid * patch])
  }
}
