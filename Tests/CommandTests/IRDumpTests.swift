import CUDABackend
import Foundation
import Testing

@Suite("ir-dump") struct IRDumpTests {
  static let program = """
    // test: round-trip
    func @norm(%x: f32[16, 64]) -> (%y: f32[16, 64]) {
      %0 = negate %x : f32[16, 64]
      %1 = negate %0 : f32[16, 64]
      %2 = multiply %1, %1 : f32[16, 64]
      %3 = reduce %2 {kind = sum, axes = [1]} : f32[16]
      %4 = rsqrt %3 : f32[16]
      %5 = broadcast %4 {axes = [1], shape = [16, 64]} : f32[16, 64]
      %y = multiply %1, %5 : f32[16, 64]
      return %y
    }

    """

  /// The program in a folder of its own, which stays for as long as `body` runs.
  private static func withFile(
    _ text: String = program, _ body: (_ scratch: Scratch, _ path: String) throws -> Void
  ) throws {
    let scratch = try Scratch()
    try body(scratch, scratch.file("norm.ir", text))
  }

  @Test("shows a program after each pass and as each backend has it")
  func show() throws {
    try Self.withFile { scratch, path in
      let input = try Command.irDump(["show", path, "--after", "input"])
      #expect(input.output == Self.program.split(separator: "\n").dropFirst().joined(separator: "\n") + "\n")
      let simplified = try Command.irDump(["show", path, "--after", "simplify"])
      #expect(simplified.status == 0 && !simplified.output.contains("negate"))
      let fused = try Command.irDump(["show", path, "--after", "fuse-rows"])
      #expect(fused.output.contains("= region @rows_1 %x {rows = 16}"))
      let kernels = try Command.irDump(["show", path, "--emit", "kernel"])
      #expect(kernels.output.hasPrefix("kernel @k0_rows(in %i0: f32[1024]"))
      #expect(try Command.irDump(["show", path, "--emit", "cuda"]).output.contains("__global__"))
      let graph = try Command.irDump(["show", path, "--emit", "dot", "--after", "input"])
      #expect(graph.output.hasPrefix("digraph \"norm\" {"))
      #expect(try Command.irDump(["show", path, "--emit", "cost"]).output.contains("@norm: moves 8.19 kB"))
      let tree = scratch.path("tree")
      _ = try Command.irDump(["show", path, "--print-ir-tree-dir", tree, "--pass-pipeline", "simplify,fuse-rows"])
      let files = try FileManager.default.contentsOfDirectory(atPath: tree).sorted()
      #expect(files == ["00-input.ir", "01-simplify.ir", "02-fuse-rows.ir"])
    }
  }

  @Test("tells what a GPU's code takes, and finds it again", .enabled(if: NVRTC.absence == nil, "\(NVRTC.absence ?? "")"))
  func code() throws {
    try Self.withFile { scratch, path in
      let arguments = ["show", path, "--emit", "cubin", "--cache", scratch.path("code")]
      let (first, second) = (try Command.irDump(arguments), try Command.irDump(arguments))
      for architecture in NVRTC.Architecture.allCases.map(\.rawValue) {
        #expect(first.output.contains("\(architecture): 1 kernels, 1 functions in 1 modules, 0 from disk, "), "\(first)")
        #expect(second.output.contains("\(architecture): 1 kernels, 1 functions in 1 modules, 1 from disk, "), "\(second)")
      }
      let nowhere = try Command.irDump(["show", path, "--emit", "cubin", "--cache", path])
      #expect(nowhere.status == 1 && nowhere.errors == "error: \(path): no folder can be made there for machine code\n")
    }
  }

  @Test("runs a program by interpreter and machine code alike")
  func run() throws {
    try Self.withFile { _, path in
      let interpreted = try Command.irDump(["run", path, "--input", "16x64xf32=2", "--elements", "2"])
      #expect(interpreted.output == "%y: f32[16, 64] = [0.125, 0.125, …]\n")
      let staged = try Command.irDump(
        ["run", path, "--input", "16x64xf32=2", "--elements", "2", "--after", "lower-to-kernels"])
      #expect(staged.output == interpreted.output)
      let wrong = try Command.irDump(["run", path, "--input", "16x32xf32=2"])
      #expect(wrong.status == 1 && wrong.errors.hasPrefix("error: input '16x32xf32=2': wants f32[16, 64]"))
    }
  }

