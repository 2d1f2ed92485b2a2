import Foundation

/// A library loaded at run time. Stays loaded as long as the process: drivers do not take well to leaving.
struct DynamicLibrary: @unchecked Sendable {
  private let handle: UnsafeMutableRawPointer

  /// The first of `names` that loads: a file, or a name the loader looks for.
  init?(_ names: [String]) {
    for name in names {
      if let handle = dlopen(name, RTLD_NOW | RTLD_LOCAL) {
        self.handle = handle
        return
      }
    }
    return nil
  }

  /// Why the last library did not load.
  static var lastError: String { dlerror().map { String(cString: $0) } ?? "unknown" }

  /// The function `name` as a C function of type `F`; `nil` if the library has none. `F` must be the function's type.
  func function<F>(_ name: String, as type: F.Type) -> F? {
    guard let address = dlsym(handle, name) else { return nil }
    return unsafeBitCast(address, to: type)
  }
}
