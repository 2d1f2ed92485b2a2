import IR

/// cuBLASLt on a GPU.
public final class CUDAProducts: @unchecked Sendable {
  let device: CUDADevice
  let library: CUBLASLt
  let handle: CUBLASLt.Handle

  /// Throws in one sentence where the library is missing.
  public init(on device: CUDADevice) throws(Diagnostic) {
    let library = try CUBLASLt(from: device.places)
    try device.makeCurrent()
    var handle: CUBLASLt.Handle?
    try library.check(library.create(&handle), "start on \(device.name)")
    guard let handle else { throw Diagnostic("cuBLASLt gives no handle") }
    (self.device, self.library, self.handle) = (device, library, handle)
  }

  deinit {
    if (try? device.makeCurrent()) != nil { _ = library.destroy(handle) }
  }
}

/// A product that is ready to be put into a stream: its descriptors, and the algorithm that the library chose.
public final class CUDAProduct: @unchecked Sendable {
  private let product: LibraryProduct
  private let products: CUDAProducts
  private var descriptors: [(handle: CUBLASLt.Handle, destroy: CUBLASLt.Destroy)] = []
  private var algorithm = [UInt64](repeating: 0, count: CUBLASLt.HeuristicResult.algorithmBytes / 8)
  /// Bytes of memory in which parts of sums are added up.
  public private(set) var workspaceBytes = 0
  /// The most bytes that an algorithm may ask for; as many as NVIDIA's own default on sm_90.
  private static let mostWorkspaceBytes = 32 << 20

  /// Chooses an algorithm.
  /// - Parameter alignment: bytes to which all addresses that `run` gets are aligned.
  public init(_ product: LibraryProduct, on products: CUDAProducts, alignment: Int = 64) throws(Diagnostic) {
    (self.product, self.products) = (product, products)
    let library = products.library
    try products.device.makeCurrent()
    guard let scale = CUBLASLt.code(of: .f32) else { return }
    let compute: CUBLASLt.Compute = product.allowsTF32 && product.a.dtype == .f32 ? .tf32 : .f32
    let descriptor = try make("describe a product", library.productDestroy) {
      library.productCreate($0, compute.rawValue, scale)
    }
    let transposes: [(CUBLASLt.ProductAttribute, Bool)] = [
      (.transposesA, product.a.isTransposed), (.transposesB, product.b.isTransposed),
    ]
    for (attribute, isTransposed) in transposes {
      try set(library.productSet, descriptor, attribute.rawValue, Int32(isTransposed ? 1 : 0))
    }
    let (a, b, d) = (try layout(product.a), try layout(product.b), try layout(product.d))
    let preference = try make("state a preference", library.preferenceDestroy) { library.preferenceCreate($0) }
    func prefer(_ what: CUBLASLt.Preference, _ value: some FixedWidthInteger) throws(Diagnostic) {
      try set(library.preferenceSet, preference, what.rawValue, value)
    }
    try prefer(.workspaceBytes, UInt64(CUDAProduct.mostWorkspaceBytes))
    try prefer(.reductions, CUBLASLt.deterministicReduction)
    try prefer(.alignmentA, UInt32(CUDAProduct.alignment(of: product.a, alignment)))
    try prefer(.alignmentB, UInt32(CUDAProduct.alignment(of: product.b, alignment)))
    try prefer(.alignmentC, UInt32(CUDAProduct.alignment(of: product.d, alignment)))
    try prefer(.alignmentD, UInt32(CUDAProduct.alignment(of: product.d, alignment)))
    try choose(descriptor, a, b, d, preference)
  }

  deinit {
    for (handle, destroy) in descriptors { _ = destroy(handle) }
  }

  /// Puts the product into a stream; `address` tells where a buffer of the kernel starts, and at `workspace`, a multiple
  /// of 256, are `workspaceBytes` that nothing else uses at that time.
  public func run(_ address: (BufferID) -> UInt64, workspace: UInt64, on stream: CUDAStream) throws(Diagnostic) {
    let library = products.library
    try products.device.makeCurrent()
    let alpha: Float = 1
    let beta: Float = product.accumulates ? 1 : 0
    let (descriptor, a, b, d) = (descriptors[0].handle, descriptors[1].handle, descriptors[2].handle, descriptors[3].handle)
    func place(_ operand: LibraryProduct.Operand, _ offset: Int) -> UInt64 {
      address(operand.buffer) + UInt64(offset * operand.dtype.size)
    }
    for offsets in product.callOffsets {
      let into = place(product.d, offsets.d)
      let status = library.multiply(
        products.handle, descriptor, [alpha], place(product.a, offsets.a), a, place(product.b, offsets.b), b, [beta],
        into, d, into, d, algorithm, workspace, workspaceBytes, stream.handle)
      try library.check(status, "multiply matrices of \(product.m) × \(product.k) and \(product.k) × \(product.n)")
    }
  }

