import CUDABackend
import IR
import Passes
import Runtime
import TestSupport
import Testing

extension Literal {
  /// The elements as they stand in memory.
  var memory: [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) } }
    for offset in 0..<type.count {
      switch type.dtype {
      case .f32: append(Float(float(at: offset)).bitPattern)
      case .bf16: append(BFloat16(Float(float(at: offset))).bits)
      case .f16: append(Half(Float(float(at: offset))).bits)
      case .i32: append(Int32(truncatingIfNeeded: integer(at: offset)))
      case .i64: append(integer(at: offset))
      case .u8, .bool: append(UInt8(truncatingIfNeeded: integer(at: offset)))
      }
    }
    return bytes
  }

  init(_ type: TensorType, memory: UnsafeRawPointer) {
    func load<T>(_ offset: Int, as _: T.Type) -> T { memory.loadUnaligned(fromByteOffset: offset * type.dtype.size, as: T.self) }
    let range = 0..<type.count
    switch type.dtype {
    case .f32: self.init(type, floats: range.map { Double(load($0, as: Float.self)) })
    case .bf16: self.init(type, floats: range.map { Double(BFloat16(bits: load($0, as: UInt16.self)).float) })
    case .f16: self.init(type, floats: range.map { Double(Half(bits: load($0, as: UInt16.self)).float) })
    case .i32: self.init(type, integers: range.map { Int64(load($0, as: Int32.self)) })
    case .i64: self.init(type, integers: range.map { load($0, as: Int64.self) })
    case .u8, .bool: self.init(type, integers: range.map { Int64(load($0, as: UInt8.self)) })
    }
  }
}

/// A kernel, and inputs to run it on.
struct Sample: CustomTestStringConvertible {
  var kernel: Kernel
  var inputs: [Literal]
  /// The largest difference from the interpreter, which computes in double precision.
  var tolerance = 1e-5
  /// An input that is also the memory of an output.
  var inPlace: (input: Int, output: Int)?

  var testDescription: String { kernel.name }

  init(_ name: String, _ buffers: [Kernel.Buffer], _ body: [Statement], seed: UInt64 = 1, inputs: [Literal]? = nil) {
    kernel = Kernel(name: name, buffers: buffers, body: body)
    var generator = Seeded(seed)
    self.inputs = inputs ?? buffers.filter { $0.role == .input }.map {
      Literal.random(TensorType($0.dtype, [$0.count]), using: &generator)
    }
  }

  var resultTypes: [TensorType] {
    kernel.buffers.filter { $0.role == .output }.map { TensorType($0.dtype, [$0.count]) }
  }

  func tolerance(_ tolerance: Double) -> Sample {
    var sample = self
    sample.tolerance = tolerance
    return sample
  }

  func interpreted() throws -> [Literal] {
    try KernelInterpreter.run(kernel, inputs: inputs, resultTypes: resultTypes)
  }

  /// What kernel `number` of `program`, which is this one, makes of the inputs.
  func emulated(
    by program: EmulatedCUDA, _ number: Int, order: EmulatedCUDA.ThreadOrder = .ascending
  ) throws(Diagnostic) -> [Literal] {
    var rest = inputs.makeIterator()
    let passed = kernel.buffers.filter { $0.role != .local }
    var memories: [UnsafeMutableRawPointer] = []
    for buffer in passed {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: max(buffer.bytes, 1), alignment: 64)
      memory.initializeMemory(as: UInt8.self, repeating: 0xff, count: buffer.bytes)
      if buffer.role == .input, let input = rest.next() { memory.copyMemory(from: input.memory, byteCount: buffer.bytes) }
      if let start = buffer.updates { memory.copyMemory(from: memories[start.index], byteCount: buffer.bytes) }
      memories.append(memory)
    }
    defer { for memory in memories { memory.deallocate() } }
    var table = memories
    let outputs = passed.indices.filter { passed[$0].role == .output }
    if let inPlace { table[outputs[inPlace.output]] = table[inPlace.input] }
    let scratch = UnsafeMutableRawPointer.allocate(byteCount: max(program.scratchBytes, 1), alignment: 64)
    defer { scratch.deallocate() }
    func address(_ memory: UnsafeMutableRawPointer) -> UInt64 { UInt64(UInt(bitPattern: memory)) }
    try program.run(number, table.map(address), scratch: address(scratch), order: order)
    return zip(outputs, resultTypes).map { Literal($1, memory: table[$0]) }
  }
}

