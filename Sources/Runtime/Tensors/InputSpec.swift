import IR

/// A tensor described on a command line.
///
///     4x4xf32              zeros
///     4x4xf32=1            every element 1
///     4xi64=1,2,3,4        the elements in order
///     f32=0.5              a scalar
///     @x.npy               a file
///     @m.safetensors:name  a tensor of a file
///     4x4xf32=@x.npy       a file whose tensor must have this type; floats convert
///     4x4xf32=random       random elements: floats in -1 ..< 1, integers in 0 ..< 10
///     4x4xf32=random:7     the same from another seed
public struct InputSpec: Hashable, Sendable, CustomStringConvertible {
  public let type: TensorType?
  public let source: Source
  public let description: String

  public enum Source: Hashable, Sendable {
    case floats([Double])
    case integers([Int64])
    case numpy(String)
    case safetensors(String, tensor: String)
    case random(seed: UInt64)
  }

  public init(parsing text: String) throws(Diagnostic) {
    description = text
    do throws(Violation) {
      if text.hasPrefix("@") {
        type = nil
        source = try Self.file(text.dropFirst())
        return
      }
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let type = try Self.type(parts[0])
      self.type = type
      source = try Self.source(parts.count == 1 ? "0" : parts[1], type)
    } catch {
      throw Diagnostic("input '\(text)': \(error.message)")
    }
  }

  private static func type(_ text: Substring) throws(Violation) -> TensorType {
    let parts = text.split(separator: "x", omittingEmptySubsequences: false)
    let name = parts.last.map(String.init) ?? ""
    guard let dtype = DType(rawValue: name) else {
      let known = DType.allCases.map(\.rawValue).joined(separator: ", ")
      throw "'\(name)' is no element type; there are \(known)" as Violation
    }
    var shape: [Int] = []
    for part in parts.dropLast() {
      guard let extent = Int(part), extent >= 0 else { throw "'\(part)' is no extent" as Violation }
      shape.append(extent)
    }
    let type = TensorType(dtype, shape)
    try require(type.checkedBytes != nil, "\(type) is too large")
    return type
  }

  private static func file(_ text: Substring) throws(Violation) -> Source {
    if text.hasSuffix(".npy") { return .numpy(String(text)) }
    // The name of a tensor may hold anything; the file ends at the first `.safetensors:`.
    guard let range = text.firstRange(of: ".safetensors:") else {
      throw "wants @FILE.npy or @FILE.safetensors:NAME, got '@\(text)'" as Violation
    }
    let (path, name) = (text[..<range.lowerBound] + ".safetensors", text[range.upperBound...])
    try require(!name.isEmpty, "wants the name of a tensor after ':'")
    return .safetensors(String(path), tensor: String(name))
  }

  private static func source(_ text: Substring, _ type: TensorType) throws(Violation) -> Source {
    if text.hasPrefix("@") { return try file(text.dropFirst()) }
    if text == "random" { return .random(seed: 0) }
    if text.hasPrefix("random:") {
      guard let seed = UInt64(text.dropFirst(7)) else { throw "'\(text.dropFirst(7))' is no seed" as Violation }
      return .random(seed: seed)
    }
    let words = text.split(separator: ",", omittingEmptySubsequences: false).map { word in
      word.drop { $0 == " " }
    }
    try require(
      words.count == 1 || words.count == type.count, "\(type) wants 1 or \(type.count) elements, got \(words.count)")
    if type.dtype.isFloat {
      var values: [Double] = []
      for word in words {
        guard let value = Double(word) else { throw "'\(word)' is no number" as Violation }
        values.append(value)
      }
      return .floats(values)
    }
    var values: [Int64] = []
    for word in words { values.append(try integer(word, type.dtype)) }
    return .integers(values)
  }

