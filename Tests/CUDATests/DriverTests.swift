import CUDABackend
import IR
import TestSupport
import Testing

@Suite("CUDA driver") struct DriverTests {
  /// Why there is no GPU.
  static let missing: String? = {
    do throws(Diagnostic) {
      _ = try CUDADevice()
      return nil
    } catch { return error.message }
  }()

  @Test("the absence of a GPU is one sentence", .enabled(if: missing != nil, "a GPU is there"))
  func absence() throws {
    let message = try #require(DriverTests.missing)
    #expect(message.hasPrefix("no CUDA driver is found: ") || message == "the CUDA driver finds no GPU")
    #expect(!message.contains("\n"))
  }

  @Test("samples run on the GPU as the interpreter runs them", .enabled(if: missing == nil, "\(missing ?? "")"))
  func runs() throws {
    let device = try CUDADevice()
    let stream = try CUDAStream(on: device)
    let samples = Sample.rows + Sample.scalars + Sample.products
    let kernels = try CUDAKernels(samples.map { ($0.kernel, try mapping(of: $0, .usual)) }, on: device)
    for (number, sample) in samples.enumerated() {
      let wanted = try sample.interpreted()
      let got = try sample.run(by: kernels, number, on: stream)
      for (got, wanted) in zip(got, wanted) {
        #expect(got.difference(from: wanted) <= sample.tolerance * 4, "\(sample.kernel.name)")
      }
    }
  }
}
