#if LLVM
internal import CLLVM

/// One LLVM module while it is written: types, constants and instructions by short names.
///
/// Pointers are `i8*` outside and cast where they are used: LLVM 14 has typed pointers, later ones do not notice.
final class CodeBuilder {
  let context: LLVMContextRef
  let module: LLVMModuleRef
  let builder: LLVMBuilderRef
  private let entryBuilder: LLVMBuilderRef

  let i1: LLVMTypeRef, i8: LLVMTypeRef, i16: LLVMTypeRef, i32: LLVMTypeRef, i64: LLVMTypeRef
  let f16: LLVMTypeRef, f32: LLVMTypeRef, void: LLVMTypeRef, pointer: LLVMTypeRef
  private(set) var function: LLVMValueRef?
  private var entryAnchor: LLVMValueRef?
  private var intrinsics: [Intrinsic: (LLVMTypeRef, LLVMValueRef)] = [:]

  private struct Intrinsic: Hashable {
    let name: String
    let types: [LLVMTypeRef]
  }

  init(module name: String) {
    context = LLVMContextCreate()
    module = LLVMModuleCreateWithNameInContext(name, context)
    builder = LLVMCreateBuilderInContext(context)
    entryBuilder = LLVMCreateBuilderInContext(context)
    i1 = LLVMInt1TypeInContext(context)
    i8 = LLVMInt8TypeInContext(context)
    i16 = LLVMInt16TypeInContext(context)
    i32 = LLVMInt32TypeInContext(context)
    i64 = LLVMInt64TypeInContext(context)
    f16 = LLVMHalfTypeInContext(context)
    f32 = LLVMFloatTypeInContext(context)
    void = LLVMVoidTypeInContext(context)
    pointer = LLVMPointerType(i8, 0)
  }

  deinit {
    LLVMDisposeBuilder(entryBuilder)
    LLVMDisposeBuilder(builder)
    LLVMDisposeModule(module)
    LLVMContextDispose(context)
  }

  // MARK: functions and blocks

  /// Starts a function that returns nothing, and gives its parameters.
  func begin(function name: String, _ parameters: [LLVMTypeRef]) -> [LLVMValueRef] {
    var parameters: [LLVMTypeRef?] = parameters
    let type = LLVMFunctionType(void, &parameters, UInt32(parameters.count), 0)
    let function: LLVMValueRef = LLVMAddFunction(module, name, type)
    addAttribute("nounwind", to: function)
    self.function = function
    let entry = LLVMAppendBasicBlockInContext(context, function, "entry")
    let start = LLVMAppendBasicBlockInContext(context, function, "start")
    LLVMPositionBuilderAtEnd(builder, entry)
    entryAnchor = LLVMBuildBr(builder, start)
    LLVMPositionBuilderBefore(entryBuilder, entryAnchor)
    LLVMPositionBuilderAtEnd(builder, start)
    return (0..<parameters.count).map { LLVMGetParam(function, UInt32($0)) }
  }

  func end() { LLVMBuildRetVoid(builder) }

  private func addAttribute(_ name: String, to function: LLVMValueRef) {
    let kind = LLVMGetEnumAttributeKindForName(name, name.utf8.count)
    let place = LLVMAttributeIndex(bitPattern: Int32(LLVMAttributeFunctionIndex))
    LLVMAddAttributeAtIndex(function, place, LLVMCreateEnumAttribute(context, kind, 0))
  }

  func block(_ name: String) -> LLVMBasicBlockRef { LLVMAppendBasicBlockInContext(context, function, name) }
  var currentBlock: LLVMBasicBlockRef { LLVMGetInsertBlock(builder) }
  func move(to block: LLVMBasicBlockRef) { LLVMPositionBuilderAtEnd(builder, block) }
  func branch(to block: LLVMBasicBlockRef) { LLVMBuildBr(builder, block) }
  func branch(if condition: LLVMValueRef, to yes: LLVMBasicBlockRef, else no: LLVMBasicBlockRef) {
    LLVMBuildCondBr(builder, condition, yes, no)
  }