  private static func integer(_ word: Substring, _ dtype: DType) throws(Violation) -> Int64 {
    let range: ClosedRange<Int64> =
      switch dtype {
      case .i32: Int64(Int32.min)...Int64(Int32.max)
      case .u8: 0...255
      case .bool: 0...1
      case .i64, .f32, .bf16, .f16: .min ... .max
      }
    let value = dtype == .bool ? ["false": 0, "true": 1][word] ?? Int64(word) : Int64(word)
    guard let value, range.contains(value) else { throw "'\(word)' is no \(dtype.rawValue)" as Violation }
    return value
  }

  /// Makes or reads the tensor; `wanted` is the type of the parameter it is for.
  public func tensor(for wanted: TensorType? = nil) throws(Diagnostic) -> HostTensor {
    if let type, let wanted, type != wanted { throw Diagnostic("input '\(description)': wants \(wanted), got \(type)") }
    switch source {
    case .floats(let values):
      return try generated { type throws(Diagnostic) in
        let all = values.count == type.count ? values : [Double](repeating: values[0], count: type.count)
        return try HostTensor(type, doubles: all)
      }
    case .integers(let values):
      return try generated { type throws(Diagnostic) in
        let all = values.count == type.count ? values : [Int64](repeating: values[0], count: type.count)
        return try HostTensor(type, integers: all)
      }
    case .random(let seed):
      return try generated { type throws(Diagnostic) in try .random(type, seed: seed) }
    case .numpy(let path): return try converted(try NumpyFile.read(path), to: type ?? wanted)
    case .safetensors(let path, let name):
      let file = try TensorFile(path)
      return try file.tensor(name, as: type ?? wanted)
    }
  }

  private func generated(
    _ make: (TensorType) throws(Diagnostic) -> HostTensor
  ) throws(Diagnostic) -> HostTensor {
    guard let type else { preconditionFailure("elements without a file have a type") }
    guard let bytes = type.checkedBytes, bytes <= physicalMemory() / 4 else {
      throw Diagnostic("input '\(description)': \(type) does not fit the memory of this machine")
    }
    return try make(type)
  }

  private func converted(_ tensor: HostTensor, to wanted: TensorType?) throws(Diagnostic) -> HostTensor {
    guard let wanted, wanted != tensor.type else { return tensor }
    guard wanted.shape == tensor.type.shape, ElementCodec.accepts(TensorFormat(tensor.type.dtype), as: wanted.dtype)
    else {
      throw Diagnostic("input '\(description)': wants \(wanted), got \(tensor.type)")
    }
    return try tensor.converted(to: wanted.dtype)
  }
}

extension HostTensor {
  /// Random elements: floats in -1 ..< 1, integers in 0 ..< 10, truth values.
  public static func random(_ type: TensorType, seed: UInt64) throws(Diagnostic) -> HostTensor {
    var generator = SplitMix64(seed: seed)
    if type.dtype.isFloat { return try HostTensor(type) { generator.fill($0, type.dtype, type.count) } }
    let bound: UInt64 = type.dtype == .bool ? 2 : 10
    return try HostTensor(type, integers: (0..<type.count).map { _ in Int64(generator.next() % bound) })
  }
}

extension SplitMix64 {
  /// Fills memory with floats in -1 ..< 1, piece by piece and several at a time: tables have billions of them.
  fileprivate func fill(_ memory: UnsafeMutableRawBufferPointer, _ dtype: DType, _ count: Int) {
    let size = 1 << 18
    func fill(_ piece: Int) {
      let range = piece * size..<min((piece + 1) * size, count)
      var own = skipping(range.lowerBound)
      let values = range.map { _ in own.unit() * 2 - 1 }
      let place = UnsafeMutableRawBufferPointer(
        rebasing: memory[range.lowerBound * dtype.size..<range.upperBound * dtype.size])
      values.withUnsafeBufferPointer { ElementCodec.encode($0, as: dtype, into: place) }
    }
    if count <= size { return count > 0 ? fill(0) : () }
    ThreadPool().parallel((count + size - 1) / size) { begin, end, _ in
      for piece in begin..<end { fill(piece) }
    }
  }
}