extension Sample {
  /// What a GPU makes of the inputs: launched once by itself and once more as a graph.
  func run(by kernels: CUDAKernels, _ number: Int, on stream: CUDAStream) throws(Diagnostic) -> [Literal] {
    let device = stream.device
    var rest = inputs.makeIterator()
    let passed = kernel.buffers.filter { $0.role != .local }
    var memories: [CUDAMemory] = []
    for buffer in passed {
      let memory = try CUDAMemory(bytes: buffer.bytes, on: device)
      try stream.fill(memory, with: 0xff)
      if buffer.role == .input, let input = rest.next() {
        let bytes = input.memory
        try copy(bytes, to: memory, on: stream)
      }
      if let start = buffer.updates { try copy(inputs[start.index].memory, to: memory, on: stream) }
      memories.append(memory)
    }
    var addresses = memories.map(\.address)
    let outputs = passed.indices.filter { passed[$0].role == .output }
    if let inPlace { addresses[outputs[inPlace.output]] = addresses[inPlace.input] }
    let scratch = try CUDAMemory(bytes: kernels.scratchBytes, on: device)
    func launch() throws(Diagnostic) { try kernels.run(number, addresses, scratch: scratch.address, on: stream) }
    let graph = try stream.capture(launch)
    // What is updated in place can be run once only.
    if inPlace == nil { try launch() }
    try graph.launch(on: stream)
    try stream.synchronize()
    var results: [Literal] = []
    for (output, type) in zip(outputs, resultTypes) {
      let isInPlace = inPlace.map { outputs[$0.output] == output } ?? false
      let memory = isInPlace ? memories[inPlace?.input ?? 0] : memories[output]
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, memory.bytes), alignment: 64)
      defer { bytes.deallocate() }
      try stream.copy(from: memory.address, to: UnsafeMutableRawBufferPointer(rebasing: bytes[..<memory.bytes]))
      try stream.synchronize()
      if let base = bytes.baseAddress { results.append(Literal(type, memory: base)) }
    }
    return results
  }

  private func copy(_ bytes: [UInt8], to memory: CUDAMemory, on stream: CUDAStream) throws(Diagnostic) {
    let host = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, bytes.count), alignment: 64)
    defer { host.deallocate() }
    host.copyBytes(from: bytes)
    try stream.copy(from: UnsafeRawBufferPointer(rebasing: host[..<bytes.count]), to: memory.address)
    try stream.synchronize()
  }
}

/// The mapping of a sample.
func mapping(of sample: Sample, _ spread: Spread) throws(Violation) -> ThreadMapping {
  try mapToThreads(sample.kernel, within: spread.limits)
}

/// Ways of spreading a kernel over threads, the odd ones too.
enum Spread: String, CaseIterable {
  case usual, warps, odd, tiny, scratch, ahead

  var limits: ThreadLimits {
    var limits = ThreadLimits()
    switch self {
    case .usual: break
    case .warps: limits.manyIterations = 1
    case .odd: limits.threads = 96
    case .tiny:
      limits.threads = 32
      limits.smallTeams = 32
      limits.threadLocalBytes = 0
    case .scratch:
      // No room for locals on the chip, and for few blocks: each team does several iterations.
      limits.threadLocalBytes = 0
      limits.sharedBytes = 9 << 10
      limits.sharedBytesOfProducts = 9 << 10
      limits.scratchBytes = 3 << 10
    case .ahead:
      // A small GPU, on which a block does several rows.
      limits.registersOfMultiprocessor = 8 << 10
      limits.multiprocessors = 1
    }
    return limits
  }
}

// Short spellings for kernels written by hand.

func load(_ buffer: Int, _ at: Position, as type: ScalarType = .f32, where condition: Scalar? = nil) -> Scalar {
  .load(BufferID(buffer), type, at, guard: condition)
}
func store(_ buffer: Int, _ at: Position, _ value: Scalar) -> Statement { .store(BufferID(buffer), at, value) }
func parallel(_ loop: LoopVariable, _ body: [Statement]) -> Statement { .loop(Loop(loop, .parallel, body)) }
func serial(_ loop: LoopVariable, limit: Position? = nil, _ body: [Statement]) -> Statement {
  .loop(Loop(loop, .serial, limit: limit, body))
}
func vector(_ loop: LoopVariable, limit: Position? = nil, _ body: [Statement]) -> Statement {
  .loop(Loop(loop, .vector(width: 8, unroll: 1), limit: limit, body))
}
func input(_ count: Int, _ dtype: DType = .f32) -> Kernel.Buffer { .init("x", dtype, count, .input) }
func output(_ count: Int, _ dtype: DType = .f32) -> Kernel.Buffer { .init("y", dtype, count, .output) }
func workspace(_ count: Int, _ dtype: DType = .f32) -> Kernel.Buffer { .init("w", dtype, count, .workspace) }
func local(_ count: Int, _ dtype: DType = .f32) -> Kernel.Buffer { .init("t", dtype, count, .local) }
