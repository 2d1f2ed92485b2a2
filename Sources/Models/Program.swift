import DSL
import IR
import Runtime

/// A network, or a part of one, that a configuration describes: from named inputs to named outputs.
protocol Architecture: Sendable {
  var inputs: [ProgramInput] { get }
  /// Whether what it says of a position depends on nothing after it.
  var isCausal: Bool { get }
  /// How a new model chooses gains that depend on its other tensors.
  func calibrations() throws(Diagnostic) -> [Calibration]
  /// Traces the outputs. An optional input is there or not.
  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)]
}

extension Architecture {
  var isCausal: Bool { true }
  func calibrations() throws(Diagnostic) -> [Calibration] { [] }
}

/// An input of a program: its name, element type and axes.
public struct ProgramInput: Sendable, Hashable {
  public enum Axis: Sendable, Hashable {
    case fixed(Int)
    /// Axes of one name have one extent.
    case free(String, least: Int = 1)
    /// Any number of axes; only in front.
    case anyAxes
  }

  public var name: String
  public var dtype: DType
  public var axes: [Axis]
  public var isOptional: Bool
  /// What integers are below: a vocabulary, a number of classes. Negative ones are left to the model.
  public var limit: Int?

  public init(_ name: String, _ dtype: DType = .f32, _ axes: [Axis], isOptional: Bool = false, below limit: Int? = nil) {
    self.name = name
    self.dtype = dtype
    self.axes = axes
    self.isOptional = isOptional
    self.limit = limit
  }
}

/// A model or single block made from its configuration alone.
public struct Program: Sendable {
  public let configuration: Configuration
  /// Every tensor of the model, parameters and buffers, under its name.
  public let parameters: [Parameter]
  /// What tables of rows are stored as.
  public let tables: DType

  /// - Parameter tables: what tables of rows are stored as: f32, or a shorter float that is widened where it is read.
  public init(_ configuration: Configuration, tables: DType = .f32) throws(Diagnostic) {
    self.configuration = configuration
    self.tables = tables
    let trace = Trace(name: "forward", tables: tables)
    let smallest = configuration.architecture.inputs.map { ($0.name, $0.smallest) }
    _ = try Program.results(of: configuration, smallest, in: trace)
    parameters = trace.parameters
  }

  public var inputs: [ProgramInput] { configuration.architecture.inputs }

  /// The least types of the inputs that must be there.
  public var smallestInputs: [String: TensorType] {
    Dictionary(uniqueKeysWithValues: inputs.filter { !$0.isOptional }.map { ($0.name, $0.smallest) })
  }

  /// Whether a language model's logits at a position depend on nothing after it.
  public var isCausal: Bool { configuration.architecture.isCausal }

  /// The function from the model's tensors (`param/NAME`) and inputs (`input/NAME`) to its outputs and, as
  /// `param/NAME`, the next values of its buffers.
  ///
  /// - Parameter isObserved: which of the values that the model points out become outputs as well (`observed/NAME`).
  public func trace(
    inputs given: [String: TensorType], observing isObserved: @escaping (String) -> Bool = { _ in false }
  ) throws(Diagnostic) -> Function {
    try check(given)
    let trace = Trace(name: "forward", observing: isObserved, tables: tables)
    let ordered = inputs.compactMap { input in given[input.name].map { (input.name, $0) } }
    let results = try Program.results(of: configuration, ordered, in: trace)
    return try trace.finish(results + trace.observations.map { (ValueNames.observed($0.name), $0.tensor) })
  }

  private static func results(
    of configuration: Configuration, _ inputs: [(String, TensorType)], in trace: Trace
  ) throws(Diagnostic) -> [(name: String, tensor: Tensor)] {
    var tensors: [String: Tensor] = [:]
    for (name, type) in inputs { tensors[name] = trace.input("input/" + name, type) }
    let results = configuration.architecture.outputs(of: tensors, in: trace)
    if let diagnostic = trace.diagnostic { throw diagnostic }
    return results + trace.updates.map { (ValueNames.parameter($0.name), $0.tensor) }
  }
}

// MARK: Inputs

extension Program {
  /// Holds the types of inputs to what the program takes.
  private func check(_ given: [String: TensorType]) throws(Diagnostic) {
    for name in given.keys.sorted() where !inputs.contains(where: { $0.name == name }) {
      let names = inputs.map(\.name).joined(separator: ", ")
      throw Diagnostic("there is no input '\(name)'; the program takes \(names)")
    }
    var extents: [String: Int] = [:]
    for input in inputs {
      guard let type = given[input.name] else {
        if input.isOptional { continue }
        throw Diagnostic("the input '\(input.name)' \(input) is missing")
      }
      guard type.dtype == input.dtype, type.rows == nil, input.accepts(type.shape, &extents) else {
        throw Diagnostic("the input '\(input.name)' wants \(input), got \(type)")
      }
    }
  }
}

extension Program {
  /// Holds the integers of an input's value below its limit.
  public func check(_ value: HostTensor, for name: String) throws(Diagnostic) {
    guard let input = inputs.first(where: { $0.name == name }), let limit = input.limit, value.type.dtype == .i64 else { return }
    guard let wrong = value.integers.firstIndex(where: { $0 >= Int64(limit) }) else { return }
    let found = value.integers[wrong]
    throw Diagnostic("the input '\(name)' wants ids below \(limit), got \(found) at element \(wrong)")
  }
}

extension ProgramInput: CustomStringConvertible {
  /// `i64[B, T]`
  public var description: String {
    let axes = axes.map { axis in
      switch axis {
      case .fixed(let extent): "\(extent)"
      case .free(let name, let least): least > 1 ? "\(name) ≥ \(least)" : name
      case .anyAxes: "…"
      }
    }
    return "\(dtype.rawValue)[\(axes.joined(separator: ", "))]"
  }

  fileprivate func accepts(_ shape: [Int], _ extents: inout [String: Int]) -> Bool {
    let open = axes.first == .anyAxes
    let named = open ? Array(axes.dropFirst()) : axes
    guard open ? shape.count >= named.count : shape.count == named.count else { return false }
    for (axis, extent) in zip(named, shape.suffix(named.count)) {
      switch axis {
      case .fixed(let wanted): guard extent == wanted else { return false }
      case .free(let name, let least):
        guard extent >= least, extents[name] ?? extent == extent else { return false }
        extents[name] = extent
      case .anyAxes: return false
      }
    }
    return true
  }

  /// The least type that the input may have.
  fileprivate var smallest: TensorType {
    let extents = axes.compactMap { axis in
      switch axis {
      case .fixed(let extent): extent
      case .free(_, let least): least
      case .anyAxes: Int?.none
      }
    }
    return TensorType(dtype, extents)
  }
}
