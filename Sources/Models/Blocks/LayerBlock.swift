import DSL
import IR
import Runtime

/// One layer, from `x` to `y`.
struct LayerBlock: Architecture {
  private let layer: @Sendable () -> Stack
  let inputs: [ProgramInput]

  private init(_ axes: [ProgramInput.Axis], @LayerBuilder _ layer: @escaping @Sendable () -> Stack) {
    inputs = [ProgramInput("x", .f32, axes)]
    self.layer = layer
  }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    [("y", layer()(inputs.input("x")))]
  }

  init(attention fields: inout Fields) throws(Diagnostic) {
    let width = try fields.size("width")
    let heads = try fields.size("heads")
    let keyHeads = try fields.size("kv_heads", default: heads)
    try fields.require(heads % keyHeads == 0, "kv_heads", "wants a divisor of the \(heads) heads, got \(keyHeads)")
    let headWidth = try fields.size("head_width", default: width / heads)
    try fields.require(headWidth > 0, "head_width", "wants a positive head width, got \(headWidth)")
    let causal = try fields.bool("causal", default: true)
    let base = try fields.number("rope_base", default: 10000)
    try fields.require(base == 0 || headWidth % 2 == 0, "head_width", "wants an even head width to rotate, got \(headWidth)")
    let bias = try fields.bool("bias", default: false)
    let normalized = try fields.bool("qk_norm", default: false)
    let eps = try fields.number("norm_eps", default: 1e-5)
    self.init([.free("B"), .free("T"), .fixed(width)]) {
      Attention(
        width, heads: heads, keyHeads: keyHeads, headWidth: headWidth, causal: causal, rotaryBase: base, bias: bias,
        normalized: normalized, eps: eps
      ).named("attention")
    }
  }

  init(swiglu fields: inout Fields) throws(Diagnostic) {
    let width = try fields.size("width")
    let hidden = try fields.size("hidden")
    self.init([.anyAxes, .fixed(width)]) { SwiGLU(width, hidden: hidden).named("feed_forward") }
  }

  init(geluMLP fields: inout Fields) throws(Diagnostic) {
    let width = try fields.size("width")
    let hidden = try fields.size("hidden")
    let gelu: GELU = try fields.choice("gelu", default: .tanh)
    self.init([.anyAxes, .fixed(width)]) { MLP(width, hidden: hidden, gelu: gelu).named("feed_forward") }
  }

  init(rmsnorm fields: inout Fields) throws(Diagnostic) {
    let width = try fields.size("width")
    let eps = try fields.number("norm_eps", default: 1e-5)
    self.init([.anyAxes, .fixed(width)]) { RMSNorm(width, eps: eps).named("norm") }
  }

  init(layernorm fields: inout Fields) throws(Diagnostic) {
    let width = try fields.size("width")
    let eps = try fields.number("norm_eps", default: 1e-5)
    let affine = try fields.bool("affine", default: true)
    self.init([.anyAxes, .fixed(width)]) { LayerNorm(width, eps: eps, affine: affine).named("norm") }
  }
}
