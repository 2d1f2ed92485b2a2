#if LLVM
internal import CLLVM
import IR

/// Loads and stores.
extension StageEmitter {
  func load(_ id: BufferID, _ type: ScalarType, _ position: Position, _ condition: Scalar?) throws(Diagnostic) -> Lanes {
    let dtype = kernel.buffers[id.index].dtype
    guard type == ScalarType(dtype) else { throw unsupported("loads \(type.rawValue) from \(dtype.rawValue) '\(kernel.buffers[id.index].name)'") }
    let allowed: Lanes? = if let condition { try emit(condition) } else { nil }
    let raw: Lanes
    switch motion(of: position) {
    case .uniform:
      if case .varying? = allowed {
        raw = gather(id, position, allowed)
      } else {
        raw = .uniform(loadOne(id, position, allowed))
      }
    case .affine(let step) where step == 1:
      raw = loadVectors(id, allowed) { self.place(id, position, step: 1, copy: $0) }
    case .piecewise: raw = loadVectors(id, allowed) { self.piece(id, position, copy: $0) }
    case .affine, .irregular: raw = gather(id, position, allowed)
    }
    return map(raw) { self.widen($0[0], from: dtype) }
  }

  /// The lanes of a copy that may touch memory, `nil` for all.
  private func mask(_ copy: Int, _ allowed: Lanes?) -> LLVMValueRef? {
    let scope = vector?.mask[copy]
    guard let allowed, let vector else { return scope }
    let own = spread(allowed, copies: vector.copies)[copy]
    return scope.map { code.and($0, own) } ?? own
  }

  private func loadOne(_ id: BufferID, _ position: Position, _ allowed: Lanes?) -> LLVMValueRef {
    let element = memoryType(kernel.buffers[id.index].dtype)
    let size = kernel.buffers[id.index].dtype.size
    let place = code.offset(base(id), element, by: uniform(position))
    var conditions: [LLVMValueRef] = []
    if case .uniform(let value)? = allowed { conditions.append(value) }
    // Under a condition of the lanes it may be that none is to touch memory.
    if let vector, vector.mayBeEmpty { conditions.append(any(vector.mask.compactMap { $0 })) }
    guard let first = conditions.first else { return code.load(element, place, align: size) }
    let condition = conditions.dropFirst().reduce(first) { code.and($0, $1) }
    let safe = code.select(condition, code.bitcast(place, to: code.pointer), zeroPlace())
    return code.load(element, safe, align: size)
  }

  private func any(_ mask: [LLVMValueRef]) -> LLVMValueRef {
    let all = mask.dropFirst().reduce(mask[0]) { code.or($0, $1) }
    return code.call("llvm.vector.reduce.or", overloads: [code.type(of: all)], [all])
  }

  /// The place of the first lane of a copy, for a position that is affine in the vector loop.
  private func place(_ id: BufferID, _ position: Position, step: Int, copy: Int, lane: Int = 0) -> LLVMValueRef {
    guard let vector else { preconditionFailure("lanes exist inside a vector loop") }
    let element = memoryType(kernel.buffers[id.index].dtype)
    // Base, counter and constant apart: the first leaves the loop and the last becomes part of the instruction.
    let row = code.offset(base(id), element, by: uniform(position))
    let counter = step == 1 ? vector.index : code.multiply(vector.index, code.integer(Int64(step)))
    let first = code.offset(row, element, by: counter)
    let ahead = (copy * vector.width + lane) * step
    return ahead == 0 ? first : code.offset(first, element, by: code.integer(Int64(ahead)))
  }

  /// The place of the first lane of a copy, for a position whose lanes are side by side.
  private func piece(_ id: BufferID, _ position: Position, copy: Int) -> LLVMValueRef {
    code.offset(base(id), memoryType(kernel.buffers[id.index].dtype), by: first(of: position, copy: copy))
  }

  private func loadVectors(_ id: BufferID, _ allowed: Lanes?, from place: (_ copy: Int) -> LLVMValueRef) -> Lanes {
    guard let vector else { preconditionFailure("lanes exist inside a vector loop") }
    let dtype = kernel.buffers[id.index].dtype
    let type = code.vector(memoryType(dtype), vector.width)
    return .varying((0..<vector.copies).map { copy in
      let place = place(copy)
      guard let mask = mask(copy, allowed) else { return code.load(type, place, align: dtype.size) }
      let typed = code.bitcast(place, to: code.pointer(to: type))
      let arguments = [typed, code.integer(Int64(dtype.size), code.i32), mask, code.zero(type)]
      return code.call("llvm.masked.load", overloads: [type, code.type(of: typed)], arguments)
    })
  }

