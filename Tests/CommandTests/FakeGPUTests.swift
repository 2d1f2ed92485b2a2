import Foundation
import IR
import Runtime
import TestSupport
import Testing

/// The commands with `--backend cuda`, as they run where there is a GPU; the driver is a fake.
@Suite("commands on a GPU") struct FakeGPUTests {
  /// Counts that a command left behind.
  private static func counts(_ path: String) throws -> [String: Int] {
    let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
    return Dictionary(uniqueKeysWithValues: lines.map { line in
      let words = line.split(separator: " ")
      return (String(words[0]), Int(words[1]) ?? -1)
    })
  }

  @Test("devices lists the GPU and the libraries")
  func devices() throws {
    let fake = try FakeCUDA()
    let run = try Command.millrace(["devices"], prefix: fake.environment(["FAKE_CUDA_MEMORY": "\(64 << 20)"]))
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("gpu 0: Fake GPU\n  0.1 GiB, copy "))
    #expect(run.output.contains("compute capability 9.0, 132 multiprocessors, 227 KiB shared memory a block, 50 MiB L2"))
    for library in ["driver: 99.0", "NVRTC: 99.0", "cuBLASLt: 99.0"] { #expect(run.output.contains("\n" + library)) }
  }

  @Test("golden cases pass", arguments: [("hyper-dynamic-2", "late"), ("ultramem-full", "hasty"), ("dit-race", "late")])
  func cases(name: String, order: String) throws {
    let fake = try FakeCUDA()
    let run = try Command.millrace(
      ["check", Self.cases + "/\(name).safetensors", "--backend", "cuda"],
      prefix: fake.environment(["FAKE_CUDA_ORDER": order]))
    #expect(run.status == 0, "\(run.output)\(run.errors)")
    #expect(run.output.hasSuffix("1 passed, 0 failed\n"))
  }

  @Test("memory is held to --device-memory-limit and to what is free")
  func limits() throws {
    let fake = try FakeCUDA()
    let arguments = ["check", Self.cases + "/hyper-static-2.safetensors", "--backend", "cuda"]
    let limited = try Command.millrace(arguments + ["--device-memory-limit", "1KiB"], prefix: fake.environment())
    #expect(limited.status == 1)
    #expect(limited.output.contains("of memory on Fake GPU, and the limit is 1.00 KiB"), "\(limited.output)")
    let full = try Command.millrace(arguments, prefix: fake.environment(["FAKE_CUDA_MEMORY": "2048"]))
    #expect(full.status == 1)
    #expect(full.output.contains("of memory on Fake GPU, and 2.00 KiB are free"), "\(full.output)")
  }

  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().path
  private static let cases = root + "/Tests/Cases"

  private static let configuration = """
    {"architecture": "language-model", "vocabulary": 256, "width": 16, "layers": 1, "heads": 2,
     "residual": {"kind": "hyper", "rate": 2}, "feed_forward": {"hidden": 16}}
    """

  /// A run of six steps, with a checkpoint every two.
  private func train(
    _ scratch: Scratch, _ name: String, on fake: FakeCUDA, _ more: [String] = [], _ variables: [String: String] = [:]
  ) throws -> Command {
    let config = try scratch.file("config.json", Self.configuration)
    let text = try scratch.file("text.txt", String(repeating: "A mill stands at the race. ", count: 40))
    let arguments = [
      "train", config, "--data", text, "--out", scratch.path(name), "--steps", "6", "--batch", "2", "--length", "8",
      "--validate-every", "0", "--checkpoint-every", "2", "--backend", "cuda",
    ]
    let counts = ["FAKE_CUDA_COUNTS": scratch.path(name + ".counts")]
    return try Command.millrace(arguments + more, prefix: fake.environment(variables.merging(counts) { $1 }))
  }

  private func losses(_ scratch: Scratch, _ name: String) throws -> [Double] {
    let log = try String(contentsOfFile: scratch.path(name) + "/log.jsonl", encoding: .utf8)
    return try log.split(separator: "\n").map { try JSON(parsing: String($0), file: "log").required("loss").double() }
  }

