import IR

extension Literal {
  /// Writes the elements to memory in the layout of the type.
  public func store(to memory: UnsafeMutableRawBufferPointer) {
    precondition(memory.count >= type.bytes, "\(type) takes \(type.bytes) bytes, got \(memory.count)")
    for index in 0..<type.count {
      switch type.dtype {
      case .f32: memory.storeBytes(of: Float(float(at: index)), toByteOffset: index * 4, as: Float.self)
      case .bf16: memory.storeBytes(of: BFloat16(Float(float(at: index))).bits, toByteOffset: index * 2, as: UInt16.self)
      case .f16: memory.storeBytes(of: Half(Float(float(at: index))).bits, toByteOffset: index * 2, as: UInt16.self)
      case .i32: memory.storeBytes(of: Int32(truncatingIfNeeded: integer(at: index)), toByteOffset: index * 4, as: Int32.self)
      case .i64: memory.storeBytes(of: integer(at: index), toByteOffset: index * 8, as: Int64.self)
      case .u8, .bool: memory[index] = UInt8(truncatingIfNeeded: integer(at: index))
      }
    }
  }

  /// Reads the elements of a type from memory.
  public init(_ type: TensorType, from memory: UnsafeRawBufferPointer) {
    precondition(memory.count >= type.bytes, "\(type) takes \(type.bytes) bytes, got \(memory.count)")
    let indices = 0..<type.count
    switch type.dtype {
    case .f32: self.init(type, floats: indices.map { Double(memory.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self)) })
    case .bf16:
      self.init(type, floats: indices.map { Double(BFloat16(bits: memory.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)).float) })
    case .f16:
      self.init(type, floats: indices.map { Double(Half(bits: memory.loadUnaligned(fromByteOffset: $0 * 2, as: UInt16.self)).float) })
    case .i32: self.init(type, integers: indices.map { Int64(memory.loadUnaligned(fromByteOffset: $0 * 4, as: Int32.self)) })
    case .i64: self.init(type, integers: indices.map { memory.loadUnaligned(fromByteOffset: $0 * 8, as: Int64.self) })
    case .u8, .bool: self.init(type, integers: indices.map { Int64(memory[$0]) })
    }
  }
}
