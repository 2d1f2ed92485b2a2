import Compiler
import DSL
import IR
import Ops

// The first product of 64 experts in bf16: rows that lie expert by expert, as many for each as chose it.

extension Workload {
  static let evenExperts = experts("experts-even", "16,384 rows of 64 experts 2048-4096 in bf16, 256 for each") {
    _, mean in mean
  }

  static let skewedExperts = experts(
    "experts-skewed", "the same, from no row for the first expert to 512 for the last"
  ) { share, mean in Int((2 * share * Double(mean)).rounded()) }

  /// - Parameter rows: of an expert, by its place between 0 and 1 and the mean over all experts.
  private static func experts(
    _ name: String, _ summary: String, rows: @escaping @Sendable (_ share: Double, _ mean: Int) -> Int
  ) -> Workload {
    Workload(name: name, summary: summary, scale: .gpu, precision: .bf16, evidence: .results) { (size) throws(Diagnostic) in
      let (count, mean) = (size(64, small: 4), size(256, small: 40))
      let (inputs, outputs) = (size(2048, small: 64), size(4096, small: 96))
      var sizes = (0..<count).map { rows(Double($0) / Double(count - 1), mean) }
      sizes[count - 1] += mean * count - sizes.reduce(0, +)

      let trace = Trace(name: "experts")
      let x = trace.input("input/x", TensorType(.bf16, [mean * count, inputs]))
      let weights = trace.input("input/weights", TensorType(.bf16, [count, outputs, inputs]))
      let groups = trace[Parameter("sizes", [count], .values(sizes.map(Float.init)), dtype: .i64, role: .buffer)]
      let y = trace.emit(GroupedContract(), x, weights, groups)
      return WorkloadProgram(function: try trace.finish([("y", y)]), parameters: trace.parameters, vocabulary: 1)
    }
  }
}
