import Compiler
import Foundation
import IR
import Models
import Runtime
import Testing

@testable import Training

/// What must hold of a model's folder: all of it is there, or it is said what is not.
@Suite("model folder") struct ModelDirectoryTests {
  private func written(_ scratch: Scratch, _ change: (inout [String: HostTensor]) throws -> Void = { _ in }) throws -> String {
    var tensors = try TinyModel.program.initialTensors(seed: 1)
    try change(&tensors)
    try ModelDirectory.write(TinyModel.json, tensors, to: scratch.path("model"))
    return scratch.path("model")
  }

  @Test("what is written is read; a folder that is there is replaced")
  func roundTrip() throws {
    let scratch = try Scratch()
    _ = try written(scratch) { tensors in tensors.removeAll() }
    let path = try written(scratch)
    let model = try ModelDirectory(path)
    #expect(model.json == TinyModel.json)
    #expect(try model.tensors == TinyModel.program.initialTensors(seed: 1))
    #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder) == ["model"])
  }

  @Test("other float types convert", arguments: [DType.f16, .bf16])
  func conversion(dtype: DType) throws {
    let scratch = try Scratch()
    let path = try written(scratch) { tensors in
      for (name, tensor) in tensors { tensors[name] = try tensor.converted(to: dtype) }
    }
    let model = try ModelDirectory(path)
    let truth = try TinyModel.program.initialTensors(seed: 1)
    for (name, tensor) in model.tensors {
      #expect(tensor.type == truth[name]?.type)
      for (a, b) in zip(tensor.doubles, truth[name]?.doubles ?? []) { #expect(abs(a - b) <= 0.004 * abs(b) + 1e-6) }
    }
  }

  @Test("missing and surplus tensors are named")
  func wrongTensors() throws {
    let scratch = try Scratch()
    let path = try written(scratch) { tensors in
      tensors["norm.weight"] = nil
      tensors["extra"] = try HostTensor(zeros: .f32(2))
      tensors["more"] = try HostTensor(zeros: .f32(2))
    }
    let text = complaint { _ = try ModelDirectory(path) }
    #expect(text.contains("lacks the tensor 'norm.weight'"))
    #expect(text.contains("has 2 tensors ('extra', 'more') that the model does not have"))
  }

  @Test("a tensor of another shape is named with both")
  func wrongShape() throws {
    let scratch = try Scratch()
    let path = try written(scratch) { $0["norm.weight"] = try HostTensor(zeros: .f32(9)) }
    let text = complaint { _ = try ModelDirectory(path) }
    #expect(text.contains("'norm.weight'") && text.contains("[8]") && text.contains("[9]"))
  }

  @Test("a file cut anywhere is an error")
  func truncation() throws {
    let scratch = try Scratch()
    let path = try written(scratch)
    let file = "\(path)/\(ModelDirectory.tensorsName)"
    let bytes = try Data(contentsOf: URL(fileURLWithPath: file))
    for share in [0, 1, 7, 8, 100, bytes.count / 2, bytes.count - 1] {
      try bytes.prefix(share).write(to: URL(fileURLWithPath: file))
      #expect(complaint { _ = try ModelDirectory(path) }.hasPrefix(file))
    }
  }

  @Test("what is no model says why")
  func noModel() throws {
    let scratch = try Scratch()
    #expect(complaint { _ = try ModelDirectory(scratch.path("none")) }.contains("no such folder"))
    #expect(complaint { _ = try ModelDirectory(scratch.folder) }.contains("neither"))
    let file = try scratch.file("file", [])
    #expect(complaint { _ = try ModelDirectory(file) }.contains("a model is a folder"))
    #expect(complaint { try ModelDirectory.write(TinyModel.json, [:], to: file + "/model") }.contains("is no folder"))
  }

  @Test("a run gives outputs and gradients, alike on every backend")
  func running() throws {
    let scratch = try Scratch()
    let model = try ModelDirectory(try written(scratch))
    let ids = try HostTensor(TensorType(.i64, [1, 4]), integers: [1, 2, 3, 4])
    try TensorFile.write(["tokens": ids, "input/targets": ids], to: scratch.path("in.safetensors"))
    let file = try TensorFile(scratch.path("in.safetensors"))
    let truth = try model.run(inputs: file, gradients: true, for: .interpreter)
    #expect(truth["logits"]?.type == .f32(1, 4, 256))
    #expect(truth["grad/param/embed.token.weight"]?.type == .f32(256, 8))
    let found = try model.run(inputs: file, gradients: true, for: TinyModel.fastest)
    #expect(Set(found.keys) == Set(truth.keys))
    for (name, tensor) in truth {
      let scale = max(1, tensor.doubles.map { abs($0) }.max() ?? 1)
      for (a, b) in zip(tensor.doubles, found[name]?.doubles ?? []) { #expect(abs(a - b) < 1e-4 * scale, "\(name)") }
    }
    try TensorFile.write(["token": ids], to: scratch.path("in.safetensors"))
    let wrong = try TensorFile(scratch.path("in.safetensors"))
    #expect(complaint { _ = try model.run(inputs: wrong, gradients: false, for: .interpreter) }.contains("no input 'token'"))
  }
}
