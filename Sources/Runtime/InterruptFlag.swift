import CRuntime

/// Lets a long run end between two steps: the first SIGINT or SIGTERM is only noted, the second quits at once.
///
/// For the whole process, as signals are. A signal that was ignored from the start (`nohup`) stays ignored.
public enum InterruptFlag {
  public static func install() { millrace_interrupt_install() }
  /// Whether a signal came since `install`.
  public static var isSet: Bool { millrace_interrupt_signal() != 0 }
  /// Forgets the signal; the next one quits.
  public static func remove() { millrace_interrupt_remove() }
}
