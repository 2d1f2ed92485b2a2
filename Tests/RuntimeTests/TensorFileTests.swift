import Foundation
import IR
import Runtime
import Testing

@Suite("safetensors files") struct TensorFileTests {
  @Test("what the Python library wrote is read")
  func reads() throws {
    let file = try TensorFile(fixture("all.safetensors"))
    #expect(file.metadata == ["about": "every element type", "quote": "\"\\ü\n"])
    let numbers: [Double] = [0.1, -2.5, 3e-5, 65504, 1, -0.0]
    let shape = [2, 3]
    for dtype in [DType.f32, .f16, .bf16] {
      let wanted = Literal(TensorType(dtype, shape), floats: numbers.map { Double(Float($0)) })
      #expect(try file.literal(dtype.rawValue) == wanted, "\(dtype)")
    }
    #expect(try file.literal("f64").doubles == numbers, "F64 keeps its precision in a literal")
    #expect(try file.tensor("f64").doubles == numbers.map { Double(Float($0)) })
    #expect(try file.tensor("i64").integers == [.min, 0, .max])
    #expect(try file.tensor("i32").integers == [-7, 7])
    #expect(try file.tensor("u8").integers == [0, 255])
    #expect(try file.tensor("bool").integers == [1, 0, 1])
    #expect(try file.tensor("scalar").literal == Literal(.f32(), floats: [4.5]))
    #expect(try file.tensor("empty").type == .f32(0, 3))
    #expect(try file.tensor("näme").doubles == [0])
  }

