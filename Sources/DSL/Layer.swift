/// Something that turns a tensor into another and may have parameters: a struct that can be called.
public protocol Layer {
  func callAsFunction(_ x: Tensor) -> Tensor
  /// The name of its parameters' scope where a `LayerBuilder` lists it; `nil` if it names them itself.
  var scopeName: String? { get }
}

extension Layer {
  /// The type's name in the style of parameter names: `RMSNorm` is `rms_norm`.
  public var scopeName: String? { snakeCase(String(describing: Self.self)) }

  /// The layer under a name of its own: its parameters are `name.weight` and so on, in the scope around.
  public func named(_ name: String) -> Named<Self> { Named(name: name, layer: self) }
}

/// A layer made of layers: `body` lists them, and each gets what the one before returned.
public protocol Model: Layer {
  associatedtype Body: Layer
  @LayerBuilder var body: Body { get }
}

extension Model {
  public func callAsFunction(_ x: Tensor) -> Tensor { body(x) }
}

/// A layer whose parameters stand under a name.
public struct Named<Content: Layer>: Layer {
  public let name: String
  public let layer: Content
  public var scopeName: String? { nil }

  public func callAsFunction(_ x: Tensor) -> Tensor { x.trace.scope(name) { layer(x) } }
}

/// A layer written as a closure.
public struct Apply: Layer {
  private let body: (Tensor) -> Tensor
  public var scopeName: String? { nil }

  public init(_ body: @escaping (Tensor) -> Tensor) { self.body = body }
  public func callAsFunction(_ x: Tensor) -> Tensor { body(x) }
}

/// `SwiGLU` → `swi_glu`, `RMSNorm` → `rms_norm`, `Stack<Float>` → `stack`.
func snakeCase(_ name: String) -> String {
  let letters = Array(name.prefix { $0.isLetter || $0.isNumber || $0 == "_" })
  var text = ""
  for (place, letter) in letters.enumerated() {
    let startsWord = letter.isUppercase && place > 0
    let afterSmall = startsWord && !letters[place - 1].isUppercase && letters[place - 1] != "_"
    let beforeSmall = startsWord && place + 1 < letters.count && letters[place + 1].isLowercase
    if afterSmall || (beforeSmall && letters[place - 1] != "_") { text += "_" }
    text += letter.lowercased()
  }
  return text
}
