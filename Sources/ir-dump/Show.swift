import ArgumentParser
import Compiler
import CUDABackend
import IR
import Passes
import Rewriting
import Runtime

#if LLVM
  import LLVMBackend
#endif

/// `ir-dump show`: prints a program as it stands after a pass, or what a backend makes of it.
struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show a program at any step of its compilation.")

  @OptionGroup var source: SourceOptions
  @OptionGroup var passes: PassOptions
  @Option(help: ArgumentHelp("Show it as it is after this pass ('input' for none).", valueName: "pass"))
  var after: String?
  @Option(help: "What to show: \(Form.allCases.map(\.rawValue).joined(separator: ", ")).")
  var emit: Form = .program
  @Flag(help: "Show the model line of each operation.")
  var locations = false

  enum Form: String, ExpressibleByArgument, CaseIterable {
    case program, tensor, kernel, threads, llvm, asm, cuda, cubin, dot, cost
  }

  func run() throws {
    let (module, entry) = try source.module()
    let shown = after == "input" ? module : try passes.steps(of: module).module(after: after)
    print(try text(of: shown, entry: entry), terminator: "")
  }

  private func text(of module: Module, entry: String) throws -> String {
    let options = PrintOptions(locations: locations)
    switch emit {
    case .program: return module.text(options)
    case .tensor: return module.functions.map { $0.text(options) }.joined(separator: "\n")
    case .kernel: return try kernels(of: module).map { $0.text() }.joined(separator: "\n")
    case .dot: return module.function(named: entry)?.graph() ?? ""
    case .cost:
      return module.functions.map { "@\($0.name): \(module.cost(of: $0))\n" }.joined()
        + module.kernels.map { "@\($0.name): \($0.cost)\n" }.joined()
    case .threads: return try mapped(kernels(of: module)).map { $0.mapping.text(for: $0.kernel) }.joined(separator: "\n")
    case .cuda:
      let program = try mapped(kernels(of: module))
      return try describing(nil) { () throws(Violation) in try CUDAProgram(program) }.text
    case .cubin:
      return try codeReport(kernels(of: module))
    case .llvm, .asm: return try machineCode(of: kernels(of: module))
    }
  }

  private func kernels(of module: Module) throws -> [Kernel] {
    if module.kernels.isEmpty { throw Diagnostic("there are no kernels yet; they are made by 'lower-to-kernels'") }
    return module.kernels
  }

  private func mapped(
    _ kernels: [Kernel], for architecture: NVRTC.Architecture = .sm90
  ) throws(Diagnostic) -> [(kernel: Kernel, mapping: ThreadMapping)] {
    let limits = ThreadLimits(for: architecture)
    var mapped: [(kernel: Kernel, mapping: ThreadMapping)] = []
    for kernel in kernels {
      mapped.append((kernel, try describing(kernel) { () throws(Violation) in try mapToThreads(kernel, within: limits) }))
    }
    return mapped
  }

  private func describing<Result>(
    _ kernel: Kernel?, _ body: () throws(Violation) -> Result
  ) throws(Diagnostic) -> Result {
    do { return try body() } catch { throw Diagnostic("\(kernel.map { "kernel @\($0.name): " } ?? "")\(error.message)") }
  }

  /// What NVRTC makes of a program with nothing on disk, and what that takes.
  private func codeReport(_ kernels: [Kernel]) throws(Diagnostic) -> String {
    var report = ""
    for architecture in NVRTC.Architecture.allCases {
      let mapped = try mapped(kernels, for: architecture)
      let program = try describing(nil) { () throws(Violation) in try CUDAProgram(mapped) }
      let clock = ContinuousClock()
      let start = clock.now
      let pieces = try CUDACompiler(for: architecture, cacheDirectory: nil).compile(program)
      let seconds = (clock.now - start).inSeconds
      let bytes = pieces.reduce(0) { $0 + $1.code.count }
      report += "\(architecture.rawValue): \(program.kernels.count) kernels in \(pieces.count) modules, \(bytes) bytes, "
      report += "\(ThreadPool.defaultThreads) threads took \(Int(seconds * 1000)) ms\n"
    }
    return report
  }

  private func machineCode(of kernels: [Kernel]) throws -> String {
    #if LLVM
      let compiler = CPUCompiler(cacheDirectory: nil)
      return try kernels.map { try compiler.text(expandMath($0), emit == .llvm ? .llvm : .assembly) }.joined(separator: "\n")
    #else
      throw Diagnostic("this build has no CPU backend: it was made without the package trait LLVM")
    #endif
  }
}
