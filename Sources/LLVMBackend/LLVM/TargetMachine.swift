#if LLVM
internal import CLLVM
import IR

/// LLVM's back end for one processor: optimises modules and turns them into objects or assembly.
final class TargetMachine {
  private let machine: LLVMTargetMachineRef

  init(_ target: CPUTarget) throws(Diagnostic) {
    LLVMLibrary.initialize()
    var found: LLVMTargetRef?
    var message: UnsafeMutablePointer<CChar>?
    guard LLVMGetTargetFromTriple(target.triple, &found, &message) == 0, let found else {
      throw Diagnostic("no code for '\(target.triple)': \(LLVMLibrary.take(message))")
    }
    // The linker gives code and constants pages of their own, which may be further apart than 32 bits tell, and does not
    // look (LLVM 14): all addresses have 64 bits.
    let machine: LLVMTargetMachineRef? = LLVMCreateTargetMachine(
      found, target.triple, target.cpu, target.features, LLVMCodeGenLevelDefault, LLVMRelocStatic, LLVMCodeModelLarge)
    guard let machine else { throw Diagnostic("no code for '\(target.triple)'") }
    self.machine = machine
  }

  deinit { LLVMDisposeTargetMachine(machine) }

  /// Vectors, unrolling and order are in the kernel; what is left is to keep variables in registers, to share what is
  /// computed twice and to move what does not change out of loops. Each pass here was measured to pay for its time.
  private static let passes = "function(sroa,early-cse,loop-mssa(licm),early-cse,simplifycfg)"

  func optimize(_ code: CodeBuilder) throws(Diagnostic) {
    let triple = LLVMGetTargetMachineTriple(machine)
    LLVMSetTarget(code.module, triple)
    LLVMDisposeMessage(triple)
    let layout = LLVMCreateTargetDataLayout(machine)
    LLVMSetModuleDataLayout(code.module, layout)
    LLVMDisposeTargetData(layout)
    try verify(code)
    let options = LLVMCreatePassBuilderOptions()
    defer { LLVMDisposePassBuilderOptions(options) }
    try LLVMLibrary.check(LLVMRunPasses(code.module, Self.passes, machine, options), "optimisation failed")
  }

  private func verify(_ code: CodeBuilder) throws(Diagnostic) {
    #if DEBUG
      var message: UnsafeMutablePointer<CChar>?
      let isBroken = LLVMVerifyModule(code.module, LLVMReturnStatusAction, &message) != 0
      let text = LLVMLibrary.take(message)
      if isBroken { throw Diagnostic("the emitter wrote a module that LLVM does not accept: \(text)") }
    #endif
  }

  func text(_ code: CodeBuilder) -> String { LLVMLibrary.take(LLVMPrintModuleToString(code.module)) }

  /// The module as an object file, or as assembly text.
  func emit(_ code: CodeBuilder, assembly: Bool) throws(Diagnostic) -> [UInt8] {
    var message: UnsafeMutablePointer<CChar>?
    var memory: LLVMMemoryBufferRef?
    let kind = assembly ? LLVMAssemblyFile : LLVMObjectFile
    guard LLVMTargetMachineEmitToMemoryBuffer(machine, code.module, kind, &message, &memory) == 0, let memory else {
      throw Diagnostic("LLVM emits no code: \(LLVMLibrary.take(message))")
    }
    defer { LLVMDisposeMemoryBuffer(memory) }
    return Array(UnsafeRawBufferPointer(start: LLVMGetBufferStart(memory), count: LLVMGetBufferSize(memory)))
  }
}
#endif