  @Test("a training is one replay a step, survives a fault with its checkpoint, and goes on as if there had been none")
  func training() throws {
    let scratch = try Scratch()
    let fake = try FakeCUDA()
    let whole = try train(scratch, "whole", on: fake)
    #expect(whole.status == 0, "\(whole.errors)")
    let counts = try Self.counts(scratch.path("whole.counts"))
    #expect(counts["replay"] == 5)
    let losses = try losses(scratch, "whole")
    #expect(losses.count == 6 && (losses.last ?? 9) < losses[0])

    // Copies as early as they may be change nothing, and the code is there already.
    let hasty = try train(scratch, "hasty", on: fake, [], ["FAKE_CUDA_ORDER": "hasty"])
    #expect(hasty.status == 0, "\(hasty.errors)")
    #expect(try self.losses(scratch, "hasty") == losses)
    #expect(try Self.counts(scratch.path("hasty.counts"))["compiled"] == nil)

    // The fifth step is the fourth replay.
    let failed = try train(scratch, "failed", on: fake, [], ["FAKE_CUDA_FAULT": "replay:4"])
    #expect(failed.status == 1)
    #expect(failed.errors.contains("error: in run 5 of @train_step on Fake GPU: CUDA cannot "), "\(failed.errors)")
    #expect(failed.errors.contains("; with --check-launches the launch at fault is named"))
    let resumed = try train(scratch, "failed", on: fake, ["--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    #expect(resumed.errors.contains("goes on from \(scratch.path("failed"))/step-00000004\n"), "\(resumed.errors)")
    #expect(try self.losses(scratch, "failed") == losses)
  }

  @Test("scripts/gpu-check goes through on a GPU")
  func gpuCheck() throws {
    let (scratch, fake) = (try Scratch(), try FakeCUDA())
    // The folder that scripts/gpu-pack makes, with this build's tools.
    for folder in ["benchmarks", "bin", "cases", "programs", "lib"] {
      try FileManager.default.createDirectory(atPath: scratch.path(folder), withIntermediateDirectories: true)
    }
    for tool in ["millrace", "ir-dump", "model-bench"] {
      try FileManager.default.createSymbolicLink(
        atPath: scratch.path("bin/\(tool)"), withDestinationPath: "\(Command.folder)/\(tool)")
    }
    let files = [
      ("Tests/Cases/router-similarity.safetensors", "cases/router-similarity.safetensors"),
      ("ir-examples/arithmetic.ir", "programs/arithmetic.ir"), ("scripts/gpu-check", "gpu-check"), ("README.md", "text.txt"),
    ] + ["names", "pairs", "report", "support"].map { ("benchmarks/gpu_\($0).py", "benchmarks/gpu_\($0).py") }
    for (from, to) in files { try FileManager.default.copyItem(atPath: Self.root + "/" + from, toPath: scratch.path(to)) }
    let config = try scratch.file("config.json", Self.configuration)
    let training = ["train", config, "--data", scratch.path("text.txt"), "--steps", "2", "--batch", "4", "--length", "64"]
    let once = ["--validate-every", "0", "--checkpoint-every", "0", "--backend", "cuda-emulated"]
    try Command.millrace(training + once + ["--out", scratch.path("reference")])
    try FileManager.default.copyItem(atPath: scratch.path("reference/log.jsonl"), toPath: scratch.path("curve-cpu.jsonl"))

    let arguments = ["--out", scratch.path("out"), "--steps", "2", "--workloads", "none"]
    let prefix = fake.environment(["FAKE_CUDA_MEMORY": "\(256 << 20)"])
    let run = try Command.run("gpu-check", arguments, in: scratch.folder, prefix: prefix)
    #expect(run.status == 0, "\(run.output)\(run.errors)")
    #expect(run.output.contains("gpu 0: Fake GPU") && run.output.contains("1 of 1 passed"))
    let results = try JSON(file: scratch.path("out/results.json"))
    #expect(try results.required("curve").required("steps").int() == 2)

    // On a GPU that does not work it says so in one sentence.
    let lost = try Command.run(
      "gpu-check", arguments, in: scratch.folder, prefix: fake.environment(["FAKE_CUDA_FAULT": "kernel:1"]))
    #expect(lost.status == 1 && lost.output.isEmpty)
    #expect(lost.errors.contains("an illegal memory access was encountered"), "\(lost.errors)")
  }

  @Test("with --check-launches the launch at fault is named, with its line in the model")
  func checkedTraining() throws {
    let scratch = try Scratch()
    let fake = try FakeCUDA()
    let failed = try train(scratch, "run", on: fake, ["--check-launches"], ["FAKE_CUDA_FAULT": "kernel:20"])
    #expect(failed.status == 1)
    let located = /\.swift:\d+:\d+: error: @\w+ of @train_step on Fake GPU: CUDA cannot finish a stream/
    #expect(failed.errors.contains(located), "\(failed.errors)")
  }
}
