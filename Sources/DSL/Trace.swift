import IR

/// Writes down, as a function, what model code computes with its tensors.
///
/// Model code needs no `try`: the first error is kept, every tensor made after it is *poisoned* and traces nothing,
/// and `finish` throws the error with the model's own line. One trace belongs to one thread.
public final class Trace {
  private var builder: FunctionBuilder
  private var locations: [Location] = []
  private var scopes: [String] = []
  private var registered: [String: (declaration: Parameter, tensor: Tensor)] = [:]

  /// The first error; once there is one, nothing more is traced.
  public private(set) var diagnostic: Diagnostic?
  /// The parameters used so far under their full names, in order of first use.
  public private(set) var parameters: [Parameter] = []
  /// The values that model code points out and somebody asked for, in the order of the model.
  public private(set) var observations: [(name: String, tensor: Tensor)] = []
  private let isObserved: (String) -> Bool
  /// What the tables of the model are stored as.
  private let tables: DType
  /// The next values of buffers, under their full names.
  public private(set) var updates: [(name: String, tensor: Tensor)] = []
  private var records: [Any] = []
  /// How many residual sites were traced: the number of the next one.
  var sites = 0

  /// - Parameters:
  ///   - isObserved: which of the names that model code gives to values inside it are asked for.
  ///   - tables: what tables of floats are stored as; rows are widened as they are read.
  public init(
    name: String, observing isObserved: @escaping (String) -> Bool = { _ in false }, tables: DType = .f32
  ) {
    builder = FunctionBuilder(name: name)
    self.isObserved = isObserved
    self.tables = tables
  }

  /// Goes on where another trace, or a pass, left a function; its results are no longer results.
  public init(continuing function: Function) {
    builder = FunctionBuilder(function)
    isObserved = { _ in false }
    tables = .f32
    builder.function.results = []
    builder.function.resultNames = []
    builder.function.donations = [:]
  }

  /// The value of the function this trace continues.
  public func tensor(_ value: Value) -> Tensor {
    Tensor(trace: self, type: builder.function.type(of: value), value: diagnostic == nil ? value : nil)
  }

  /// A parameter of the function that is no parameter of the model: what is fed in at every run.
  public func input(_ name: String, _ type: TensorType) -> Tensor {
    guard require(type.isOfReasonableSize, "the input '\(name)' is too large: \(type)") else { return poisoned(type) }
    return Tensor(trace: self, type: type, value: builder.parameter(type, name: name))
  }

  /// The finished function, or the first error.
  public func finish(_ results: [(name: String, tensor: Tensor)]) throws(Diagnostic) -> Function {
    if let diagnostic { throw diagnostic }
    var function = builder.function
    for result in results {
      precondition(result.tensor.trace === self, "the result '\(result.name)' belongs to another trace")
      guard let value = result.tensor.value else { preconditionFailure("a poisoned tensor without an error") }
      function.results.append(value)
      function.resultNames.append(result.name)
    }
    return function
  }
}

// MARK: Errors

extension Trace {
  /// Keeps the error, if it is the first.
  public func fail(_ message: String) {
    if diagnostic == nil { diagnostic = Diagnostic(message, at: location) }
  }

  /// Says whether `condition` holds and nothing failed before; if it does not, that is an error of the model.
  public func require(_ condition: Bool, _ message: @autoclosure () -> String) -> Bool {
    if !condition { fail(message()) }
    return diagnostic == nil
  }

  /// A tensor that stands for what could not be made; its type can be computed with, whatever was asked for.
  func poisoned(_ type: TensorType = TensorType(.f32, [])) -> Tensor {
    Tensor(trace: self, type: type.isOfReasonableSize ? type : TensorType(type.dtype, []), value: nil)
  }
}

// MARK: Operations

extension Trace {
  /// Appends an op with any number of results; on an error, `count` poisoned tensors.
  public func emit(_ op: any TensorOp, _ operands: [Tensor], results count: Int) -> [Tensor] {
    let poison = [Tensor](repeating: poisoned(operands.first?.type ?? TensorType(.f32, [])), count: count)
    guard diagnostic == nil else { return poison }
    var values: [Value] = []
    for operand in operands {
      guard require(operand.trace === self, "'\(op.name)' mixes tensors of two traces") else { return poison }
      guard let value = operand.value else { return poison }
      values.append(value)
    }
    builder.location = location
    do throws(Diagnostic) {
      let results = try builder.emit(op, values).map { tensor($0) }
      for result in results where !result.type.isOfReasonableSize {
        fail("'\(op.name)' makes a tensor that is too large: \(result.type)")
        return poison
      }
      return results
    } catch {
      diagnostic = error
      return poison
    }
  }

