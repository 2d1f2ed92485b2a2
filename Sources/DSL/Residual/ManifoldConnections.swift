import IR

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// Manifold-constrained hyper-connections (mHC): reads and writes are positive, the mixing is doubly stochastic.
///
///     v = rms(flatten(h)),  z = v·phiᵀ
///     readᵢ = σ(scale[0] z + bias) + eps      writeⱼ = 2σ(scale[1] z + bias)      P = sinkhorn(scale[2] z + bias)
///     u = Σᵢ readᵢ hᵢ        ĥⱼ = writeⱼ T(u) + Σᵢ P[i, j] hᵢ
///
/// The state is `[…, n, width]`. Source: mHC, arXiv 2512.24880; the order of the Sinkhorn steps is that of
/// DeepSeek's kernels, ending on the input streams.
public struct ManifoldConnections: ResidualScheme, Hashable {
  public var streams: Int
  public var iterations: Int
  /// Added to reads and to Sinkhorn's divisors.
  public var eps: Double
  /// Of the norm over all streams.
  public var normEps: Double
  /// A learned read-out in the place of the sum over streams.
  public var head: Bool

  public init(
    streams: Int = 4, iterations: Int = 20, eps: Double = 1e-6, normEps: Double = 1e-6, head: Bool = false
  ) {
    self.streams = streams
    self.iterations = iterations
    self.eps = eps
    self.normEps = normEps
    self.head = head
  }

  public func expand(_ x: Tensor) -> Tensor { x.repeated(streams) }
  public func add(_ y: Tensor, to state: Tensor) -> Tensor { state + y.insertingAxis(-2) }

  public func collapse(_ h: Tensor) -> Tensor {
    guard head else { return h.sumOfStreams(streams) }
    guard h.isState(of: streams, called: "streams") else { return h.poisoned }
    let z = scores(h, columns: streams)
    let bias = h.trace[Parameter("bias", [streams], .zeros, decays: false)]
    let scale = h.trace[Parameter("scale", [], .constant(0.01), decays: false)]
    let read = (scale * z + bias).sigmoid() + eps
    h.trace.observe(ConnectionNames.read, read.insertingAxis(-1))
    return read.contract(h, "...i,...id->...d")
  }

  public func connect(_ h: Tensor, number: Int) -> Connection {
    guard h.isState(of: streams, called: "streams") else { return h.poisonedConnection }
    let (trace, n) = (h.trace, streams)
    let z = scores(h, columns: n * n + 2 * n)
    let bias = trace[Parameter("bias", [n * n + 2 * n], .values(start(number)), decays: false)]
    let scale = trace[Parameter("scale", [3], .constant(0.01), decays: false)]

    func logits(_ kind: Int, _ columns: Range<Int>) -> Tensor { scale.at(kind) * z.slice(columns) + bias.slice(columns) }
    let read = logits(0, 0..<n).sigmoid() + eps
    let write = logits(1, n..<2 * n).sigmoid() * 2
    let mix = sinkhorn(logits(2, 2 * n..<n * n + 2 * n).split(into: [n, n]))

    trace.observeConnection(read: read.insertingAxis(-1), mix: mix, write: write.insertingAxis(-2))
    return Connection(input: read.contract(h, "...i,...id->...d")) { y in
      mix.contract(h, "...ij,...id->...jd") + write.insertingAxis(-1) * y.insertingAxis(-2)
    }
  }

  /// One number for every row of `phi`, from all streams together.
  private func scores(_ h: Tensor, columns: Int) -> Tensor {
    let v = h.flattened(last: 2)
    let phi = h.trace[Parameter("phi", [columns, v.extent(-1)], .zeros)]
    return RMSNorm(v.extent(-1), eps: normEps, affine: false)(v).linear(phi)
  }

  /// Makes rows and columns sum to one, nearly; the last step is on the input streams, axis -2.
  private func sinkhorn(_ logits: Tensor) -> Tensor {
    var p = logits.softmax() + eps
    p = p / (p.sum(-2, keepingAxes: true) + eps)
    for _ in 1..<Swift.max(1, iterations) {
      p = p / (p.sum(-1, keepingAxes: true) + eps)
      p = p / (p.sum(-2, keepingAxes: true) + eps)
    }
    return p
  }

  /// Reads that sum to one and prefer stream `number mod n` (streams that are read alike would stay alike for ever);
  /// writes of one; a mixing that keeps every stream.
  private func start(_ number: Int) -> [Float] {
    let n = streams
    let pattern = (0..<n).map { $0 == number % n ? 1.0 : -1.0 }
    func total(_ shift: Double) -> Double { pattern.reduce(0) { $0 + 1 / (1 + exp(-shift - $1)) } }
    var (low, high) = (-40.0, 40.0)
    for _ in 0..<80 {
      let middle = (low + high) / 2
      if total(middle) < 1 { low = middle } else { high = middle }
    }
    let reads = pattern.map { Float($0 + low) }
    let writes = [Float](repeating: 0, count: n)
    let mixing = (0..<n * n).map { $0 / n == $0 % n ? Float(0) : -8 }
    return reads + writes + mixing
  }
}

extension ResidualScheme where Self == ManifoldConnections {
  public static func manifold(streams: Int = 4) -> Self { ManifoldConnections(streams: streams) }
}