  @Test("floats convert, integers become wider, and nothing else does")
  func converts() throws {
    let file = try TensorFile(fixture("all.safetensors"))
    let exact = try file.tensor("f64", as: TensorType(.bf16, [2, 3]))
    #expect(try exact == file.tensor("bf16"))
    #expect(try file.tensor("i32", as: .i64(2)).integers == [-7, 7])
    let path = fixture("all.safetensors")
    #expect(
      complaint { _ = try file.tensor("i64", as: TensorType(.i32, [3])) }
        == "\(path): tensor 'i64': wants i32[3], got I64[3]")
    #expect(
      complaint { _ = try file.tensor("f32", as: .f32(3, 2)) }
        == "\(path): tensor 'f32': wants f32[3, 2], got F32[2, 3]")
    #expect(complaint { _ = try file.tensor("none") } == "\(path): has no tensor 'none'")
  }

  @Test("a file is read as it was written", arguments: [1, 70_000])
  func roundTrip(count: Int) throws {
    let scratch = try Scratch()
    var tensors: [String: HostTensor] = [:]
    for (number, dtype) in DType.allCases.enumerated() {
      tensors["t.\(dtype.rawValue)"] = try HostTensor.random(TensorType(dtype, [count]), seed: UInt64(number))
    }
    tensors["empty"] = try HostTensor(zeros: .f32(0))
    tensors["scalar \"quoted\""] = try HostTensor(.f32(), doubles: [.nan])
    try TensorFile.write(tensors, metadata: ["k": "v"], to: scratch.path("x.safetensors"))
    let file = try TensorFile(scratch.path("x.safetensors"))
    #expect(Set(file.names) == Set(tensors.keys))
    #expect(file.metadata == ["k": "v"])
    for (name, tensor) in tensors { #expect(try file.tensor(name) == tensor, "\(name)") }
    for entry in file.entries { #expect(entry.bytes.lowerBound.isMultiple(of: entry.format.size)) }
    #expect(scratch.names == ["x.safetensors"])
  }

  /// The bytes of a file with this header and so many bytes of data.
  func bytes(_ header: String, data: Int = 0, length: UInt64? = nil) -> [UInt8] {
    let length = length ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } + header.utf8
      + [UInt8](repeating: 0, count: data)
  }

  static func entry(_ dtype: String, _ shape: String, _ begin: String, _ end: String) -> String {
    "{\"dtype\":\"\(dtype)\",\"shape\":\(shape),\"data_offsets\":[\(begin),\(end)]}"
  }

  static let hostile: [(String, Int, String)] = [
    (
      "{\"a\":" + entry("F32", "[2]", "0", "8") + "}", 4,
      "tensor 'a': stands at 0...8, and the file has 4 bytes of data"
    ),
    ("{\"a\":" + entry("F32", "[2]", "0", "8") + "}", 9, "wants 70 bytes, got 71"),
    ("{\"a\":" + entry("F32", "[3]", "0", "8") + "}", 8, "tensor 'a': F32[3] has 12 bytes, got 8"),
    (
      "{\"a\":" + entry("F32", "[2]", "8", "0") + "}", 8,
      "tensor 'a': stands at 8...0, and the file has 8 bytes of data"
    ),
    (
      "{\"a\":" + entry("F32", "[2]", "-8", "0") + "}", 8,
      "tensor 'a': stands at -8...0, and the file has 8 bytes of data"
    ),
    ("{\"a\":" + entry("F32", "[-2]", "0", "8") + "}", 8, "tensor 'a': shape [-2] is impossible"),
    (
      "{\"a\":" + entry("F32", "[4611686018427387905,4]", "0", "16") + "}", 16,
      "tensor 'a': shape [4611686018427387905, 4] is impossible"
    ),
    (
      "{\"a\":" + entry("F32", "[4611686018427387904]", "0", "0") + "}", 0,
      "tensor 'a': F32[4611686018427387904] has too many bytes, got 0"
    ),
    (
      "{\"a\":" + entry("F32", "[0,4611686018427387904,4]", "0", "0") + "}", 0,
      "tensor 'a': shape [0, 4611686018427387904, 4] is impossible"
    ),
    (
      "{\"a\":" + entry("F32", "[9223372036854775808]", "0", "0") + "}", 0,
      "tensor 'a': wants an integer, got 9.223372036854776e+18"
    ),
    ("{\"a\":" + entry("F32", "[2.5]", "0", "8") + "}", 8, "tensor 'a': wants an integer, got 2.5"),
    (
      "{\"a\":" + entry("X7", "[2]", "0", "8") + "}", 8,
      "tensor 'a': element type X7 is not one of F64, F32, F16, BF16, I64, I32, U8, BOOL"
    ),
    ("{\"a\":{\"dtype\":\"F32\",\"shape\":[0]}}", 0, "tensor 'a': wants a key \"data_offsets\""),
    (
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0,0]}}", 0, "tensor 'a': wants 2 data_offsets, got 3"
    ),
    (
      "{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}", 0,
      "tensor 'a': unknown key \"x\"; there are data_offsets, dtype, shape"
    ),
    ("{\"a\":7}", 0, "tensor 'a': wants an object, got 7"),
    (
      "{\"a\":" + entry("U8", "[8]", "0", "8") + ",\"b\":" + entry("U8", "[8]", "4", "12") + "}", 12,
      "tensor 'b': overlaps the tensor before it: wants to begin at 8, got 4"
    ),
    (
      "{\"a\":" + entry("U8", "[4]", "0", "4") + ",\"b\":" + entry("U8", "[4]", "8", "12") + "}", 12,
      "tensor 'b': leaves a gap before it: wants to begin at 4, got 8"
    ),
    ("{\"__metadata__\":{\"a\":1}}", 0, "wants a string, got 1"),
    ("[]", 0, "is no safetensors file: its header is no object"),
    ("", 0, "is no safetensors file: its header is no object"),
    (
      "{\"a\":" + entry("F32", "[0]", "0", "0") + ",\"a\":" + entry("F32", "[0]", "0", "0") + "}", 0,
      "key \"a\" stands there twice"
    ),
    (
      "{\"" + String(repeating: "n", count: 4097) + "\":" + entry("U8", "[0]", "0", "0") + "}", 0,
      "a tensor's name has 4097 bytes, at most 4096 are allowed"
    ),
    (
      "{\"a\":" + entry("U8", "[" + String(repeating: "1,", count: 40) + "1]", "0", "1") + "}", 1,
      "tensor 'a': has 41 axes, at most 32 are allowed"
    ),
    ("{\"a\":" + String(repeating: "[", count: 70), 0, "is more than 64 levels deep"),
  ]

  @Test("hostile headers are refused", arguments: hostile.indices)
  func refuses(number: Int) throws {
    let (header, data, message) = Self.hostile[number]
    let scratch = try Scratch()
    let path = try scratch.file("x.safetensors", bytes(header, data: data))
    let said = complaint { _ = try TensorFile(path) }
    #expect(said == message || said == "\(path): \(message)")
  }

  @Test("lengths that lie are refused before anything is read")
  func lengths() throws {
    let scratch = try Scratch()
    for length in [UInt64.max, 1 << 63, 100_000_001] {
      let path = try scratch.file("x", bytes("{}", length: length))
      #expect(
        complaint { _ = try TensorFile(path) }
          == "\(path): is no safetensors file: its header has \(length) bytes, at most 100000000 are allowed")
    }
    let short = try scratch.file("y", bytes("{}", length: 99))
    #expect(complaint { _ = try TensorFile(short) } == "\(short): is cut short: its header has 99 bytes, and 2 follow")
    let tiny = try scratch.file("z", [1, 2, 3])
    #expect(complaint { _ = try TensorFile(tiny) } == "\(tiny): is no safetensors file: has 3 bytes")
    #expect(
      complaint { _ = try TensorFile(scratch.path("none")) }
        == "\(scratch.path("none")): cannot be opened: No such file or directory")
    #expect(complaint { _ = try TensorFile(scratch.folder) } == "\(scratch.folder): is no regular file")
  }

  @Test("every cut of a good file is refused")
  func cuts() throws {
    let whole = try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixture("all.safetensors"))))
    let scratch = try Scratch()
    for count in stride(from: 0, to: whole.count, by: 13) {
      let path = try scratch.file("x", Array(whole[..<count]))
      #expect(complaint { _ = try TensorFile(path) }.hasPrefix(path), "\(count)")
    }
  }

  @Test("a header with a hundred thousand tensors is read")
  func many() throws {
    let count = 100_000
    let entries = (0..<count).map { "\"tensor.\($0)\":" + Self.entry("U8", "[1,1]", "\($0)", "\($0 + 1)") }
    let scratch = try Scratch()
    let path = try scratch.file("x", bytes("{" + entries.joined(separator: ",") + "}", data: count))
    let file = try TensorFile(path)
    #expect(file.entries.count == count)
    #expect(file.entries.last?.name == "tensor.99999")
  }

  @Test("two tensors of one name are not written")
  func duplicates() throws {
    let scratch = try Scratch()
    let tensor = try HostTensor(zeros: .f32(1))
    let said = complaint {
      try TensorFile.write([TensorFile.Item("a", tensor), TensorFile.Item("a", tensor)], to: scratch.path("x"))
    }
    #expect(said == "\(scratch.path("x")): cannot be written: two tensors are called 'a'")
    #expect(scratch.names == [])
  }
}
