import Foundation
import IR
import Runtime
import Testing

/// `millrace` as its users meet it: what it prints, where, and with what code it ends.
@Suite("millrace") struct MillraceTests {
  static let model = """
    {"architecture": "language-model", "vocabulary": 256, "width": 8, "layers": 1, "heads": 2,
     "feed_forward": {"hidden": 12}, "optimizer": {"learning_rate": 0.01}}
    """
  static let text = String(repeating: "Grain by grain the millstones turn it into flour. ", count: 60)

  #if LLVM
    static let backend = "cpu"
  #else
    static let backend = "interpreter"
  #endif

  /// The arguments of a small training run in a folder.
  private func training(_ scratch: Scratch, steps: Int) throws -> [String] {
    [
      "train", try scratch.file("config.json", Self.model), "--data", try scratch.file("text", Self.text), "--out",
      scratch.path("run"), "--steps", "\(steps)", "--batch", "2", "--length", "8", "--backend", Self.backend,
    ]
  }

  @Test("train, go on, sample and run")
  func wholeWay() throws {
    let scratch = try Scratch()
    let first = try Command.millrace(training(scratch, steps: 3))
    #expect(first.status == 0, "\(first.errors)")
    #expect(first.errors.contains("saved \(scratch.path("run"))/step-00000003"))
    let again = try Command.millrace(training(scratch, steps: 5))
    #expect(again.status == 1)
    #expect(again.errors.hasPrefix("error: ") && again.errors.contains("--resume"))
    let resumed = try Command.millrace(training(scratch, steps: 5) + ["--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    let other = try Command.millrace(training(scratch, steps: 6) + ["--resume", "--seed", "9"])
    #expect(other.errors.contains("--seed 1, got 9"))

    let sampling = ["sample", scratch.path("run"), "--prompt", "Grain", "--length", "9", "--backend", Self.backend]
    let sample = try Command.millrace(sampling)
    #expect(sample.status == 0, "\(sample.errors)")
    #expect(sample.output.hasPrefix("Grain"))
    #expect(try Command.millrace(sampling).output == sample.output)

    let ids = try HostTensor(TensorType(.i64, [1, 4]), integers: [1, 2, 3, 4])
    try TensorFile.write(["tokens": ids, "targets": ids], to: scratch.path("in"))
    let run = try Command.millrace([
      "run", scratch.path("run"), "--inputs", scratch.path("in"), "--outputs", scratch.path("out"), "--gradients",
      "--backend", Self.backend,
    ])
    #expect(run.status == 0, "\(run.errors)")
    #expect(run.output.contains("loss = ") && run.output.contains("logits f32[1, 4, 256]"))
    #expect(try TensorFile(scratch.path("out")).entry("grad/param/norm.weight")?.shape == [8])
  }

  @Test("a signal ends a run after its step, saved, with code 130")
  func termination() throws {
    let scratch = try Scratch()
    let log = scratch.path("run/log.jsonl")
    let run = try Command.millrace(training(scratch, steps: 1 << 30), terminatedWhenThereIs: log)
    #expect(run.status == 130)
    #expect(run.errors.contains("interrupted at step"))
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path("run"))
    #expect(names.contains { $0.hasPrefix("step-") } && !names.contains { $0.hasPrefix(".") })
  }

  @Test("no room for a checkpoint is one clear error; the last checkpoint stays")
  func fullDisk() throws {
    let scratch = try Scratch()
    try Command.millrace(training(scratch, steps: 1))
    // Files of at most 8 blocks stand for a full disk: a log fits, the tensors do not.
    let limit = "trap '' XFSZ; ulimit -f 8;"
    let run = try Command.millrace(
      training(scratch, steps: 2) + ["--resume"], prefix: "MILLRACE_CACHE=off; export MILLRACE_CACHE; \(limit)")
    #expect(run.status == 1)
    #expect(run.errors.contains("error: ") && run.errors.contains("cannot be written after"), "\(run.errors)")
    let names = try FileManager.default.contentsOfDirectory(atPath: scratch.path("run")).sorted()
    #expect(names == ["log.jsonl", "step-00000001"])
    let sample = try Command.millrace(["sample", scratch.path("run"), "--length", "1", "--backend", Self.backend])
    #expect(sample.status == 0)
  }

  @Test("what is wrong with the files of a run is said where it is")
  func badFiles() throws {
    let scratch = try Scratch()
    func train(config: String, data: String) throws -> String {
      let run = try Command.millrace(["train", config, "--data", data, "--out", scratch.path("run"), "--backend", Self.backend])
      #expect(run.status == 1)
      #expect(!run.errors.contains("Fatal"))
      return run.errors
    }
    let (good, text) = (try scratch.file("good.json", Self.model), try scratch.file("text", Self.text))
    #expect(try train(config: good, data: scratch.path("none")).contains("No such file"))
    #expect(try train(config: scratch.path("none"), data: text).contains("No such file"))
    let misspelt = try scratch.file("bad.json", Self.model.replacingOccurrences(of: "heads", with: "haeds"))
    #expect(try train(config: misspelt, data: text).contains("bad.json:1:"))
    let broken = try scratch.file("broken.json", "{\"architecture\": ")
    #expect(try train(config: broken, data: text).contains("broken.json:1:"))
    #expect(try train(config: good, data: try scratch.file("short", "abc")).contains("windows of 256"))
    #expect(!FileManager.default.fileExists(atPath: scratch.path("run")))
  }

  @Test("wrong arguments are usage errors", arguments: [
    ["train"], ["train", "c", "--data", "d", "--batch", "0"], ["train", "c", "--data", "d", "--steps", "-1"],
    ["sample", "m", "--temperature", "-1"], ["demo", "--steps", "0"], ["run", "m"], ["train", "c", "--data", "d", "--threads", "0"],
  ])
  func usage(arguments: [String]) throws {
    let run = try Command.millrace(arguments)
    #expect(run.status == 64)
    #expect(run.errors.contains("Usage: millrace"))
    #expect(run.output.isEmpty)
  }

  @Test("every subcommand explains itself", arguments: ["train", "sample", "run", "check", "demo"])
  func help(name: String) throws {
    let run = try Command.millrace([name, "--help"])
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("OVERVIEW: ") && run.output.contains("USAGE: millrace \(name)"))
  }
}
