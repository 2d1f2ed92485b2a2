#if LLVM
import IR

/// Where the buffers of a kernel are found: in the caller's table, in the thread's scratch memory or in the frame.
struct LocalPlaces {
  enum Place {
    case argument(Int)
    case scratch(Int)
    case frame
  }
  private let places: [Place]
  let argumentCount: Int
  let scratchBytes: Int

  /// Small local buffers are frame variables, which LLVM can keep in registers.
  private static let frameLimit = 4096

  init(_ kernel: Kernel) {
    var (places, arguments, scratch) = ([Place](), 0, 0)
    for buffer in kernel.buffers {
      if buffer.role != .local {
        places.append(.argument(arguments))
        arguments += 1
      } else if buffer.bytes <= Self.frameLimit {
        places.append(.frame)
      } else {
        places.append(.scratch(scratch))
        scratch += Self.spacedBytes(of: buffer)
      }
    }
    self.places = places
    argumentCount = arguments
    scratchBytes = scratch
  }

  /// Bytes from the start of a buffer to that of the next one. Loops go through several at once, and a read from where
  /// something was just stored to in another page waits for it: rows of as much as a page must not begin at one place of it.
  static func spacedBytes(of buffer: Kernel.Buffer) -> Int {
    let bytes = (buffer.bytes + 63) / 64 * 64
    return bytes < 1024 ? bytes : bytes + 256
  }

  func place(of id: BufferID) -> Place { places[id.index] }
}
#endif