  @Test("explains and bisects")
  func explain() throws {
    try Self.withFile { _, path in
      let explained = try Command.irDump(["explain", path])
      #expect(explained.output.hasPrefix("moves 45.31 kB -> 8.19 kB, 7 -> 1 kernels"), "\(explained)")
      let bisected = try Command.irDump(["bisect", path])
      #expect(bisected.status == 0 && bisected.errors.hasSuffix("no pass changes what @norm computes\n"))
    }
  }

  @Test("unfolds the connections of a trained model")
  func connections() throws {
    let scratch = try Scratch()
    let model = MillraceTests.model.replacing("\"heads\": 2", with: "\"heads\": 2, \"residual\": {\"kind\": \"hyper\", \"rate\": 2}")
    let arguments = [
      "train", try scratch.file("config.json", model), "--data", try scratch.file("text", MillraceTests.text), "--out",
      scratch.path("run"), "--steps", "2", "--batch", "2", "--length", "8", "--backend", MillraceTests.backend,
    ]
    #expect(try Command.millrace(arguments).status == 0)
    let shown = try Command.irDump(["connections", scratch.path("run"), "--svg", scratch.path("c.svg"), "--backend", MillraceTests.backend])
    #expect(shown.status == 0, "\(shown.errors)")
    #expect(shown.output.contains("0 feed_forward") && shown.output.contains("0: embedding\n1: 0 attention\n"))
    #expect(try String(contentsOfFile: scratch.path("c.svg"), encoding: .utf8).hasPrefix("<svg "))
    let json = try Command.irDump(["connections", scratch.path("run"), "--json", "--backend", MillraceTests.backend])
    #expect(json.output.hasPrefix("{") && json.output.contains("\"tokens\": 64"), "\(json)")
    let folder = try Command.irDump(["connections", scratch.folder])
    #expect(folder.status == 1 && folder.errors.hasPrefix("error: "))
  }

  @Test("lists passes and ops")
  func lists() throws {
    #expect(try Command.irDump(["passes"]).output.contains("lower-to-kernels      required\n"))
    #expect(try Command.irDump(["ops", "select"]).output.hasPrefix("%0 = select %x0, %x1, %x2 : f32[3, 5]"))
  }

  @Test("what is wrong goes to standard error, with its place", arguments: [
    (["show", "nowhere.ir"], "error: nowhere.ir: cannot be opened"),
    (["show", "--pass-pipeline", "simplfy"], "error: no pass is named 'simplfy'; did you mean 'simplify'?"),
    (["show", "--after", "differentiate"], "error: no pass 'differentiate' was run"),
    (["show", "--without", "lower-to-kernels"], "error: the pass 'lower-to-kernels' cannot be left out"),
    (["show", "--function", "nrm"], "error: there is no function @nrm; did you mean 'norm'?"),
    (["ops", "selct"], "error: no op is named 'selct'; did you mean 'select'?"),
  ])
  func errors(arguments: [String], message: String) throws {
    try Self.withFile { scratch, path in
      let needsFile = arguments[0] != "ops" && !arguments.contains("nowhere.ir")
      let command = try Command.irDump(arguments + (needsFile ? [path] : []), in: scratch.folder)
      #expect(command.status == 1 && command.output.isEmpty)
      #expect(command.errors.hasPrefix(message), "\(command.errors)")
    }
  }

  @Test("an error in a program shows its line")
  func place() throws {
    try Self.withFile(Self.program.replacing("rsqrt %3", with: "rsqrt %9")) { _, path in
      let command = try Command.irDump(["show", path])
      #expect(command.status == 1)
      let place = "\(path):7:14: error: '%9' is not defined before here\n  %4 = rsqrt %9 : f32[16]\n             ^\n"
      #expect(command.errors == place)
    }
  }
}
