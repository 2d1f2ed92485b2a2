import CRuntime
import Foundation
import IR
import Synchronization

/// A fixed set of threads that share the iterations of parallel loops.
///
/// Work is split into contiguous pieces whose bounds depend on the count alone, and the caller takes one of them. Idle
/// threads look for work for about four microseconds and then sleep. A call allocates nothing; a call from inside another runs
/// where it stands; calls from different threads take turns.
public final class ThreadPool: @unchecked Sendable {
  /// Threads that work on a loop, the caller counted.
  public let threads: Int
  public let handle: OpaquePointer

  /// A pool of `threads` threads; fewer, if the system does not give that many.
  public init(threads: Int = ThreadPool.defaultThreads) {
    var count = max(1, threads)
    var pool = millrace_pool_create(Int64(count))
    while pool == nil, count > 1 {
      count /= 2
      pool = millrace_pool_create(Int64(count))
    }
    guard let pool else { preconditionFailure("a pool of one thread starts none") }
    self.threads = count
    handle = pool
  }

  deinit { millrace_pool_destroy(handle) }

  /// `MILLRACE_THREADS`, or the processors this process may run on.
  public static var defaultThreads: Int {
    if let text = ProcessInfo.processInfo.environment["MILLRACE_THREADS"], let count = Int(text), count > 0 {
      return min(count, 4096)
    }
    return Int(millrace_available_cores())
  }

  /// One pool for all that asks for no other.
  public static let shared = ThreadPool()

  /// Calls `body(begin, end, thread)` for contiguous pieces of 0 ..< `count`, at most one a thread at a time.
  public func parallel(_ count: Int, _ body: (_ begin: Int, _ end: Int, _ thread: Int) -> Void) {
    withoutActuallyEscaping(body) { body in
      var job = Job(body: body)
      withUnsafeMutablePointer(to: &job) { job in
        millrace_pool_run(
          handle, Int64(count), Int64(threads),
          { context, begin, end, thread in
            context?.assumingMemoryBound(to: Job.self).pointee.body(Int(begin), Int(end), Int(thread))
          }, job)
      }
    }
  }

  /// What `transform` makes of each item, in order. A thread takes the next item when it is done with one, so that
  /// items may differ in size. Throws the first item's error that has one.
  public func map<Item: Sendable, Made: Sendable, Failure: Error>(
    _ items: [Item], _ transform: @Sendable (Item) throws(Failure) -> Made
  ) throws(Failure) -> [Made] {
    let next = Atomic(0)
    let results = Mutex([Result<Made, Failure>?](repeating: nil, count: items.count))
    parallel(min(threads, items.count)) { _, _, _ in
      while true {
        let number = next.add(1, ordering: .relaxed).oldValue
        if number >= items.count { return }
        let result = Result { () throws(Failure) in try transform(items[number]) }
        results.withLock { $0[number] = result }
      }
    }
    var made: [Made] = []
    for result in results.withLock({ $0 }) {
      guard let result else { preconditionFailure("every item has a result") }
      made.append(try result.get())
    }
    return made
  }

  private struct Job {
    let body: (Int, Int, Int) -> Void
  }

  /// Makes sure that each thread has `bytes` of scratch memory for kernels.
  public func reserveScratch(_ bytes: Int) throws(Violation) {
    try require(bytes == 0 || millrace_pool_reserve(handle, bytes) != 0, "no memory for \(bytes) bytes of scratch a thread")
  }
}
