#if LLVM
internal import CLLVM
import CRuntime

/// The processor that code is made for.
public struct CPUTarget: Hashable, Sendable {
  /// LLVM's name of architecture and system, such as `x86_64-pc-linux-gnu`.
  public var triple: String
  /// LLVM's name of the processor, such as `znver3`.
  public var cpu: String
  /// LLVM's feature list, such as `+avx2,+fma,-avx512f`.
  public let features: String
  /// Those that it has, for code is asked for one with almost every operation.
  private let present: Set<Substring>
  /// Bytes of the last cache. An output that fills half of it is written past the caches.
  public var cacheBytes: Int

  public init(triple: String, cpu: String, features: String, cacheBytes: Int = 32 << 20) {
    self.triple = triple
    self.cpu = cpu
    self.features = features
    present = Set(features.split(separator: ",").filter { $0.hasPrefix("+") }.map { $0.dropFirst() })
    self.cacheBytes = cacheBytes
  }

  /// The processor this process runs on.
  public static let host: CPUTarget = {
    LLVMLibrary.initialize()
    return CPUTarget(
      triple: LLVMLibrary.take(LLVMGetDefaultTargetTriple()), cpu: LLVMLibrary.take(LLVMGetHostCPUName()),
      features: LLVMLibrary.take(LLVMGetHostCPUFeatures()), cacheBytes: Int(millrace_last_cache_bytes()))
  }()

  func has(_ feature: String) -> Bool { present.contains(feature[...]) }

  /// Vector registers.
  var registers: Int { has("avx512f") || isARM ? 32 : 16 }

  var isX86: Bool { triple.hasPrefix("x86_64") }

  /// f32 elements of one vector register.
  public var lanes: Int {
    if has("avx512f") { return 16 }
    return has("avx2") || has("avx") ? 8 : 4
  }

  /// Whether loads and stores of some lanes of a vector cost about as much as whole ones.
  var hasMaskedMemory: Bool { has("avx512f") && has("avx512vl") && has("avx512bw") || has("sve") }

  var isARM: Bool { triple.hasPrefix("aarch64") || triple.hasPrefix("arm64") }

  /// Whether `a * b + c` rounded once is one instruction.
  var fuses: Bool { has("fma") || has("avx512f") || isARM }

  /// Whether elements at any places are gathered by one instruction that is worth it.
  var gathers: Bool { has("avx512f") }

  /// Bytes of an output from which stores go past the caches, which saves reading each line first; `nil` where the
  /// processor has no such stores.
  var streamingBytes: Int? { isX86 && has("avx") ? cacheBytes / 2 : nil }

  /// Whether f16 and f32 are converted by instructions.
  var convertsHalf: Bool { has("f16c") || has("avx512f") || isARM }
}
#endif
