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
  @Option(help: ArgumentHelp("Where 'cubin' keeps machine code and looks for it (default: nowhere).", valueName: "folder"))
  var cache: String?

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
    case .threads: return try mapped(module).map { $0.mapping.text(for: $0.kernel) }.joined(separator: "\n")
    case .cuda: return try CUDAProgram(mapped(module)).text
    case .cubin: return try codeReport(module)
    case .llvm, .asm: return try machineCode(of: kernels(of: module))
    }
  }

  private func kernels(of module: Module) throws -> [Kernel] {
    if module.kernels.isEmpty { throw Diagnostic("there are no kernels yet; they are made by 'lower-to-kernels'") }
    return module.kernels
  }

  private func mapped(
    _ module: Module, for architecture: NVRTC.Architecture = .sm90
  ) throws -> [(kernel: Kernel, mapping: ThreadMapping)] {
    _ = try kernels(of: module)
    return try module.mapped(within: ThreadLimits(for: architecture))
  }

  /// What NVRTC makes of a program, without what cuBLASLt does on a GPU, and what that takes, from kernels that are spread
  /// over threads to their code. `cpu` is the processor time of all threads, and of the longest module alone.
  private func codeReport(_ module: Module) throws -> String {
    if let cache, ObjectCache(directory: cache) == nil { throw Diagnostic("\(cache): no folder can be made there for machine code") }
    var report = ""
    func milliseconds(_ seconds: Double) -> String { "\(Int((seconds * 1000).rounded())) ms" }
    for architecture in NVRTC.Architecture.allCases {
      let kernels = try mapped(module, for: architecture)
      let left = kernels.reduce(0) { $0 + $1.mapping.stages.count { $0.library != nil } }
      let clock = ContinuousClock()
      let start = clock.now
      let program = try CUDAProgram(kernels) { kernels[$0].mapping.stages[$1].library != nil }
      let pieces = try CUDACompiler(for: architecture, cacheDirectory: cache).compile(program)
      let took = (clock.now - start).inSeconds
      let bytes = pieces.reduce(0) { $0 + $1.code.count }
      report += "\(architecture.rawValue): \(kernels.count) kernels, \(program.functions.count) functions"
      if left > 0 { report += " (without \(left) products of cuBLASLt)" }
      report += " in \(pieces.count) modules, \(pieces.count { $0.isFromDisk }) from disk, \(bytes) bytes; "
      report += "\(ThreadPool.defaultThreads) threads took \(milliseconds(took)), "
      report += "cpu \(milliseconds(pieces.reduce(0) { $0 + $1.seconds })) in all, "
      report += "\(milliseconds(pieces.map(\.seconds).max() ?? 0)) the longest module\n"
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
