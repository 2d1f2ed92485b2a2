import IR
import Runtime
import Testing

@Suite("cases") struct CaseFileTests {
  let scratch: Scratch
  let path: String

  init() throws {
    scratch = try Scratch()
    path = scratch.path("small.safetensors")
    try TensorFile.write(
      [
        "param/w": HostTensor(.f32(2), doubles: [1, 2]), "input/ids": HostTensor(.i64(2), integers: [0, 1]),
        "output/y": HostTensor(.f32(2), doubles: [10, -20]), "output/best": HostTensor(.i64(), integers: [3]),
        "grad/param/w": HostTensor(.f32(2), doubles: [0.5, 0]), "output/aside": HostTensor(zeros: .f32(1)),
        "cotangent/y": HostTensor(.f32(2), doubles: [1, 1]),
      ],
      metadata: [
        "config": "{\"architecture\": \"block\"}", "about": "A small one.", "optional": "[\"output/aside\"]",
        "tolerance": "{\"default\": {\"absolute\": 0.1, \"relative\": 0.01}, \"grad/param/w\": {\"absolute\": 1}}",
      ], to: path)
  }

  @Test("a case is read by its parts")
  func reads() throws {
    let file = try CaseFile(path)
    #expect(file.name == "small")
    #expect(file.config == ["architecture": "block"])
    #expect(file.names(of: .output) == ["aside", "best", "y"])
    #expect(file.names(of: .parameterGradient) == ["w"])
    #expect(file.expected == ["grad/param/w", "output/aside", "output/best", "output/y"])
    #expect(try file.literal(.input, "ids").integers == [0, 1])
    #expect(file.tolerance(for: "grad/param/w") == .init(absolute: 1, relative: 0.01))
    #expect(file.tolerance(for: "output/y") == .init(absolute: 0.1, relative: 0.01))
  }

  func verdict(_ y: [Double], best: HostTensor? = nil, gradient: [Double] = [0, 0]) throws -> CaseVerdict {
    let best = try best ?? HostTensor(.i64(1), integers: [3])
    return try CaseFile(path).compare([
      "output/y": HostTensor(.f32(2), doubles: y), "output/best": best,
      "grad/param/w": HostTensor(.f32(2), doubles: gradient),
    ])
  }

  @Test("a result passes within absolute + relative · max|want|")
  func compares() throws {
    #expect(try verdict([10.29, -20]).passed)
    #expect(try verdict([10, -20.31]).failures.map(\.name) == ["output/y"])
    #expect(try verdict([.nan, -20]).failures.map(\.name) == ["output/y"])
    #expect(try verdict([10, -.infinity]).failures.map(\.name) == ["output/y"])
    #expect(try verdict([10, -20], gradient: [1.5, 0]).passed)
    #expect(try verdict([10, -20], best: HostTensor(.i64(), integers: [4])).failures.map(\.name) == ["output/best"])
    #expect(try verdict([10, -20], best: HostTensor(.f32(), doubles: [3])).failures.map(\.name) == ["output/best"])
    let missing = try CaseFile(path).compare(["output/y": HostTensor(.f32(1), doubles: [10])])
    #expect(missing.failures.map(\.name) == ["grad/param/w", "output/best", "output/y"])
    #expect(
      missing.text().split(separator: "\n").map(String.init) == [
        "FAIL small: 1 of 4 tensors, worst output/y abs inf rel inf", "     MISSING  grad/param/w: abs 0 of 1, rel 0",
        "     MISSING  output/best: abs 0 of 0, rel 0",
        "     SHAPE f32[1], not f32[2] output/y: abs inf of 0.3, rel inf",
      ])
  }

  @Test("a result is written and compared as a file")
  func files() throws {
    let file = try CaseFile(path)
    let results = try Scratch()
    var tensors: [String: HostTensor] = [:]
    for name in file.expected { tensors[name] = try file.file.tensor(name) }
    try file.write(tensors, intoFolder: results.folder)
    let verdict = try file.compare(resultFile: results.path("small.safetensors"))
    #expect(verdict.passed)
    #expect(verdict.worst?.error == 0)
  }

  @Test(
    "what is no case is refused",
    arguments: [
      ([:], "is no case: its metadata has no config"), (["config": "{}"], "is no case: its metadata has no tolerance"),
      (["config": "{", "tolerance": "{}"], "wants a key, got the end of the text"),
      (["config": "{}", "tolerance": "{}"], "wants a key \"default\""),
      (
        ["config": "{}", "tolerance": "{\"default\": {\"absolute\": \"x\", \"relative\": 0}}"],
        "wants a number, got \"x\""
      ),
      (
        ["config": "{}", "tolerance": "{\"default\": {\"absolute\": 0, \"relative\": 0}}"],
        "tensor 'y' belongs to no part of a case"
      ),
    ] as [([String: String], String)])
  func refuses(metadata: [String: String], message: String) throws {
    let bad = scratch.path("bad.safetensors")
    try TensorFile.write(["y": HostTensor(zeros: .f32(1))], metadata: metadata, to: bad)
    #expect(complaint { _ = try CaseFile(bad) }.hasSuffix(message))
  }
}
