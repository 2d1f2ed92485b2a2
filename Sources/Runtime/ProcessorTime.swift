import Foundation

/// What was computed, whoever had to wait for whom.
public enum ProcessorTime {
  /// Seconds that the calling thread has had so far.
  public static var ofThread: Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
  }
}
