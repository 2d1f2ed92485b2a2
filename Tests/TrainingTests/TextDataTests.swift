import Foundation
import IR
import Runtime
import Testing

@testable import Training

extension Tokens {
  /// All of them, where bytes are the tokens.
  var array: [UInt8] { withBytes { Array($0) } }
}

@Suite("text data") struct TextDataTests {
  static let text = (0..<1000).map { UInt8($0 % 251) }

  @Test("a step's batch follows from seed and step alone")
  func resumable() throws {
    let data = try TextData(Self.text, source: "text")
    let first = try data.batch(step: 7, batch: 4, length: 16, seed: 1)
    #expect(try data.batch(step: 7, batch: 4, length: 16, seed: 1) == first)
    #expect(try data.batch(step: 8, batch: 4, length: 16, seed: 1) != first)
    #expect(try data.batch(step: 7, batch: 4, length: 16, seed: 2) != first)
    #expect(first.type == .i64(4, 17))
  }

  @Test("windows are pieces of the training part", arguments: [1, 7, 64, 949])
  func windows(length: Int) throws {
    let data = try TextData(Self.text, source: "text")
    #expect(data.training == 0..<950)
    for step in 0..<50 {
      let starts = data.starts(step: step, batch: 3, length: length, seed: 5)
      for start in starts { #expect(start >= 0 && start + length < 950) }
      let tokens = try data.batch(step: step, batch: 3, length: length, seed: 5).integers
      let wanted = starts.flatMap { Self.text[$0...($0 + length)].map(Int64.init) }
      #expect(tokens == wanted)
    }
  }

  @Test("a pass takes every window once, and the next pass in another order")
  func passes() throws {
    let data = try TextData(Self.text, source: "text")
    let count = data.windows(length: 10)
    let first = (0..<count).flatMap { data.starts(step: $0, batch: 1, length: 10, seed: 3) }
    let second = (count..<(2 * count)).flatMap { data.starts(step: $0, batch: 1, length: 10, seed: 3) }
    #expect(Set(first).count == count)
    #expect(Set(first.map { $0 % 10 }).count == 1, "windows do not overlap")
    #expect(Set(second).count == count)
    #expect(first != second && first != first.sorted())
  }

  @Test("a shuffle is a permutation", arguments: [1, 2, 3, 16, 17, 1000])
  func shuffle(count: Int) {
    let shuffle = Shuffle(count, key: 9)
    #expect(Set((0..<count).map { shuffle[$0] }) == Set(0..<count))
  }

  @Test("validation windows cover their part in order")
  func validation() throws {
    let data = try TextData(Self.text, source: "text", validation: 0.1)
    #expect(data.validationBatches(batch: 2, length: 30) == 2)
    let batch = try data.validationBatch(1, batch: 2, length: 30).integers
    #expect(batch.prefix(31) == Self.text[960...990].map(Int64.init)[...], "the third window, then the first again")
    #expect(batch.suffix(31) == Self.text[900...930].map(Int64.init)[...])
  }

  @Test("a text that is too short says so")
  func short() throws {
    let data = try TextData([1, 2, 3], source: "tiny.txt", validation: 0)
    #expect(
      complaint { _ = try data.batch(step: 0, batch: 1, length: 3, seed: 0) }
        == "tiny.txt: its training part has 3 bytes, windows of 3 want at least 4")
    #expect(
      complaint { try data.check(length: 2, for: .validation) }
        == "tiny.txt: its validation part has 0 bytes, windows of 2 want at least 3")
    #expect(
      complaint { _ = try TextData([1], source: "x", validation: 1) } == "the validation share wants 0 ..< 1, got 1.0")
  }

  @Test("gzip files are unpacked, damaged ones refused")
  func gzip() throws {
    let scratch = try Scratch()
    let plain = Array(repeating: Self.text, count: 600).flatMap { $0 }
    let path = try scratch.file("t.txt", plain)
    let zip = try Process.run(URL(fileURLWithPath: "/usr/bin/env"), arguments: ["gzip", path])
    zip.waitUntilExit()
    let packed = try readFile(path + ".gz", limit: 1 << 24)
    #expect(try TextData(path + ".gz").tokens.array == plain)
    #expect(try TextData(try scratch.file("two.gz", packed + packed)).tokens.array == plain + plain)
    let cut = try scratch.file("cut.gz", packed.dropLast(9))
    #expect(complaint { _ = try TextData(cut) } == "\(cut): is cut short")
    var damaged = packed
    damaged[packed.count / 2] ^= 0x55
    let bad = try scratch.file("bad.gz", damaged)
    #expect(complaint { _ = try TextData(bad) }.hasPrefix("\(bad): is damaged: "))
    let tail = try scratch.file("tail.gz", packed + [1, 2, 3])
    #expect(complaint { _ = try TextData(tail) }.hasPrefix("\(tail): is"))
    #expect(
      complaint { _ = try gunzip(packed, limit: 1000, file: "bomb") }
        == "bomb: holds more than 1000 bytes when unpacked")
  }

  @Test("the dictionary is read, or its package named")
  func dictionary() throws {
    do {
      let data = try TextData("dict-gcide")
      #expect(data.tokens.count > 10_000_000)
    } catch {
      #expect(error.message.hasSuffix("install the package: apt install dict-gcide"))
    }
    #expect(
      complaint { _ = try TextData("/no/such/file") } == "/no/such/file: cannot be opened: No such file or directory")
  }
}

