#if LLVM
internal import CLLVM
import IR

/// LLVM as a whole: its start, its texts, its errors.
enum LLVMLibrary {
  private static let started: Bool = {
    LLVMInitializeX86TargetInfo()
    LLVMInitializeX86Target()
    LLVMInitializeX86TargetMC()
    LLVMInitializeX86AsmPrinter()
    LLVMInitializeAArch64TargetInfo()
    LLVMInitializeAArch64Target()
    LLVMInitializeAArch64TargetMC()
    LLVMInitializeAArch64AsmPrinter()
    return true
  }()

  static func initialize() { _ = started }

  static var version: String { String(cString: millrace_llvm_version()) }

  /// A text that LLVM made for us, which is freed here.
  static func take(_ text: UnsafeMutablePointer<CChar>?) -> String {
    guard let text else { return "" }
    defer { LLVMDisposeMessage(text) }
    return String(cString: text)
  }

  static func check(_ error: LLVMErrorRef?, _ what: String) throws(Diagnostic) {
    guard let error else { return }
    let text = LLVMGetErrorMessage(error)
    defer { LLVMDisposeErrorMessage(text) }
    throw Diagnostic("\(what): \(text.map { String(cString: $0) } ?? "unknown error")")
  }
}
#endif
