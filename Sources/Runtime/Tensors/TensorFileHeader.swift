import IR

/// The header of a safetensors file: 8 bytes of length, then a JSON object of names, types, shapes and byte ranges.
struct TensorFileHeader {
  var entries: [TensorFile.Entry] = []
  var metadata: [String: String] = [:]

  static let maximumLength = 100_000_000
  static let maximumEntries = 1_000_000
  static let maximumNameLength = 4096
  static let maximumRank = 32

  private let path: String

  init(of file: borrowing OpenFile) throws(Diagnostic) {
    path = file.path
    guard file.size >= 8 else { throw Diagnostic("\(path): is no safetensors file: has \(file.size) bytes") }
    let prefix = try file.bytes(8, at: 0)
    let length = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard length <= UInt64(Self.maximumLength) else {
      throw Diagnostic(
        "\(path): is no safetensors file: its header has \(length) bytes, at most \(Self.maximumLength) are allowed")
    }
    let headerLength = Int(length)
    guard headerLength <= file.size - 8 else {
      throw Diagnostic("\(path): is cut short: its header has \(headerLength) bytes, and \(file.size - 8) follow")
    }
    let text = try file.bytes(headerLength, at: 8)
    guard text.first == UInt8(ascii: "{") else {
      throw Diagnostic("\(path): is no safetensors file: its header is no object")
    }
    let header = try JSON(parsing: text, file: path, maximumValues: 16 * Self.maximumEntries)
    let object = try header.object()
    guard object.members.count <= Self.maximumEntries else {
      throw Diagnostic("\(path): has \(object.members.count) tensors, at most \(Self.maximumEntries) are allowed")
    }
    let dataStart = 8 + headerLength
    entries.reserveCapacity(object.members.count)
    for member in object.members {
      if member.key == "__metadata__" {
        for pair in try member.value.object().members { metadata[pair.key] = try pair.value.string() }
      } else {
        entries.append(try entry(member.key, member.value, dataStart: dataStart, dataLength: file.size - dataStart))
      }
    }
    // Empty tensors share their start with the next one.
    entries.sort { ($0.bytes.lowerBound, $0.bytes.upperBound) < ($1.bytes.lowerBound, $1.bytes.upperBound) }
    var end = dataStart
    for entry in entries {
      guard entry.bytes.lowerBound == end else {
        let problem = entry.bytes.lowerBound < end ? "overlaps the tensor before it" : "leaves a gap before it"
        throw Diagnostic(
          "\(path): tensor '\(entry.name)': \(problem): wants to begin at \(end - dataStart), got \(entry.bytes.lowerBound - dataStart)"
        )
      }
      end = entry.bytes.upperBound
    }
    guard end == file.size else {
      throw Diagnostic("\(path): wants \(end) bytes, got \(file.size)")
    }
  }

  private func entry(_ name: String, _ value: JSON, dataStart: Int, dataLength: Int) throws(Diagnostic)
    -> TensorFile.Entry
  {
    guard name.utf8.count <= Self.maximumNameLength else {
      throw Diagnostic(
        "\(path): a tensor's name has \(name.utf8.count) bytes, at most \(Self.maximumNameLength) are allowed")
    }
    do throws(Diagnostic) {
      try value.rejectKeys(except: ["dtype", "shape", "data_offsets"])
      let formatName = try value.required("dtype").string()
      guard let format = TensorFormat(rawValue: formatName) else {
        let known = TensorFormat.allCases.map(\.rawValue).joined(separator: ", ")
        throw Diagnostic("element type \(formatName) is not one of \(known)")
      }
      let shapeValues = try value.required("shape").array()
      guard shapeValues.count <= Self.maximumRank else {
        throw Diagnostic("has \(shapeValues.count) axes, at most \(Self.maximumRank) are allowed")
      }
      var shape: [Int] = []
      for extent in shapeValues { shape.append(try extent.int()) }
      let offsets = try value.required("data_offsets").array()
      guard offsets.count == 2 else { throw Diagnostic("wants 2 data_offsets, got \(offsets.count)") }
      let (begin, end) = (try offsets[0].int(), try offsets[1].int())
      guard begin >= 0, begin <= end, end <= dataLength else {
        throw Diagnostic("stands at \(begin)...\(end), and the file has \(dataLength) bytes of data")
      }
      guard let count = TensorType.checkedCount(shape) else { throw Diagnostic("shape \(shape) is impossible") }
      let (bytes, overflow) = count.multipliedReportingOverflow(by: format.size)
      guard !overflow, bytes == end - begin else {
        let wanted = overflow ? "too many" : "\(bytes)"
        throw Diagnostic("\(formatName)\(shape) has \(wanted) bytes, got \(end - begin)")
      }
      return TensorFile.Entry(
        name: name, format: format, shape: shape, bytes: (dataStart + begin)..<(dataStart + end))
    } catch {
      throw Diagnostic("\(path): tensor '\(name.prefix(200))': \(error.message)")
    }
  }
}