  /// Elements that do not lie side by side.
  private func gather(_ id: BufferID, _ position: Position, _ allowed: Lanes?) -> Lanes {
    guard let vector else { preconditionFailure("lanes exist inside a vector loop") }
    let dtype = kernel.buffers[id.index].dtype
    let element = memoryType(dtype)
    let type = code.vector(element, vector.width)
    // Lanes at a constant distance are cheaper to load one by one.
    let isAffine = if case .affine = motion(of: position) { true } else { false }
    return .varying((0..<vector.copies).map { copy in
      let mask = mask(copy, allowed)
      if dtype.size >= 4, target.gathers, mask != nil || !isAffine {
        let places = code.offset(base(id), element, by: offsets(position, copy))
        let lanes = mask ?? code.splat(code.integer(1, code.i1), vector.width)
        let arguments = [places, code.integer(Int64(dtype.size), code.i32), lanes, code.zero(type)]
        return code.call("llvm.masked.gather", overloads: [type, code.type(of: places)], arguments)
      }
      let places = lanePlaces(id, position, copy)
      return (0..<vector.width).reduce(code.undefined(type)) { gathered, lane in
        var place = places(lane)
        if let mask {
          place = code.select(code.element(mask, lane), code.bitcast(place, to: code.pointer), zeroPlace())
        }
        return code.insert(code.load(element, place, align: dtype.size), into: gathered, lane)
      }
    })
  }

  private func offsets(_ position: Position, _ copy: Int) -> LLVMValueRef {
    if case .uniform = motion(of: position), let vector { return code.splat(uniform(position), vector.width) }
    return lanes(of: position, copy: copy)
  }

  private func lanePlaces(_ id: BufferID, _ position: Position, _ copy: Int) -> (Int) -> LLVMValueRef {
    if case .affine(let step) = motion(of: position) {
      return { lane in self.place(id, position, step: step, copy: copy, lane: lane) }
    }
    let offsets = offsets(position, copy)
    let element = memoryType(kernel.buffers[id.index].dtype)
    return { lane in self.code.offset(self.base(id), element, by: self.code.element(offsets, lane)) }
  }

  func store(_ id: BufferID, _ position: Position, _ scalar: Scalar) throws(Diagnostic) {
    let dtype = kernel.buffers[id.index].dtype
    guard scalar.type == ScalarType(dtype) else { throw unsupported("stores \(scalar.type.rawValue) to \(dtype.rawValue) '\(kernel.buffers[id.index].name)'") }
    let value = map(try emit(scalar)) { self.narrow($0[0], to: dtype) }
    let element = memoryType(dtype)
    guard let vector else {
      guard case .uniform(let value) = value else { preconditionFailure("nothing varies outside vector loops") }
      code.store(value, code.offset(base(id), element, by: uniform(position)), align: dtype.size)
      return
    }
    let vectors = spread(value, copies: vector.copies)
    let step: Int?
    switch motion(of: position) {
    case .uniform: throw unsupported("stores all lanes of a vector loop to one place of '\(kernel.buffers[id.index].name)'")
    case .affine(let constant): step = constant
    case .piecewise:
      for copy in 0..<vector.copies {
        storeVector(vectors[copy], piece(id, position, copy: copy), vector.mask[copy], size: dtype.size)
      }
      return
    case .irregular: step = nil
    }
    for copy in 0..<vector.copies {
      let mask = vector.mask[copy]
      if step == 1, mask == nil, streamed.contains(id), isAligned(position, dtype) {
        code.storePastCaches(
          vectors[copy], place(id, position, step: 1, copy: copy), align: vector.width * dtype.size)
      } else if step == 1 {
        storeVector(vectors[copy], place(id, position, step: 1, copy: copy), mask, size: dtype.size)
      } else if let mask {
        let places = code.offset(base(id), element, by: offsets(position, copy))
        let arguments = [vectors[copy], places, code.integer(Int64(dtype.size), code.i32), mask]
        _ = code.call("llvm.masked.scatter", overloads: [code.type(of: vectors[copy]), code.type(of: places)], arguments)
      } else {
        let places = lanePlaces(id, position, copy)
        for lane in 0..<vector.width { code.store(code.element(vectors[copy], lane), places(lane), align: dtype.size) }
      }
    }
  }

  private func storeVector(_ value: LLVMValueRef, _ place: LLVMValueRef, _ mask: LLVMValueRef?, size: Int) {
    guard let mask else { return code.store(value, place, align: size) }
    let type = code.type(of: value)
    let typed = code.bitcast(place, to: code.pointer(to: type))
    let arguments = [value, typed, code.integer(Int64(size), code.i32), mask]
    _ = code.call("llvm.masked.store", overloads: [type, code.type(of: typed)], arguments)
  }
}
#endif
