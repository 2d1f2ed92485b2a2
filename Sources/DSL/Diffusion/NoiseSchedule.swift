import IR

/// The linear schedule of denoising diffusion: β from 1e-4 to 0.02 over 1000 timesteps, ᾱₜ = Π_{s≤t} (1 − βₛ).
///
///     xₜ = √ᾱₜ · x₀ + √(1−ᾱₜ) · noise
///
/// Source: Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
public enum NoiseSchedule {
  public static let count = 1000
  static let first = 1e-4
  static let last = 0.02
  static let growth = (last - first) / Double(count - 1)

  /// β of every timestep.
  public static let betas: [Double] = (0..<count).map { first + Double($0) * growth }

  /// ᾱ of every timestep.
  public static let kept: [Double] = {
    var product = 1.0
    return betas.map { beta in
      product *= 1 - beta
      return product
    }
  }()
}

/// The schedule at timesteps that only the program knows, in single precision to the last places.
///
/// Where most of an image is kept, 1 − ᾱ is a small difference: everything is derived from −log ᾱ instead, a sum of
/// positive terms.
struct NoiseLevels {
  private let times: Tensor

  /// - Parameter times: f32 `[batch]`, whole numbers.
  init(_ times: Tensor) { self.times = times }

  /// β = first + t · growth
  var beta: Tensor { times * NoiseSchedule.growth + NoiseSchedule.first }

  /// −log ᾱₜ = Σ_{s≤t} −log(1 − βₛ), with the series β + β²/2 + … + β⁶/6 of the logarithm: 1 − β itself would round.
  private var depth: Tensor {
    let all = times.trace.iota(.f32(NoiseSchedule.count))
    let beta = NoiseLevels(all).beta
    var series = beta / 6
    for power in stride(from: 5.0, through: 1, by: -1) { series = beta * (series + 1 / power) }
    return (all .<= times.insertingAxis(-1)).select(series, else: 0).sum(-1)
  }

  /// ᾱ
  var kept: Tensor { (-depth).exp() }
  /// 1 − ᾱ = tanh(depth/2) · (1 + exp(−depth))
  var lost: Tensor {
    let depth = depth
    return (depth * 0.5).tanh() * ((-depth).exp() + 1)
  }

  /// log of the variance of the step from t to t−1 that x₀ would give, log(βₜ(1−ᾱₜ₋₁)/(1−ᾱₜ)); at 0 that of 1.
  var logPosterior: Tensor {
    let here = NoiseLevels(times.maximum(1))
    let before = NoiseLevels(times.maximum(1) - 1)
    return (here.beta * before.lost / here.lost).log()
  }
}

extension Tensor {
  /// √ᾱₜ · self + √(1−ᾱₜ) · noise; self is `[batch, …]`, timesteps i64 `[batch]`.
  public func noised(by noise: Tensor, at timesteps: Tensor) -> Tensor {
    let levels = NoiseLevels(timesteps.cast(to: .f32))
    return levels.kept.squareRoot().perExample(of: self) * self + levels.lost.squareRoot().perExample(of: self) * noise
  }

  /// The rectified flow's latents (1−s)·self + s·noise and its target, the velocity noise − self.
  ///
  /// - Parameter times: f32 `[batch]`, 0 for data, 1 for noise.
  public func flowed(to noise: Tensor, at times: Tensor) -> (latents: Tensor, velocity: Tensor) {
    let share = times.perExample(of: self)
    return ((1 - share) * self + share * noise, noise - self)
  }

  /// `[batch]` as `[batch, 1, …]`, with as many axes as `other` has.
  func perExample(of other: Tensor) -> Tensor {
    reshaped([extent(0)] + [Int](repeating: 1, count: Swift.max(0, other.rank - 1)))
  }
}
