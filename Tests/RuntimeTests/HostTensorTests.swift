import IR
import Runtime
import Testing

@Suite("host tensors") struct HostTensorTests {
  @Test("a literal of the type comes back", arguments: DType.allCases)
  func literals(dtype: DType) throws {
    let random = try HostTensor.random(TensorType(dtype, [3, 5]), seed: 1)
    #expect(try HostTensor(random.literal) == random)
    random.withBytes { #expect(Int(bitPattern: $0.baseAddress) % 64 == 0 && $0.count == 15 * dtype.size) }
  }

  @Test("a changed copy leaves the original alone")
  func copies() throws {
    let original = try HostTensor(zeros: .f32(2))
    var copy = original
    copy.withMutableBytes { $0.storeBytes(of: Float(1), as: Float.self) }
    #expect(original.doubles == [0, 0])
    #expect(copy.doubles == [1, 0])
    #expect(original != copy)
  }

  @Test("conversions round and wrap")
  func conversions() throws {
    let floats = try HostTensor(.f32(3), doubles: [0.1, 300.7, -1])
    #expect(
      try floats.converted(to: .bf16).doubles == Literal(TensorType(.bf16, [3]), floats: [0.1, 300.7, -1]).doubles)
    #expect(try floats.converted(to: .i64).integers == [0, 300, -1])
    #expect(try floats.converted(to: .bool).integers == [1, 1, 1])
    #expect(try HostTensor(.i64(2), integers: [257, -1]).converted(to: .u8).integers == [1, 255])
    #expect(try HostTensor(.i64(2), integers: [0, -1]).converted(to: .f32).doubles == [0, -1])
  }

  @Test("sizes beyond all memory are errors")
  func sizes() {
    #expect(throws: Diagnostic.self) { try HostTensor(zeros: .f32(.max, 2)) }
    #expect(throws: Diagnostic.self) { try HostTensor(zeros: .f32(1 << 60)) }
    #expect(TensorType.checkedCount([0, .max, 2]) == nil)
    #expect(TensorType.checkedCount([3, 0]) == 0)
  }
}

@Suite("numpy files") struct NumpyFileTests {
  @Test("what numpy wrote is read")
  func reads() throws {
    let grid = Literal(.f32(2, 3), floats: [0, 1, 2, 3, 4, 5])
    #expect(try NumpyFile.read(fixture("f4.npy")).literal == grid)
    #expect(try NumpyFile.read(fixture("version2.npy")).literal == grid)
    #expect(try NumpyFile.read(fixture("fortran.npy")).literal == grid)
    #expect(try NumpyFile.read(fixture("f8.npy")).doubles == (0..<6).map { Double(Float(Double($0) / 3)) })
    #expect(try NumpyFile.read(fixture("f2.npy")).type == TensorType(.f16, [2, 3]))
    #expect(try NumpyFile.read(fixture("i8.npy")).integers == [.min, 5])
    #expect(try NumpyFile.read(fixture("b1.npy")).literal == Literal(TensorType(.bool, [2, 1]), integers: [1, 0]))
    #expect(try NumpyFile.read(fixture("scalar.npy")).literal == Literal(.f32(), floats: [2.5]))
    let path = fixture("big-endian.npy")
    #expect(complaint { _ = try NumpyFile.read(path) } == "\(path): big-endian elements '>f4' are not supported")
  }

  @Test("a file is read as it was written", arguments: DType.allCases, [[], [3], [2, 0], [2, 3, 4]])
  func roundTrip(dtype: DType, shape: [Int]) throws {
    let scratch = try Scratch()
    let tensor = try HostTensor.random(TensorType(dtype, shape), seed: 5)
    try NumpyFile.write(tensor, to: scratch.path("x.npy"))
    let wanted = dtype == .bf16 ? try tensor.converted(to: .f32) : tensor
    #expect(try NumpyFile.read(scratch.path("x.npy")) == wanted)
  }

  @Test(
    "hostile files are refused",
    arguments: [
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }", "<f4 of shape [3]: wants 79 bytes, got 75"),
      ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 4), }", "is impossible"),
      (
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }",
        "the header wants a number at byte 51"
      ),
      ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (2,), }", "the header wants 'False' at byte 34"),
      ("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", "elements of type '|O' are not supported"),
      ("{'descr': '<f4', 'descr': '<f4', 'shape': (2,), }", "the header has the key 'descr' twice"),
      ("{'descr': '<f4', 'shape': (2,), }", "the header wants the keys"),
      ("{'descr': '<f4", "a string of the header does not end"),
      ("{'x': 1}", "the header has an unknown key 'x'"),
      ("", "the header wants '{' at byte 0"),
    ])
  func refuses(header: String, message: String) throws {
    let scratch = try Scratch()
    let length = UInt8(header.utf8.count)
    let path = try scratch.file(
      "x.npy", [0x93] + Array("NUMPY".utf8) + [1, 0, length, 0] + header.utf8 + [UInt8](repeating: 0, count: 8))
    #expect(complaint { _ = try NumpyFile.read(path) }.contains(message))
  }

  @Test("every cut of a good file is refused")
  func cuts() throws {
    let scratch = try Scratch()
    let whole = try readFile(fixture("f4.npy"), limit: 1000)
    for count in whole.indices {
      let path = try scratch.file("x", Array(whole[..<count]))
      #expect(complaint { _ = try NumpyFile.read(path) }.hasPrefix(path), "\(count)")
    }
  }
}