  func phi(_ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildPhi(builder, type, "") }
  func add(_ value: LLVMValueRef, from block: LLVMBasicBlockRef, to phi: LLVMValueRef) {
    var value: LLVMValueRef? = value
    var block: LLVMBasicBlockRef? = block
    LLVMAddIncoming(phi, &value, &block, 1)
  }

  /// A variable of the function's frame.
  func slot(_ type: LLVMTypeRef, align: Int? = nil) -> LLVMValueRef {
    let slot: LLVMValueRef = LLVMBuildAlloca(entryBuilder, type, "")
    if let align { LLVMSetAlignment(slot, UInt32(align)) }
    return slot
  }

  func bytes(_ slot: LLVMValueRef) -> LLVMValueRef { LLVMBuildBitCast(entryBuilder, slot, pointer, "") }

  /// Eight bytes of zero.
  func zeroPlace() -> LLVMValueRef {
    let slot = slot(i64)
    LLVMBuildStore(entryBuilder, integer(0), slot)
    return bytes(slot)
  }

  /// The pointer at `index` of a table of pointers, loaded when the function begins.
  func entry(_ index: Int, of table: LLVMValueRef) -> LLVMValueRef {
    let typed = LLVMBuildBitCast(entryBuilder, table, LLVMPointerType(pointer, 0), "")
    var offset: LLVMValueRef? = integer(Int64(index))
    let place = LLVMBuildInBoundsGEP2(entryBuilder, pointer, typed, &offset, 1, "")
    return LLVMBuildLoad2(entryBuilder, pointer, place, "")
  }

  /// A pointer `bytes` behind another, made when the function begins.
  func entryOffset(_ base: LLVMValueRef, _ bytes: Int) -> LLVMValueRef {
    var offset: LLVMValueRef? = integer(Int64(bytes))
    return LLVMBuildInBoundsGEP2(entryBuilder, i8, base, &offset, 1, "")
  }

  // MARK: types and constants

  func vector(_ element: LLVMTypeRef, _ lanes: Int?) -> LLVMTypeRef {
    lanes.map { LLVMVectorType(element, UInt32($0)) } ?? element
  }

  func pointer(to element: LLVMTypeRef) -> LLVMTypeRef { LLVMPointerType(element, 0) }
  func type(of value: LLVMValueRef) -> LLVMTypeRef { LLVMTypeOf(value) }
  /// Whether the elements of integers are i64.
  func isWide(_ value: LLVMValueRef) -> Bool {
    let type: LLVMTypeRef = LLVMTypeOf(value)
    return (lanes(value) == nil ? type : LLVMGetElementType(type)) == i64
  }

  func array(_ element: LLVMTypeRef, _ count: Int) -> LLVMTypeRef { LLVMArrayType(element, UInt32(count)) }

  /// The lanes of a vector's type, `nil` for a scalar.
  func lanes(_ value: LLVMValueRef) -> Int? {
    let type = LLVMTypeOf(value)
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? Int(LLVMGetVectorSize(type)) : nil
  }

  func integer(_ value: Int64, _ type: LLVMTypeRef? = nil) -> LLVMValueRef {
    LLVMConstInt(type ?? i64, UInt64(bitPattern: value), 1)
  }

  /// An integer constant of the type of `value`, a vector too.
  func integer(_ constant: Int64, like value: LLVMValueRef) -> LLVMValueRef {
    let type: LLVMTypeRef = LLVMTypeOf(value)
    guard let lanes = lanes(value) else { return integer(constant, type) }
    return constants(Array(repeating: integer(constant, LLVMGetElementType(type)), count: lanes))
  }

  /// An f32 constant by its bits, so that NaN and infinity are what they are.
  func float(_ constant: Float, lanes: Int? = nil) -> LLVMValueRef {
    let scalar: LLVMValueRef = LLVMConstBitCast(LLVMConstInt(i32, UInt64(constant.bitPattern), 0), f32)
    return lanes.map { constants(Array(repeating: scalar, count: $0)) } ?? scalar
  }

