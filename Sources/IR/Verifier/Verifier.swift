/// Checks that a module means something: names are unique, calls find what they call and never themselves, and every
/// function and kernel is right by itself. `places` says where in a text the parts stand.
public func verify(_ module: Module, places: Places = Places()) throws(Diagnostic) {
  var names: Set<String> = []
  for (number, function) in module.functions.enumerated() {
    let verifier = FunctionVerifier(function, module, number < places.functions.count ? places.functions[number] : nil)
    guard names.insert(function.name).inserted else { throw verifier.wrong("a function of this name exists already") }
    try verifier.verify()
  }
  for (number, kernel) in module.kernels.enumerated() {
    var verifier = KernelVerifier(kernel, number < places.kernels.count ? places.kernels[number] : [])
    guard names.insert(kernel.name).inserted else {
      throw verifier.wrong("a kernel or function of this name exists already")
    }
    try verifier.verify()
  }
  try verifyCalls(module, places)
}

/// Checks a function as part of a module.
public func verify(_ function: Function, in module: Module) throws(Diagnostic) {
  try FunctionVerifier(function, module, nil).verify()
}

/// Checks a kernel. Its statements carry no locations; `places` has the header's and then theirs, as a parser found them.
public func verify(_ kernel: Kernel, places: [Location] = []) throws(Diagnostic) {
  var verifier = KernelVerifier(kernel, places)
  try verifier.verify()
}

extension ParsedModule {
  /// Checks the module; a diagnostic shows the line of the text.
  public func verify() throws(Diagnostic) {
    do {
      try IR.verify(module, places: places)
    } catch {
      throw source.showing(error)
    }
  }
}

/// A function that runs itself, through however many others, has no end.
private func verifyCalls(_ module: Module, _ places: Places) throws(Diagnostic) {
  let numbers = Dictionary(module.functions.enumerated().map { ($1.name, $0) }) { first, _ in first }
  let callees = module.functions.map { $0.operations.compactMap { $0.match(Region.self).flatMap { numbers[$0.callee] } } }
  // Functions whose callees are all settled are settled; what is left goes in circles.
  var waiting = callees.map { Set($0) }
  var settled = waiting.indices.filter { waiting[$0].isEmpty }
  var callers = [[Int]](repeating: [], count: callees.count)
  for (caller, callees) in waiting.enumerated() {
    for callee in callees { callers[callee].append(caller) }
  }
  while let function = settled.popLast() {
    for caller in callers[function] {
      waiting[caller].remove(function)
      if waiting[caller].isEmpty { settled.append(caller) }
    }
  }
  guard let circular = waiting.firstIndex(where: { !$0.isEmpty }) else { return }
  let function = module.functions[circular]
  let call = function.operations.first {
    ($0.op as? Region).flatMap { numbers[$0.callee] }.map(waiting[circular].contains) == true
  }
  throw Diagnostic("@\(function.name) runs itself", at: call?.location ?? .unknown)
}
