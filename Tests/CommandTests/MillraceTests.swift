import Foundation
import IR
import Runtime
import Testing
import Training

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

  @Test("a tokenizer is learnt, trained with and sampled with; it stays with the model")
  func tokenizer() throws {
    let scratch = try Scratch()
    let (text, tokenizer) = (try scratch.file("text", Self.text), scratch.path("tokenizer.json"))
    let learnt = try Command.millrace(["tokenizer", "--data", text, "--vocabulary", "280", "--out", tokenizer])
    #expect(learnt.status == 0 && learnt.output == "\(tokenizer): 280 tokens\n", "\(learnt)")
    let config = try scratch.file("config.json", Self.model.replacing("256", with: "280"))
    let arguments = [
      "train", config, "--data", text, "--tokenizer", tokenizer, "--out", scratch.path("run"), "--batch", "2", "--length",
      "8", "--backend", Self.backend, "--steps",
    ]
    let first = try Command.millrace(arguments + ["2"])
    #expect(first.status == 0, "\(first.errors)")
    let kept = scratch.path("run/step-00000002/tokenizer.json")
    #expect(FileManager.default.contentsEqual(atPath: kept, andPath: tokenizer))
    // Without being named again, it is taken from the checkpoint.
    let resumed = try Command.millrace(arguments.filter { !$0.hasSuffix("tokenizer.json") && $0 != "--tokenizer" } + ["3", "--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    let sample = try Command.millrace(
      ["sample", scratch.path("run"), "--prompt", "Grain by", "--length", "5", "--backend", Self.backend])
    #expect(sample.status == 0 && sample.output.hasPrefix("Grain by"), "\(sample.errors)")
    let small = try Command.millrace(arguments.map { $0 == config ? scratch.path("small.json") : $0 } + ["2"])
    #expect(small.errors.contains("small.json: cannot be opened"))
    _ = try scratch.file("small.json", Self.model)
    let few = try Command.millrace(arguments.map { $0 == config ? scratch.path("small.json") : $0 == "\(scratch.path("run"))" ? scratch.path("few") : $0 } + ["2"])
    #expect(few.errors.contains("its tokens want a vocabulary of at least 280, the model has 256"), "\(few.errors)")
  }

  @Test("ids from a file are trained on, and one that the model does not have is named with its place")
  func ids() throws {
    let scratch = try Scratch()
    let file = URL(fileURLWithPath: scratch.path("ids.bin"))
    var bytes: [UInt8] = (0..<400).flatMap { [UInt8($0 % 251), 0] }
    try Data(bytes).write(to: file)
    let arguments = [
      "train", try scratch.file("config.json", Self.model), "--data", file.path, "--ids", "u16", "--steps", "2", "--batch",
      "2", "--length", "8", "--backend", Self.backend, "--out",
    ]
    let run = try Command.millrace(arguments + [scratch.path("run")])
    #expect(run.status == 0, "\(run.errors)")
    let sample = try Command.millrace(
      ["sample", scratch.path("run"), "--prompt", "7 8", "--length", "3", "--backend", Self.backend])
    #expect(sample.status == 0 && sample.output.hasPrefix("7 8"), "\(sample.errors)")
    let numbers = sample.output.dropFirst(3).split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
    #expect(numbers.count == 3 && numbers.allSatisfy { $0 < 256 }, "\(sample.output)")
    bytes[301] = 1
    try Data(bytes).write(to: file)
    let wrong = try Command.millrace(arguments + [scratch.path("other")])
    #expect(wrong.status == 1)
    #expect(wrong.errors.contains("ids.bin: the id 406 at byte 300 is none of the model's 256"), "\(wrong.errors)")
  }

  @Test("images are trained on, and a picture of new ones is written")
  func images() throws {
    let scratch = try Scratch()
    for (name, level) in [("dark/a", 30), ("dark/b", 60), ("light/a", 220), ("light/b", 190)] as [(String, UInt8)] {
      let folder = URL(fileURLWithPath: scratch.path("set/\(name)")).deletingLastPathComponent()
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try PNG.write(Raster(width: 4, height: 4, channels: 1, grey: level), to: scratch.path("set/\(name).png"))
    }
    let model = """
      {"architecture": "diffusion-transformer", "image": 4, "channels": 1, "patch": 2, "width": 8, "layers": 1, "heads": 2,
       "classes": 2, "frequency_width": 8, "feed_forward": {"hidden": 8}}
      """
    let arguments = [
      "train", try scratch.file("config.json", model), "--data", scratch.path("set"), "--out", scratch.path("run"), "--batch",
      "2", "--backend", Self.backend, "--steps",
    ]
    let run = try Command.millrace(arguments + ["3"])
    #expect(run.status == 0 && run.errors.contains("images/s"), "\(run.errors)")
    let other = try Command.millrace(arguments + ["4", "--resume", "--label-dropout", "0.5"])
    #expect(other.errors.contains("--label-dropout 0.1, got 0.5"), "\(other.errors)")
    let resumed = try Command.millrace(arguments + ["4", "--resume"])
    #expect(resumed.status == 0, "\(resumed.errors)")
    let sample = try Command.millrace([
      "sample", scratch.path("run"), "--out", scratch.path("grid.png"), "--per-class", "3", "--sample-steps", "2",
      "--backend", Self.backend,
    ])
    #expect(sample.status == 0 && sample.errors.contains("6 images"), "\(sample.errors)")
    let picture = try PNG.read(scratch.path("grid.png"))
    #expect(picture.width == 3 * 33 + 1 && picture.height == 2 * 33 + 1)
    let wrong = try Command.millrace(["sample", scratch.path("run"), "--sampler", "euler", "--backend", Self.backend])
    #expect(wrong.errors.contains("wants sampling of kind \"ddim\" or \"ddpm\", got \"euler\""), "\(wrong.errors)")
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
    ["sample", "m", "--temperature", "-1"], ["demo", "--steps", "0"], ["run", "m"], ["reproduce", "nothing"],
    ["reproduce", "ultramem", "--seeds", "0"],
    ["tokenizer", "--data", "d", "--vocabulary", "9"], ["train", "c", "--data", "d", "--ids", "u16", "--separator", "x"],
    ["train", "c", "--data", "d", "--recompute", "0"], ["train", "c", "--data", "d", "--threads", "0"],
  ])
  func usage(arguments: [String]) throws {
    let run = try Command.millrace(arguments)
    #expect(run.status == 64)
    #expect(run.errors.contains("Usage: millrace"))
    #expect(run.output.isEmpty)
  }

  @Test("check answers cases, and writes results into a folder that it makes")
  func check() throws {
    let scratch = try Scratch()
    let golden = ReadmeTests.package.appendingPathComponent("Tests/Cases/block-rmsnorm.safetensors").path
    let folder = scratch.path("results/interpreter")
    let run = try Command.millrace(["check", golden, "--backend", "interpreter", "--results", folder])
    #expect(run.status == 0 && run.output.hasSuffix("1 passed, 0 failed\n"), "\(run)")
    #expect(try CaseFile(golden).compare(resultFile: folder + "/block-rmsnorm.safetensors").passed)
  }

  @Test("every subcommand explains itself", arguments: ["train", "sample", "run", "check", "tokenizer", "demo", "reproduce"])
  func help(name: String) throws {
    let run = try Command.millrace([name, "--help"])
    #expect(run.status == 0)
    #expect(run.output.hasPrefix("OVERVIEW: ") && run.output.contains("USAGE: millrace \(name)"))
  }
}