  /// Appends an op with one result.
  public func emit(_ op: any TensorOp, _ operands: Tensor...) -> Tensor { emit(op, operands, results: 1)[0] }
}

extension TensorType {
  /// Whether elements and bytes can be counted: fewer than 2⁴⁸ elements and no negative extent.
  var isOfReasonableSize: Bool {
    var count = 1
    for extent in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: max(extent, 1))
      guard extent >= 0, !overflow, product < 1 << 48 else { return false }
      count = product
    }
    return true
  }
}

// MARK: Places and names

extension Trace {
  /// The model line being traced.
  public var location: Location { locations.last ?? .unknown }

  /// Gives what `body` traces a place in the model's source.
  ///
  /// Layers of this library are no place of a model: inside them the line that uses the layer stays.
  public func at<R>(_ file: String, _ line: Int, _ column: Int, _ body: () -> R) -> R {
    let isOurs = file.hasPrefix("DSL/") && location.isKnown
    locations.append(isOurs ? location : Location(file: file, line: line, column: column))
    defer { locations.removeLast() }
    return body()
  }

  /// Puts `name` before the names of the parameters that `body` uses.
  public func scope<R>(_ name: String, _ body: () -> R) -> R {
    guard !name.isEmpty else { return body() }
    scopes.append(name)
    defer { scopes.removeLast() }
    return body()
  }

  /// Names the parameters that `body` uses from the model's root, whatever scopes are around.
  public func unscoped<R>(_ body: () -> R) -> R {
    let around = scopes
    scopes = []
    defer { scopes = around }
    return body()
  }

  /// The tensor of a parameter; its name is the path of the scopes around, then its own.
  ///
  /// Using one name twice is sharing, if both declare the same.
  public subscript(_ local: Parameter) -> Tensor {
    var parameter = local.named((scopes + [local.name]).joined(separator: "."))
    if parameter.isTable, parameter.type.dtype == .f32 { parameter.type = parameter.type.with(tables) }
    if let known = registered[parameter.name] {
      guard require(known.declaration == parameter, "\(parameter) was declared before as \(known.declaration)") else {
        return poisoned(parameter.type)
      }
      return known.tensor
    }
    guard require(parameter.type.isOfReasonableSize, "\(parameter) is too large"),
      require(parameter.hasValuesOfItsShape, "\(parameter) has \(parameter.initial.count ?? 0) initial values")
    else { return poisoned(parameter.type) }
    let tensor = input("param/" + parameter.name, parameter.type)
    registered[parameter.name] = (parameter, tensor)
    parameters.append(parameter)
    return tensor
  }

  /// Points out a value inside the model for those who want to look at it; it is made only if somebody asks.
  ///
  /// Its full name is the path of the scopes around, then its own.
  public func observe(_ local: String, _ value: @autoclosure () -> Tensor) {
    let name = (scopes + [local]).joined(separator: ".")
    if isObserved(name) { observations.append((name, value())) }
  }

  /// Sets what a buffer holds after the program has run; the last of several values stays.
  ///
  /// The program gives it as a result that is named like the parameter.
  public func update(_ local: Parameter, to tensor: Tensor) {
    let name = (scopes + [local.name]).joined(separator: ".")
    guard
      require(local.role == .buffer, "'\(name)' is no buffer and cannot be given a next value"),
      require(tensor.type == local.type, "the next value of '\(name)' is \(tensor.type) instead of \(local.type)")
    else { return }
    updates.removeAll { $0.name == name }
    updates.append((name, tensor))
  }

  /// Keeps what a layer computes besides its output, for whoever put the layer into a model: losses, choices.
  public func record<R>(_ record: R) { records.append(record) }

  /// The records of one type, in the order in which they were made.
  public func records<R>(of type: R.Type) -> [R] { records.compactMap { $0 as? R } }

  /// The number of the next residual site.
  func nextSite() -> Int {
    defer { sites += 1 }
    return sites
  }
}