@Suite("logs of runs") struct JSONLLogTests {
  @Test("a resumed log keeps the lines up to its step")
  func resumes() throws {
    let scratch = try Scratch()
    let path = scratch.path("log.jsonl")
    func line(_ step: Int) -> JSON { ["step": .integer(step), "loss": .number(1 / Double(step + 1))] }
    do {
      let log = try JSONLLog(path)
      for step in 0..<10 { try log.append(line(step)) }
    }
    // As if the machine had stopped in the middle of a line.
    let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try handle.seekToEnd()
    try handle.write(contentsOf: Data("{\"step\": 10, \"lo".utf8))
    try handle.close()
    #expect(try JSONLLog.read(path) == (0..<10).map(line))
    let log = try JSONLLog(path, resumingAt: 6)
    try log.append(line(7))
    #expect(try JSONLLog.read(path) == (0...7).map(line))
    _ = try JSONLLog(path)
    #expect(try JSONLLog.read(path) == [])
  }

  @Test("a damaged line is shown where it stands")
  func damaged() throws {
    let scratch = try Scratch()
    let path = try scratch.file("log.jsonl", Array("{\"step\": 1}\n{\"step\" 2}\n".utf8))
    let place = Location(file: path, line: 2, column: 9)
    let wanted = Diagnostic("wants ':', got '2'", at: place, line: "{\"step\" 2}")
    #expect(throws: wanted) { try JSONLLog(path, resumingAt: 5) }
    #expect(
      complaint { _ = try JSONLLog("/no/such/log") } == "/no/such/log: cannot be written: No such file or directory")
  }
}

@Suite("interrupts", .serialized) struct InterruptTests {
  @Test("the first signal is noted, one that was ignored is not")
  func notes() {
    let before = signal(SIGTERM, SIG_DFL)
    defer { signal(SIGTERM, before) }
    InterruptFlag.install()
    #expect(!InterruptFlag.isSet)
    // The threads that run tests block signals: another one takes it, soon.
    kill(getpid(), SIGTERM)
    for _ in 0..<500 where !InterruptFlag.isSet { usleep(10_000) }
    #expect(InterruptFlag.isSet)
    InterruptFlag.remove()
    #expect(!InterruptFlag.isSet)

    signal(SIGTERM, SIG_IGN)
    InterruptFlag.install()
    kill(getpid(), SIGTERM)
    usleep(20_000)
    #expect(!InterruptFlag.isSet)
    InterruptFlag.remove()
  }
}
