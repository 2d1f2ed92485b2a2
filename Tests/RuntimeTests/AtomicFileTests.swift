import Foundation
import IR
import Runtime
import Testing

@Suite("files that appear whole or not at all") struct AtomicFileTests {
  @Test("an uncommitted file leaves nothing, a committed one replaces the old")
  func commits() throws {
    let scratch = try Scratch()
    let path = scratch.path("x")
    func abandon() throws {
      var file = try AtomicFile(path)
      try file.write("half")
    }
    try abandon()
    #expect(scratch.names == [])
    try AtomicFile.write("one", to: path)
    try abandon()
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "one")
    let large = String(repeating: "0123456789", count: 20_000)
    try AtomicFile.write(large, to: path)
    #expect(try String(contentsOfFile: path, encoding: .utf8) == large)
    #expect(scratch.names == ["x"])
  }

  @Test("a link stays a link")
  func links() throws {
    let scratch = try Scratch()
    try AtomicFile.write("one", to: scratch.path("real"))
    try FileManager.default.createSymbolicLink(atPath: scratch.path("link"), withDestinationPath: "real")
    try AtomicFile.write("two", to: scratch.path("link"))
    #expect(try String(contentsOfFile: scratch.path("real"), encoding: .utf8) == "two")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: scratch.path("link")) == "real")
  }

  @Test("where nothing can be written, the reason is given")
  func refusals() throws {
    let scratch = try Scratch()
    let nowhere = scratch.path("no/such/file")
    #expect(
      complaint { try AtomicFile.write("x", to: nowhere) } == "\(nowhere): cannot be written: No such file or directory"
    )
    #expect(
      complaint { try AtomicFile.write("x", to: scratch.folder) }
        == "\(scratch.folder): cannot be written: is a directory")
  }

  @Test("a full device is an error", .enabled(if: FileManager.default.fileExists(atPath: "/dev/full")))
  func fullDevice() {
    let text = String(repeating: "x", count: 1 << 17)
    #expect(
      complaint { try AtomicFile.write(text, to: "/dev/full") }
        == "/dev/full: cannot be written after 0 bytes: No space left on device")
  }

  @Test("a full disk leaves the old file and nothing else")
  func fullDisk() throws {
    let scratch = try Scratch()
    let mount = Process()
    mount.executableURL = URL(fileURLWithPath: "/bin/mount")
    mount.arguments = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch.folder]
    mount.standardError = FileHandle.nullDevice
    // Only root can mount a small disk; others are content with the full device above.
    guard (try? mount.run()) != nil else { return }
    mount.waitUntilExit()
    guard mount.terminationStatus == 0 else { return }
    defer {
      if let unmount = try? Process.run(URL(fileURLWithPath: "/bin/umount"), arguments: [scratch.folder]) {
        unmount.waitUntilExit()
      }
    }
    let path = scratch.path("x.safetensors")
    try TensorFile.write(["a": HostTensor(zeros: .f32(100))], to: path)
    let said = complaint { try TensorFile.write(["a": HostTensor(zeros: .f32(100_000))], to: path) }
    #expect(said.hasPrefix("\(path): cannot be written after") && said.hasSuffix("No space left on device"))
    #expect(scratch.names == ["x.safetensors"])
    #expect(try TensorFile(path).entries.count == 1)
  }
}
