#if LLVM
import Foundation
import IR
import LLVMBackend
import Runtime
import TestSupport
import Testing

/// Sharing and keeping of compiled kernels, and the threads that run them.
@Suite("the CPU compiler") struct CompilerTests {
  /// `out = in · factor`.
  func kernel(_ factor: Double, count: Int = 100) -> Kernel {
    elementwise([.f32(count)], .f32(count)) { load(0, .f32, $0) * .float(factor) }
  }

  func folder() throws -> URL {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("millrace-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    return url
  }

  func run(_ compiled: CPUKernel, _ kernel: Kernel) throws -> [Double] {
    let input = Literal(.f32(100)) { Double($0[0]) }
    return try Machine.shared.run(compiled, kernel, [input], [.f32(100)])[0].doubles
  }

  @Test("equal kernels are compiled once, whatever they are called")
  func sharing() throws {
    let compiler = CPUCompiler(cacheDirectory: nil, threads: 2)
    var renamed = kernel(3)
    renamed.name = "other"
    renamed.buffers[0].name = "z"
    let compiled = try compiler.compile([kernel(3), renamed, kernel(4)])
    #expect(compiler.statistics.compiled == 2)
    #expect(compiler.statistics.shared == 1)
    #expect(compiled[1].name == "other")
    #expect(try run(compiled[1], renamed)[7] == 21)
    #expect(try run(compiled[2], renamed)[7] == 28)
    _ = try compiler.compile([kernel(4)])
    #expect(compiler.statistics.compiled == 2)
  }

  @Test("a second compiler finds the objects on disk, and distrusts damaged ones")
  func cache() throws {
    let folder = try folder()
    defer { try? FileManager.default.removeItem(at: folder) }
    let kernels = [kernel(3), kernel(5)]
    _ = try CPUCompiler(cacheDirectory: folder.path, threads: 2).compile(kernels)
    let second = CPUCompiler(cacheDirectory: folder.path, threads: 2)
    let compiled = try second.compile(kernels)
    #expect(second.statistics.cacheHits == 2 && second.statistics.compiled == 0)
    #expect(try run(compiled[1], kernels[1])[9] == 45)

    let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
    #expect(files.count == 2)
    let whole = try Data(contentsOf: files[0])
    var changed = whole
    changed[changed.count / 2] ^= 1
    for damaged in [whole.prefix(whole.count / 2), Data(), whole + [0], changed] {
      try Data(damaged).write(to: files[0])
      let third = CPUCompiler(cacheDirectory: folder.path, threads: 1)
      let compiled = try third.compile(kernels)
      #expect(third.statistics.cacheHits == 1 && third.statistics.compiled == 1)
      #expect(try run(compiled[0], kernels[0])[9] == 27)
    }
    #expect(try Data(contentsOf: files[0]) == whole)
  }

  @Test("a cache that cannot be written is no error")
  func noCache() throws {
    let compiler = CPUCompiler(cacheDirectory: "/dev/null/nowhere", threads: 1)
    #expect(try run(compiler.compile([kernel(2)])[0], kernel(2))[3] == 6)
  }

  @Test("code outlives its compiler")
  func lifetime() throws {
    let compiled = try CPUCompiler(cacheDirectory: nil, threads: 1).compile([kernel(7)])[0]
    #expect(try run(compiled, kernel(7))[2] == 14)
  }

  @Test("a wrong number of buffers is told")
  func wrongBuffers() throws {
    let compiled = try Machine.shared.compiler.compile([kernel(2)])[0]
    #expect(throws: Violation.self) { try compiled.run([], on: Machine.one) }
  }

  @Test("texts show what is made")
  func texts() throws {
    let text = try Machine.shared.compiler.text(kernel(2.5), .llvm)
    #expect(text.contains("define void @elementwise_0"))
    #expect(try Machine.shared.compiler.text(kernel(2.5), .assembly).contains("elementwise_0:"))
    #expect(try !Machine.shared.compiler.object(kernel(2.5)).isEmpty)
  }
}

@Suite("the thread pool") struct ThreadPoolTests {
  @Test("every iteration runs once, in pieces that lie side by side", arguments: [1, 2, 3, 8])
  func pieces(threads: Int) {
    let pool = ThreadPool(threads: threads)
    for count in [0, 1, 2, 7, 1000] {
      let hits = UnsafeMutablePointer<Int32>.allocate(capacity: max(1, count))
      hits.initialize(repeating: 0, count: max(1, count))
      defer { hits.deallocate() }
      nonisolated(unsafe) let shared = hits
      for _ in 0..<50 {
        pool.parallel(count) { begin, end, thread in
          precondition(thread < threads)
          for i in begin..<end { shared[i] += 1 }
        }
      }
      #expect((0..<count).allSatisfy { hits[$0] == 50 })
    }
  }

  @Test("a loop inside a loop runs where it stands")
  func nested() {
    let pool = ThreadPool(threads: 2)
    let sums = UnsafeMutablePointer<Int>.allocate(capacity: 2)
    sums.initialize(repeating: 0, count: 2)
    defer { sums.deallocate() }
    nonisolated(unsafe) let shared = sums
    pool.parallel(10) { begin, end, thread in
      for _ in begin..<end { pool.parallel(5) { begin, end, inner in shared[thread] += inner == thread ? end - begin : 1000 } }
    }
    #expect(sums[0] + sums[1] == 50)
  }

  @Test("callers from several threads take turns")
  func turns() async {
    let pool = ThreadPool(threads: 2)
    let total = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<8 {
        group.addTask {
          var sum = 0
          for _ in 0..<100 {
            let parts = UnsafeMutablePointer<Int>.allocate(capacity: 2)
            parts.initialize(repeating: 0, count: 2)
            nonisolated(unsafe) let shared = parts
            pool.parallel(64) { begin, end, thread in shared[thread] += end - begin }
            sum += parts[0] + parts[1]
            parts.deallocate()
          }
          return sum
        }
      }
      return await group.reduce(0, +)
    }
    #expect(total == 8 * 100 * 64)
  }

  @Test("an arena is zero and aligned", arguments: [0, 1, 4096, 5 << 20])
  func arena(size: Int) throws {
    let arena = try Arena(size: size)
    #expect(UInt(bitPattern: arena.base) % 64 == 0)
    #expect((0..<size).allSatisfy { arena.base.load(fromByteOffset: $0, as: UInt8.self) == 0 })
    #expect(throws: Violation.self) { try Arena(size: .max) }
  }
}
#endif
