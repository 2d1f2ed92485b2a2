import Foundation

/// Where compiled code is kept between processes.
public enum CacheDirectory {
  /// `MILLRACE_CACHE`, or `millrace` where the system keeps caches; `nil` where the variable is empty or "off".
  public static var standard: String? {
    let environment = ProcessInfo.processInfo.environment
    if let path = environment["MILLRACE_CACHE"] { return path.isEmpty || path == "off" ? nil : path }
    if let path = environment["XDG_CACHE_HOME"], path.hasPrefix("/") { return path + "/millrace" }
    return FileManager.default.homeDirectoryForCurrentUser.path + "/.cache/millrace"
  }
}
