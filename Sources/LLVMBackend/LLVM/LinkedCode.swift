#if LLVM
internal import CLLVM
internal import COpenBLAS
import CRuntime
import Dispatch
import IR
import Synchronization

/// Machine code in this process: objects are added, functions are found by name. The code lives as long as this does.
final class LinkedCode: Sendable {
  private struct Session: @unchecked Sendable {
    let jit: LLVMOrcLLJITRef
  }
  private let session: Mutex<Session>

  init() throws(Diagnostic) {
    LLVMLibrary.initialize()
    Self.prepareLibrary
    var jit: LLVMOrcLLJITRef?
    try LLVMLibrary.check(LLVMOrcCreateLLJIT(&jit, nil), "no just-in-time linker")
    guard let jit else { throw Diagnostic("no just-in-time linker") }
    session = Mutex(Session(jit: jit))
    let dylib = LLVMOrcLLJITGetMainJITDylib(jit)
    let multiply: @convention(c) (
      Int64, Int64, Int64, UnsafePointer<Float>?, Int64, Int64, UnsafePointer<Float>?, Int64, Int64,
      UnsafeMutablePointer<Float>?, Int64, Int64, Int64
    ) -> Void = { m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn, accumulates in
      millrace_sgemm(m, n, k, a, aRow, aColumn, b, bRow, bColumn, c, cRow, cColumn, accumulates)
    }
    let address = UInt64(UInt(bitPattern: unsafeBitCast(multiply, to: UnsafeRawPointer.self)))
    try LLVMLibrary.check(
      millrace_define_symbol(jit, dylib, StageEmitter.productSymbol, address), "the product cannot be linked")
    // What a processor has no instruction for becomes a call of the C library.
    var generator: LLVMOrcDefinitionGeneratorRef?
    let prefix = LLVMOrcLLJITGetGlobalPrefix(jit)
    try LLVMLibrary.check(
      LLVMOrcCreateDynamicLibrarySearchGeneratorForProcess(&generator, prefix, nil, nil), "the process cannot be searched")
    LLVMOrcJITDylibAddGenerator(dylib, generator)
  }

  deinit {
    session.withLock { session in
      LLVMConsumeError(LLVMOrcDisposeLLJIT(session.jit))
    }
  }

  /// OpenBLAS computes a product on the thread that asks: the threads are ours.
  private static let prepareLibrary: Void = {
    openblas_set_num_threads(1)
    millrace_end_blas_threads()
  }()

  /// Adds an object file and gives the addresses of its functions.
  func link(_ object: [UInt8], _ names: [String]) throws(Diagnostic) -> [MillraceStage] {
    let linked: Result<[MillraceStage], Diagnostic> = session.withLock { session in
      Result { () throws(Diagnostic) in try Self.link(object, names, in: session.jit) }
    }
    return try linked.get()
  }

  private static func link(_ object: [UInt8], _ names: [String], in jit: LLVMOrcLLJITRef) throws(Diagnostic) -> [MillraceStage] {
    let memory = object.withUnsafeBytes { bytes in
      LLVMCreateMemoryBufferWithMemoryRangeCopy(bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count, names.first ?? "")
    }
    let dylib = LLVMOrcLLJITGetMainJITDylib(jit)
    try LLVMLibrary.check(LLVMOrcLLJITAddObjectFile(jit, dylib, memory), "an object cannot be added")
    var functions: [MillraceStage] = []
    for name in names {
      var address: LLVMOrcExecutorAddress = 0
      try LLVMLibrary.check(LLVMOrcLLJITLookup(jit, &address, name), "an object cannot be linked")
      guard let pointer = UnsafeRawPointer(bitPattern: UInt(address)) else { throw Diagnostic("function '\(name)' has no address") }
      functions.append(unsafeBitCast(pointer, to: MillraceStage.self))
    }
    return functions
  }
}
#endif
