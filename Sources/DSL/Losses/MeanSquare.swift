extension Tensor {
  /// The mean over every element of (self − target)².
  public func meanSquare(_ target: Tensor) -> Tensor { (self - target).squared().mean() }
}
