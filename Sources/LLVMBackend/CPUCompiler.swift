#if LLVM
import Foundation
import IR
import Runtime
import Synchronization

/// Makes machine code of kernels, in this process.
///
/// Kernels that are equal up to names are compiled once; modules are compiled in parallel; objects are kept on disk, by
/// the kernel, the processor, LLVM's version and the emitter's.
public final class CPUCompiler: Sendable {
  public struct Statistics: Hashable, Sendable {
    /// Kernels that LLVM compiled.
    public var compiled = 0
    /// Kernels whose object came from the disk.
    public var cacheHits = 0
    /// Kernels that were equal to another one.
    public var shared = 0
    /// Time spent in `compile`.
    public var seconds = 0.0
  }

  private struct State {
    var statistics = Statistics()
    var code: LinkedCode?
    var stages: [String: [CPUKernel.Stage]] = [:]
  }

  public let target: CPUTarget
  private let cache: ObjectCache?
  private let pool: ThreadPool
  private let state = Mutex(State())

  /// Raised whenever the emitter writes other code for a kernel than before: objects made by others are not used.
  public static let emitterVersion = 4

  /// A compiler that works on `threads` threads; `nil` for `cacheDirectory` keeps nothing on disk. Code for another
  /// target than this machine can be shown, and run if the machine has all that the target has.
  public init(
    cacheDirectory: String? = CPUCompiler.defaultCacheDirectory, threads: Int = ThreadPool.defaultThreads,
    target: CPUTarget = .host
  ) {
    self.target = target
    cache = cacheDirectory.flatMap { ObjectCache(directory: $0) }
    pool = ThreadPool(threads: threads)
  }

  public static var defaultCacheDirectory: String? { CacheDirectory.standard }

  public var statistics: Statistics { state.withLock { $0.statistics } }

  /// The code of each kernel, in order.
  public func compile(_ kernels: [Kernel]) throws(Diagnostic) -> [CPUKernel] {
    let result: Result<[CPUKernel], Diagnostic> = state.withLock { state in
      Result { () throws(Diagnostic) in try self.compile(kernels, &state) }
    }
    return try result.get()
  }

  private func compile(_ kernels: [Kernel], _ state: inout State) throws(Diagnostic) -> [CPUKernel] {
    let clock = ContinuousClock()
    let start = clock.now
    let code: LinkedCode
    if let known = state.code { code = known } else { code = try LinkedCode() }
    state.code = code

    let keys = pool.map(kernels) { key($0) }
    var missing: [Job] = []
    for (kernel, key) in zip(kernels, keys) {
      if state.stages[key] != nil || missing.contains(where: { $0.key == key }) {
        state.statistics.shared += 1
      } else {
        missing.append(Job(key: key, code: KernelCode(kernel: kernel, target: target, symbol: "k" + key.prefix(24))))
      }
    }
    let objects = try pool.map(missing) { (job) throws(Diagnostic) in try self.object(job) }
    for (job, made) in zip(missing, objects) {
      if made.isFromDisk { state.statistics.cacheHits += 1 } else { state.statistics.compiled += 1 }
      let functions = try code.link(made.bytes, job.code.symbols())
      state.stages[job.key] = zip(try job.code.stages(), functions).map { loop, function in
        CPUKernel.Stage(function: function, count: loop.variable.extent, pieces: Work.pieces(loop))
      }
    }
    var compiled: [CPUKernel] = []
    for (kernel, key) in zip(kernels, keys) {
      guard let stages = state.stages[key] else { preconditionFailure("every kernel is compiled or shared") }
      let places = LocalPlaces(kernel)
      compiled.append(CPUKernel(
        name: kernel.name, bufferCount: places.argumentCount, scratchBytes: places.scratchBytes, stages: stages, code: code))
    }
    let duration = clock.now - start
    state.statistics.seconds += Double(duration.components.seconds) + Double(duration.components.attoseconds) * 1e-18
    return compiled
  }

  private struct Job: Sendable {
    let key: String
    let code: KernelCode
  }
  private struct Made: Sendable {
    let bytes: [UInt8]
    let isFromDisk: Bool
  }

  /// The object of a job, from the disk or from LLVM.
  private func object(_ job: Job) throws(Diagnostic) -> Made {
    if let object = cache?.object(job.key) { return Made(bytes: object, isFromDisk: true) }
    let object = try job.code.object()
    cache?.keep(object, job.key)
    return Made(bytes: object, isFromDisk: false)
  }

  private func key(_ kernel: Kernel) -> String {
    let context = [
      target.triple, target.cpu, target.features, String(target.cacheBytes), LLVMLibrary.version, String(Self.emitterVersion),
    ]
    return KernelDescription(kernel).digest(and: context.joined(separator: "\n"))
  }

  public enum TextForm: Sendable { case llvm, assembly }

  /// What becomes of a kernel: LLVM's text after optimisation, or assembly.
  public func text(_ kernel: Kernel, _ form: TextForm) throws(Diagnostic) -> String {
    try KernelCode(kernel: kernel, target: target, symbol: kernel.name).text(form)
  }

  /// The object file of a kernel.
  public func object(_ kernel: Kernel) throws(Diagnostic) -> [UInt8] {
    try KernelCode(kernel: kernel, target: target, symbol: kernel.name).object()
  }
}
#endif