@Suite("inputs of a command line") struct InputSpecTests {
  @Test(
    "elements in the text",
    arguments: [
      ("2x2xf32=1", Literal(.f32(2, 2), floats: [1, 1, 1, 1])), ("2xi64=3,-4", Literal(.i64(2), integers: [3, -4])),
      ("f32=0.5", Literal(.f32(), floats: [0.5])),
      ("3xbool=true,0,1", Literal(TensorType(.bool, [3]), integers: [1, 0, 1])),
      ("2xbf16", .zeros(TensorType(.bf16, [2]))), ("2xf32=-inf, 1e3", Literal(.f32(2), floats: [-.infinity, 1000])),
      ("0x2xf32=7", .zeros(.f32(0, 2))),
    ])
  func literals(text: String, wanted: Literal) throws {
    #expect(try InputSpec(parsing: text).tensor().literal == wanted)
  }

  @Test("random elements follow from the seed")
  func random() throws {
    func make(_ text: String) throws -> HostTensor { try InputSpec(parsing: text).tensor() }
    #expect(try make("9xf32=random:3") == make("9xf32=random:3"))
    #expect(try make("9xf32=random:3") != make("9xf32=random"))
    #expect(try make("99xf32=random").doubles.allSatisfy { $0 >= -1 && $0 < 1 })
    #expect(try make("99xi32=random").integers.allSatisfy { (0..<10).contains($0) })
  }

  @Test("files")
  func files() throws {
    let grid = Literal(.f32(2, 3), floats: [0, 1, 2, 3, 4, 5])
    #expect(try InputSpec(parsing: "@\(fixture("f4.npy"))").tensor().literal == grid)
    #expect(try InputSpec(parsing: "2x3xbf16=@\(fixture("f4.npy"))").tensor().type == TensorType(.bf16, [2, 3]))
    #expect(try InputSpec(parsing: "@\(fixture("f4.npy"))").tensor(for: TensorType(.f16, [2, 3])).type.dtype == .f16)
    #expect(try InputSpec(parsing: "@\(fixture("all.safetensors")):scalar").tensor().doubles == [4.5])
    #expect(
      complaint { _ = try InputSpec(parsing: "3x2xf32=@\(fixture("f4.npy"))").tensor() }.hasSuffix(
        "wants f32[3, 2], got f32[2, 3]"))
    #expect(
      complaint { _ = try InputSpec(parsing: "2xi64=@\(fixture("f4.npy"))").tensor() }.hasSuffix(
        "wants i64[2], got f32[2, 3]"))
  }

  @Test(
    "what is no input is refused",
    arguments: [
      ("4x4xf33=1", "'f33' is no element type; there are f32, bf16, f16, i32, i64, u8, bool"),
      ("-1xf32=1", "'-1' is no extent"),
      ("axf32", "'a' is no extent"), ("", "'' is no element type; there are f32, bf16, f16, i32, i64, u8, bool"),
      ("2xf32=1,2,3", "f32[2] wants 1 or 2 elements, got 3"), ("f32=x", "'x' is no number"),
      ("u8=256", "'256' is no u8"),
      ("i64=1.5", "'1.5' is no i64"), ("bool=2", "'2' is no bool"), ("f32=random:-1", "'-1' is no seed"),
      ("@x.bin", "wants @FILE.npy or @FILE.safetensors:NAME, got '@x.bin'"),
      ("@x.safetensors:", "wants the name of a tensor after ':'"),
      ("9223372036854775807x9xf32=1", "f32[9223372036854775807, 9] is too large"),
      ("99999999x99999999xf32=1", "f32[99999999, 99999999] does not fit the memory of this machine"),
    ])
  func refuses(text: String, message: String) {
    #expect(complaint { _ = try InputSpec(parsing: text).tensor() } == "input '\(text)': \(message)")
  }

  @Test("an input must have the type of its parameter")
  func wanted() {
    #expect(
      complaint { _ = try InputSpec(parsing: "2xf32=1").tensor(for: .f32(3)) }
        == "input '2xf32=1': wants f32[3], got f32[2]")
  }

  @Test("random elements are those of one generator, however many pieces they are made in", arguments: [DType.f32, .bf16])
  func random(dtype: DType) throws {
    let type = TensorType(dtype, [3, 100_001])
    var generator = SplitMix64(seed: 9)
    let doubles = (0..<type.count).map { _ in generator.unit() * 2 - 1 }
    #expect(try HostTensor.random(type, seed: 9).doubles == HostTensor(type, doubles: doubles).doubles)
  }
}
