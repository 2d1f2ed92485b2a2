/// Builds a `Stack` from a list of layers; each remembers the line it stands on.
@resultBuilder
public enum LayerBuilder {
  public static func buildExpression(
    _ layer: some Layer, file: String = #fileID, line: Int = #line, column: Int = #column
  ) -> [Stack.Part] {
    [Stack.Part(layer: layer, file: file, line: line, column: column)]
  }
  public static func buildBlock(_ parts: [Stack.Part]...) -> [Stack.Part] { Array(parts.joined()) }
  public static func buildOptional(_ parts: [Stack.Part]?) -> [Stack.Part] { parts ?? [] }
  public static func buildEither(first parts: [Stack.Part]) -> [Stack.Part] { parts }
  public static func buildEither(second parts: [Stack.Part]) -> [Stack.Part] { parts }
  public static func buildArray(_ parts: [[Stack.Part]]) -> [Stack.Part] { Array(parts.joined()) }
  public static func buildLimitedAvailability(_ parts: [Stack.Part]) -> [Stack.Part] { parts }
  public static func buildFinalResult(_ parts: [Stack.Part]) -> Stack { Stack(parts: parts) }
}

/// Layers one after the other.
///
/// A layer without a name gets that of its type, and a number if there are several: `attention`, `rms_norm`,
/// `rms_norm_1`. Names do not depend on what else is there.
public struct Stack: Layer {
  /// A layer and the line that lists it.
  public struct Part {
    let layer: any Layer
    let file: String
    let line: Int
    let column: Int
  }

  let parts: [Part]
  public var scopeName: String? { nil }

  public init(@LayerBuilder _ content: () -> Stack) { self = content() }
  init(parts: [Part]) { self.parts = parts }

  public func callAsFunction(_ x: Tensor) -> Tensor {
    var x = x
    var seen: [String: Int] = [:]
    for part in parts {
      let scope = part.layer.scopeName.map { name in
        let number = seen[name, default: 0]
        seen[name] = number + 1
        return number == 0 ? name : "\(name)_\(number)"
      }
      x = x.trace.at(part.file, part.line, part.column) {
        x.trace.scope(scope ?? "") { part.layer(x) }
      }
    }
    return x
  }
}