  /// Bytes to which a matrix is aligned in each of its calls and of its batch, if its buffer is to `base`.
  static func alignment(of operand: LibraryProduct.Operand, _ base: Int) -> Int {
    let offsets = [operand.offset, operand.batchStride] + operand.callStrides
    var alignment = base
    for offset in offsets where offset != 0 {
      while (offset * operand.dtype.size) % alignment != 0 { alignment /= 2 }
    }
    return alignment
  }

  private func layout(_ operand: LibraryProduct.Operand) throws(Diagnostic) -> CUBLASLt.Handle {
    let library = products.library
    guard let type = CUBLASLt.code(of: operand.dtype) else {
      throw Diagnostic("cuBLASLt does not multiply matrices of \(operand.dtype.rawValue)")
    }
    let layout = try make("describe a matrix", library.layoutDestroy) {
      library.layoutCreate($0, type, UInt64(operand.rows), UInt64(operand.columns), Int64(operand.leading))
    }
    if product.batch > 1 {
      try set(library.layoutSet, layout, CUBLASLt.LayoutAttribute.batchCount.rawValue, Int32(product.batch))
      try set(library.layoutSet, layout, CUBLASLt.LayoutAttribute.batchStride.rawValue, Int64(operand.batchStride))
    }
    return layout
  }

  private func choose(
    _ descriptor: CUBLASLt.Handle, _ a: CUBLASLt.Handle, _ b: CUBLASLt.Handle, _ d: CUBLASLt.Handle,
    _ preference: CUBLASLt.Handle
  ) throws(Diagnostic) {
    var result = [UInt64](repeating: 0, count: CUBLASLt.HeuristicResult.bytes / 8)
    var count: Int32 = 0
    let what = "find an algorithm for a product of \(product.m) × \(product.k) and \(product.k) × \(product.n)"
    let status = result.withUnsafeMutableBytes { bytes -> CUBLASLt.Status in
      guard let base = bytes.baseAddress else { return 1 }
      return products.library.heuristic(products.handle, descriptor, a, b, d, d, preference, 1, base, &count)
    }
    try products.library.check(status, what)
    guard count > 0 else { throw Diagnostic("cuBLASLt cannot \(what)") }
    result.withUnsafeBytes { bytes in
      typealias Result = CUBLASLt.HeuristicResult
      workspaceBytes = Int(bytes.load(fromByteOffset: Result.workspaceAt, as: UInt64.self))
      algorithm = Array(bytes.bindMemory(to: UInt64.self).prefix(Result.algorithmBytes / 8))
    }
    let found = result.withUnsafeBytes { $0.load(fromByteOffset: CUBLASLt.HeuristicResult.statusAt, as: Int32.self) }
    try products.library.check(found, what)
  }

  private func make(
    _ what: String, _ destroy: @escaping CUBLASLt.Destroy, _ create: (UnsafeMutablePointer<CUBLASLt.Handle?>) -> CUBLASLt.Status
  ) throws(Diagnostic) -> CUBLASLt.Handle {
    var handle: CUBLASLt.Handle?
    try products.library.check(create(&handle), what)
    guard let handle else { throw Diagnostic("cuBLASLt cannot \(what)") }
    descriptors.append((handle, destroy))
    return handle
  }

  private func set(
    _ call: CUBLASLt.SetAttribute, _ handle: CUBLASLt.Handle, _ attribute: Int32, _ value: some FixedWidthInteger
  ) throws(Diagnostic) {
    let status = withUnsafeBytes(of: value) { bytes -> CUBLASLt.Status in
      guard let base = bytes.baseAddress else { return 7 }
      return call(handle, attribute, base, bytes.count)
    }
    try products.library.check(status, "set attribute \(attribute)")
  }
}
