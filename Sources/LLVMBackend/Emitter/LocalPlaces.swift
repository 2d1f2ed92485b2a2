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
        // Buffers that begin at the same place of a page get in each other's way in the first cache.
        scratch += (buffer.bytes + 127) / 64 * 64
      }
    }
    self.places = places
    argumentCount = arguments
    scratchBytes = scratch
  }

  func place(of id: BufferID) -> Place { places[id.index] }
}
#endif
