#if LLVM
import IR
import LLVMBackend
import Runtime

/// Runs kernels as machine code on literals, as the interpreter does.
struct Machine: Sendable {
  let compiler: CPUCompiler
  /// The machine that tests run on: this one, unless a test sets another.
  @TaskLocal static var shared = Machine()

  /// Where memory begins, behind an aligned place; an odd place by default, since nothing may count on alignment.
  let margin: Int

  init(_ target: CPUTarget = .host, margin: Int = 8) {
    compiler = CPUCompiler(cacheDirectory: nil, threads: 1, target: target)
    self.margin = margin
  }

  static let one = ThreadPool(threads: 1)
  static let two = ThreadPool(threads: 2)

  func run(_ kernel: Kernel, _ inputs: [Literal], _ results: [TensorType], on pool: ThreadPool = one) throws -> [Literal] {
    try run(compiler.compile([kernel])[0], kernel, inputs, results, on: pool)
  }

  func run(
    _ compiled: CPUKernel, _ kernel: Kernel, _ inputs: [Literal], _ results: [TensorType], on pool: ThreadPool = one
  ) throws -> [Literal] {
    var memory: [UnsafeMutableRawBufferPointer] = []
    defer { memory.forEach { $0.deallocate() } }
    var left = inputs[...]
    for buffer in kernel.buffers where buffer.role != .local {
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: buffer.bytes + 64, alignment: 64)
      memory.append(bytes)
      for i in bytes.indices { bytes[i] = 0xa5 }
      if buffer.role == .input, let input = left.popFirst() { input.write(to: bytes, buffer.dtype, margin) }
    }
    try compiled.run(memory.map { $0.baseAddress! + margin }, on: pool)
    let outputs = zip(memory, kernel.buffers.filter { $0.role != .local }).filter { $0.1.role == .output }
    return zip(outputs, results).map { Literal($1, reading: $0.0, margin) }
  }
}

extension Literal {
  func write(to bytes: UnsafeMutableRawBufferPointer, _ dtype: DType, _ margin: Int) {
    func put<T: BitwiseCopyable>(_ values: [T]) {
      for (i, value) in values.enumerated() {
        bytes.storeBytes(of: value, toByteOffset: margin + i * MemoryLayout<T>.size, as: T.self)
      }
    }
    switch dtype {
    case .f32: put(doubles.map { Float($0) })
    case .bf16: put(doubles.map { BFloat16(Float($0)).bits })
    case .f16: put(doubles.map { Half(Float($0)).bits })
    case .i32: put(integers.map { Int32(truncatingIfNeeded: $0) })
    case .i64: put(integers)
    case .u8, .bool: put(integers.map { UInt8(truncatingIfNeeded: $0) })
    }
  }

  init(_ type: TensorType, reading bytes: UnsafeMutableRawBufferPointer, _ margin: Int) {
    func get<T: BitwiseCopyable>(_ type: T.Type, _ count: Int) -> [T] {
      (0..<count).map { bytes.loadUnaligned(fromByteOffset: margin + $0 * MemoryLayout<T>.size, as: T.self) }
    }
    switch type.dtype {
    case .f32: self.init(type, floats: get(Float.self, type.count).map(Double.init))
    case .bf16: self.init(type, floats: get(UInt16.self, type.count).map { Double(BFloat16(bits: $0).float) })
    case .f16: self.init(type, floats: get(UInt16.self, type.count).map { Double(Half(bits: $0).float) })
    case .i32: self.init(type, integers: get(Int32.self, type.count).map(Int64.init))
    case .i64: self.init(type, integers: get(Int64.self, type.count))
    case .u8, .bool: self.init(type, integers: get(UInt8.self, type.count).map(Int64.init))
    }
  }

  /// Whether all elements are the same, NaN with NaN.
  func isSame(as other: Literal) -> Bool {
    type == other.type && zip(doubles, other.doubles).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) }
  }
}

/// A load without the ceremony.
func load(_ buffer: Int, _ dtype: DType, _ at: Position, where condition: Scalar? = nil) -> Scalar {
  .load(BufferID(buffer), ScalarType(dtype), at, guard: condition)
}

/// A kernel `out[i] = element(i)` for all i, as vectors of up to `width` lanes and `unroll` copies or as scalars.
func elementwise(
  _ inputs: [TensorType], _ output: TensorType, width: Int = 16, unroll: Int = 1, _ element: (Position) -> Scalar
) -> Kernel {
  let row = LoopVariable(0, below: 1)
  let i = LoopVariable(1, below: output.count)
  var buffers = inputs.enumerated().map { Kernel.Buffer("in\($0)", $1.dtype, $1.count, .input) }
  buffers.append(Kernel.Buffer("out", output.dtype, output.count, .output))
  let store = Statement.store(BufferID(inputs.count), Position(i), element(Position(i)))
  let inner = Loop(i, width == 1 ? .serial : .vector(width: width, unroll: unroll), [store])
  return Kernel(name: "elementwise", buffers: buffers, body: [.loop(Loop(row, .parallel, [.loop(inner)]))])
}
#endif