  func constants(_ elements: [LLVMValueRef]) -> LLVMValueRef {
    var elements: [LLVMValueRef?] = elements
    return LLVMConstVector(&elements, UInt32(elements.count))
  }

  func zero(_ type: LLVMTypeRef) -> LLVMValueRef { LLVMConstNull(type) }
  func undefined(_ type: LLVMTypeRef) -> LLVMValueRef { LLVMGetUndef(type) }

  // MARK: instructions

  func add(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAdd(builder, a, b, "") }
  func subtract(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildSub(builder, a, b, "") }
  func multiply(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildMul(builder, a, b, "") }
  func and(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAnd(builder, a, b, "") }
  func or(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildOr(builder, a, b, "") }
  func xor(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildXor(builder, a, b, "") }
  func not(_ a: LLVMValueRef) -> LLVMValueRef { LLVMBuildNot(builder, a, "") }
  func shiftLeft(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildShl(builder, a, b, "") }
  func shiftRight(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildLShr(builder, a, b, "") }
  func shiftRight(_ a: LLVMValueRef, by bits: Int64) -> LLVMValueRef { shiftRight(a, integer(bits, like: a)) }
  func arithmeticShiftRight(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildAShr(builder, a, b, "") }
  func divideSigned(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildSDiv(builder, a, b, "") }
  func remainderUnsigned(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildURem(builder, a, b, "") }
  func divideUnsigned(_ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef { LLVMBuildUDiv(builder, a, b, "") }
  func float(_ operation: LLVMOpcode, _ a: LLVMValueRef, _ b: LLVMValueRef) -> LLVMValueRef {
    LLVMBuildBinOp(builder, operation, a, b, "")
  }
  func negateFloat(_ a: LLVMValueRef) -> LLVMValueRef { LLVMBuildFNeg(builder, a, "") }
  func compare(_ a: LLVMValueRef, _ predicate: LLVMIntPredicate, _ b: LLVMValueRef) -> LLVMValueRef {
    LLVMBuildICmp(builder, predicate, a, b, "")
  }
  func compare(_ a: LLVMValueRef, _ predicate: LLVMRealPredicate, _ b: LLVMValueRef) -> LLVMValueRef {
    LLVMBuildFCmp(builder, predicate, a, b, "")
  }
  func select(_ condition: LLVMValueRef, _ yes: LLVMValueRef, _ no: LLVMValueRef) -> LLVMValueRef {
    LLVMBuildSelect(builder, condition, yes, no, "")
  }
  func cast(_ operation: LLVMOpcode, _ value: LLVMValueRef, to element: LLVMTypeRef) -> LLVMValueRef {
    LLVMBuildCast(builder, operation, value, vector(element, lanes(value)), "")
  }
  func bitcast(_ value: LLVMValueRef, to type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildBitCast(builder, value, type, "") }

  /// `base` moved by `index` elements of `element`; a vector of indices gives a vector of pointers.
  func offset(_ base: LLVMValueRef, _ element: LLVMTypeRef, by index: LLVMValueRef) -> LLVMValueRef {
    var index: LLVMValueRef? = index
    let typed = LLVMBuildBitCast(builder, base, LLVMPointerType(element, 0), "")
    return LLVMBuildGEP2(builder, element, typed, &index, 1, "")
  }

  func load(_ type: LLVMTypeRef, _ place: LLVMValueRef, align: Int) -> LLVMValueRef {
    let load: LLVMValueRef = LLVMBuildLoad2(builder, type, bitcast(place, to: LLVMPointerType(type, 0)), "")
    LLVMSetAlignment(load, UInt32(align))
    return load
  }

  func store(_ value: LLVMValueRef, _ place: LLVMValueRef, align: Int) {
    let type = LLVMTypeOf(value)
    let store = LLVMBuildStore(builder, value, bitcast(place, to: LLVMPointerType(type, 0)))
    LLVMSetAlignment(store, UInt32(align))
  }

  /// A store that goes past the caches; the place is aligned to the whole vector.
  func storePastCaches(_ value: LLVMValueRef, _ place: LLVMValueRef, align: Int) {
    let store: LLVMValueRef = LLVMBuildStore(builder, value, bitcast(place, to: LLVMPointerType(LLVMTypeOf(value), 0)))
    LLVMSetAlignment(store, UInt32(align))
    var one: LLVMValueRef? = integer(1, i32)
    let kind = LLVMGetMDKindIDInContext(context, "nontemporal", 11)
    LLVMSetMetadata(store, kind, LLVMMDNodeInContext(context, &one, 1))
  }

  /// The address as a number.
  func address(_ pointer: LLVMValueRef) -> LLVMValueRef { LLVMBuildPtrToInt(builder, pointer, i64, "") }

  func read(_ slot: LLVMValueRef, _ type: LLVMTypeRef) -> LLVMValueRef { LLVMBuildLoad2(builder, type, slot, "") }
  func write(_ value: LLVMValueRef, to slot: LLVMValueRef) { LLVMBuildStore(builder, value, slot) }

  func splat(_ value: LLVMValueRef, _ lanes: Int) -> LLVMValueRef {
    if LLVMIsConstant(value) != 0, LLVMIsAConstantExpr(value) == nil {
      return constants(Array(repeating: value, count: lanes))
    }
    let type = vector(LLVMTypeOf(value), lanes)
    let first = LLVMBuildInsertElement(builder, undefined(type), value, integer(0, i32), "")
    return LLVMBuildShuffleVector(builder, first, undefined(type), zero(vector(i32, lanes)), "")
  }

  func element(_ vector: LLVMValueRef, _ lane: Int) -> LLVMValueRef {
    LLVMBuildExtractElement(builder, vector, integer(Int64(lane), i32), "")
  }

  func insert(_ value: LLVMValueRef, into vector: LLVMValueRef, _ lane: Int) -> LLVMValueRef {
    LLVMBuildInsertElement(builder, vector, value, integer(Int64(lane), i32), "")
  }

  func shuffle(_ a: LLVMValueRef, _ lanes: [Int]) -> LLVMValueRef {
    let mask = constants(lanes.map { integer(Int64($0), i32) })
    return LLVMBuildShuffleVector(builder, a, undefined(LLVMTypeOf(a)), mask, "")
  }

  /// `0, 1, 2, …` times `step`.
  func ramp(_ type: LLVMTypeRef, _ lanes: Int, step: Int64 = 1) -> LLVMValueRef {
    constants((0..<lanes).map { integer(Int64($0) &* step, type) })
  }

  func call(_ name: String, overloads: [LLVMTypeRef], _ arguments: [LLVMValueRef]) -> LLVMValueRef {
    let key = Intrinsic(name: name, types: overloads)
    var arguments: [LLVMValueRef?] = arguments
    if let (type, function) = intrinsics[key] {
      return LLVMBuildCall2(builder, type, function, &arguments, UInt32(arguments.count), "")
    }
    let id = LLVMLookupIntrinsicID(name, name.utf8.count)
    precondition(id != 0, "LLVM knows the intrinsic \(name)")
    var types: [LLVMTypeRef?] = overloads
    let function: LLVMValueRef = LLVMGetIntrinsicDeclaration(module, id, &types, types.count)
    let type: LLVMTypeRef = LLVMIntrinsicGetType(context, id, &types, types.count)
    intrinsics[key] = (type, function)
    return LLVMBuildCall2(builder, type, function, &arguments, UInt32(arguments.count), "")
  }

  /// Calls a function outside the module that returns nothing.
  func callExternal(_ name: String, _ arguments: [LLVMValueRef]) {
    var types: [LLVMTypeRef?] = arguments.map { LLVMTypeOf($0) }
    var arguments: [LLVMValueRef?] = arguments
    let type: LLVMTypeRef = LLVMFunctionType(void, &types, UInt32(types.count), 0)
    let known: LLVMValueRef? = LLVMGetNamedFunction(module, name)
    let function: LLVMValueRef = known ?? LLVMAddFunction(module, name, type)
    if known == nil { addAttribute("nounwind", to: function) }
    LLVMBuildCall2(builder, type, function, &arguments, UInt32(arguments.count), "")
  }
}
#endif
