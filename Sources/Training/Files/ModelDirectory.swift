import DSL
import Foundation
import IR
import Models
import Runtime

/// A model as a folder: `config.json`, and `model.safetensors` with every tensor of the model and nothing else.
public struct ModelDirectory {
  public let path: String
  public let json: JSON
  public let program: Program
  public let tensors: [String: HostTensor]

  public static let configurationName = "config.json"
  public static let tensorsName = "model.safetensors"

  /// Reads a model's folder, or the newest checkpoint of a training run's.
  ///
  /// - Parameter mode: takes the place of the configuration's own.
  public init(_ given: String, mode: Configuration.Mode? = nil) throws(Diagnostic) {
    path = try Self.locate(given)
    json = try JSON(file: "\(path)/\(Self.configurationName)")
    let file = try TensorFile("\(path)/\(Self.tensorsName)")
    let model = try Program(try Configuration(json, mode: mode))
    program = try Program(model.configuration, tables: model.storedTables(in: file))
    tensors = try program.tensors(from: file)
  }

  private static func locate(_ given: String) throws(Diagnostic) -> String {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: given, isDirectory: &isFolder) else {
      throw Diagnostic("\(given): there is no such folder")
    }
    guard isFolder.boolValue else { throw Diagnostic("\(given): a model is a folder with \(configurationName) and \(tensorsName)") }
    if exists("\(given)/\(configurationName)") { return given }
    if let newest = Checkpoints(in: given).newest { return newest.path }
    throw Diagnostic("\(given): is no model: there is neither a \(configurationName) nor a checkpoint")
  }

  /// Writes a model's folder, whole or not at all; one that is there is replaced.
  public static func write(
    _ json: JSON, _ tensors: [String: HostTensor], _ tokenizer: Tokenizer = .bytes, to path: String
  ) throws(Diagnostic) {
    let folder = try StagedFolder(path)
    try writeFiles(json, tensors, tokenizer, in: folder)
    try folder.commit(replacing: true)
  }

  static func writeFiles(
    _ json: JSON, _ tensors: [String: HostTensor], _ tokenizer: Tokenizer, in folder: borrowing StagedFolder
  ) throws(Diagnostic) {
    try AtomicFile.write(json.text(pretty: true) + "\n", to: folder.path(of: configurationName))
    try TensorFile.write(tensors, to: folder.path(of: tensorsName))
    if case .bytePairs(let tokenizer) = tokenizer {
      try AtomicFile.write(
        String(decoding: tokenizer.file, as: UTF8.self), to: folder.path(of: BytePairTokenizer.fileName))
    }
  }
}

extension Program {
  /// Every tensor of the model from a file that has them all, converted to the model's types.
  public func tensors(from file: TensorFile) throws(Diagnostic) -> [String: HostTensor] {
    let wanted = Set(parameters.map(\.name))
    let missing = parameters.map(\.name).filter { file.entry($0) == nil }
    let surplus = file.names.filter { !wanted.contains($0) }
    var problems: [String] = []
    if !missing.isEmpty { problems.append("lacks \(named(missing)) of the model") }
    if !surplus.isEmpty { problems.append("has \(named(surplus)) that the model does not have") }
    guard problems.isEmpty else { throw Diagnostic("\(file.path): \(problems.joined(separator: " and "))") }
    var tensors: [String: HostTensor] = [:]
    for parameter in parameters { tensors[parameter.name] = try file.tensor(parameter.name, as: parameter.type) }
    return tensors
  }

  /// What a file stores the model's tables as: tables that are all bf16 or f16 there stay so, others become f32.
  fileprivate func storedTables(in file: TensorFile) -> DType {
    let found = Set(parameters.filter(\.isTable).compactMap { file.entry($0.name)?.format.dtype })
    return found.count == 1 && (found.contains(.bf16) || found.contains(.f16)) ? found.first ?? .f32 : .f32
  }

  /// `the tensor 'a'`, `3 tensors ('a', 'b', 'c')`; of many the first.
  private func named(_ names: [String]) -> String {
    if names.count == 1 { return "the tensor '\(names[0])'" }
    let shown = names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
    return "\(names.count) tensors (\(shown)\(names.count > 8 ? ", …" : ""))"
  }
}
