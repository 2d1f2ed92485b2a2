extension Module {
  /// What a function takes, with everything it runs. The module is one that the verifier accepts.
  public func cost(of function: Function) -> Cost {
    var counter = FunctionCounter(self)
    return counter.cost(of: function)
  }
}

/// What one operation takes.
private struct Work {
  /// Bytes touched of each operand.
  var read: [Double]
  var written: Double
  var flops: Double
  var launches = 1
  /// The result is the operand's memory in another shape: nothing is done.
  var isView = false

  var cost: Cost {
    Cost(
      bytesRead: saturated(read.reduce(0, +)), bytesWritten: saturated(written), flops: saturated(flops),
      launches: launches)
  }
}

/// Counts functions; regions that are run several times are counted once.
private struct FunctionCounter {
  private let module: Module
  private var regions: [String: Work] = [:]
  /// Guards against functions that run themselves, which the verifier refuses.
  private var running: Set<String> = []

  init(_ module: Module) { self.module = module }

  mutating func cost(of function: Function) -> Cost {
    var cost = Cost()
    for operation in function.operations {
      let work = self.work(of: operation, in: function)
      if !work.isView { cost += work.cost }
    }
    return cost
  }

  private mutating func work(of operation: Operation, in function: Function) -> Work {
    let operands = operation.operands.map { function.type(of: $0) }
    let results = operation.results.map { function.type(of: $0) }
    var work: Work
    if let region = operation.op as? Region {
      work = self.work(of: region)
    } else if let launch = operation.op as? Launch, let kernel = module.kernel(named: launch.callee) {
      work = Self.work(of: kernel, operands)
    } else {
      switch operation.op.lower(operands) {
      case .formula(let formula) where results.count == 1:
        let source = CountingSource(formula, operands, results[0])
        work = Work(
          read: zip(source.touched, operands).map { $0 * Double($1.dtype.size) }, written: results[0].size,
          flops: source.flops, isView: source.isView)
      case .kernel(let make): work = Self.work(of: make(), operands)
      case .formula, .none:
        work = Work(read: operands.map(\.size), written: results.reduce(0) { $0 + $1.size }, flops: 0)
      }
    }
    // A value that is an operand twice is read once.
    for (number, operand) in operation.operands.enumerated() where number < work.read.count {
      let first = operation.operands.firstIndex(of: operand) ?? number
      if first < number { work.read[first] += work.read[number] }
      if first < number { work.read[number] = 0 }
      work.read[first] = min(work.read[first], operands[number].size)
    }
    return work
  }

  /// A region touches of its parameters what its operations touch of them, and keeps to itself what passes between them.
  private mutating func work(of region: Region) -> Work {
    if let known = regions[region.callee] { return known }
    guard let callee = module.function(named: region.callee), running.insert(region.callee).inserted else {
      return Work(read: region.parameters.map(\.size), written: region.results.reduce(0) { $0 + $1.size }, flops: 0)
    }
    defer { running.remove(region.callee) }
    var work = Work(read: callee.parameters.map { _ in 0 }, written: 0, flops: 0)
    /// The parameter whose memory a value is.
    var parameter: [Value: Int] = [:]
    for (number, value) in callee.parameters.enumerated() { parameter[value] = number }
    for operation in callee.operations {
      let part = self.work(of: operation, in: callee)
      if part.isView {
        parameter[operation.results[0]] = parameter[operation.operands[0]]
        continue
      }
      work.flops += part.flops
      for (operand, read) in zip(operation.operands, part.read) {
        if let number = parameter[operand] { work.read[number] += read }
      }
    }
    for (number, value) in callee.parameters.enumerated() {
      work.read[number] = min(work.read[number], callee.type(of: value).size)
    }
    work.written = callee.results.reduce(0) { $0 + callee.type(of: $1).size }
    regions[region.callee] = work
    return work
  }

  private static func work(of kernel: Kernel, _ operands: [TensorType]) -> Work {
    let traffic = KernelTraffic(kernel)
    var read = operands.map { _ in 0.0 }
    var (own, written) = (0.0, 0.0)
    for (number, buffer) in kernel.buffers.enumerated() where buffer.role != .local {
      if number < read.count { read[number] = traffic.bytesRead(number) } else { own += traffic.bytesRead(number) }
      written += traffic.bytesWritten(number)
    }
    // What it reads of its own workspace comes beside the operands.
    return Work(read: read + [own], written: written, flops: traffic.flops)
  }
}

extension TensorType {
  /// Bytes, as counts are added.
  fileprivate var size: Double { Double(bytes) }
}
