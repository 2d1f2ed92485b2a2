import DSL
import IR
import Models
import Passes

// An embedding bag: for each of 65,536 bags the weighted sum of 32 rows of a table of 2 GB.

extension Workload {
  static let bagForward = Workload(
    name: "bag-forward", summary: "65,536 bags of 32 rows of a table of 4,194,304 × 128, weighted", scale: .gpu,
    evidence: .results
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "bag_forward")
    let bag = Bag(trace, size)
    var program = WorkloadProgram(
      function: try trace.finish([("y", bag.sums)]), parameters: [], vocabulary: bag.table.extent(0))
    program.leastTraffic = bag.lookedUpBytes + bag.weights.type.bytes + bag.ids.type.bytes + bag.sums.type.bytes
    return program
  }

  static let bagStep = Workload(
    name: "bag-step", summary: "its gradients, and a step of row-wise Adagrad for the table", scale: .gpu,
    evidence: .steps(2, results: ["grad/input/weights"])
  ) { (size) throws(Diagnostic) in
    let trace = Trace(name: "bag_step")
    let bag = Bag(trace, size)
    let forward = try trace.finish([("y", bag.sums)])
    var step = try forward.differentiated(
      named: "bag_step", from: .cotangents(results: [0]), withRespectTo: [0, 2])
    step.keepResults { name, _ in name.hasPrefix("grad/") }
    let tables = [Parameter("table", bag.table.shape, .zeros, isTable: true)]
    step = try step.stepped(tables, AdamW(lazyTables: true, tableRule: .rowwiseAdagrad))
    var program = WorkloadProgram(function: step, parameters: [], vocabulary: bag.table.extent(0))
    // A row that is looked up is read for the gradient of its weight, and read and written once more by the optimizer with
    // its number; the rest is moved once.
    let others = bag.ids.type.bytes + 2 * bag.weights.type.bytes + bag.sums.type.bytes
    program.leastTraffic = 3 * bag.lookedUpBytes + 2 * bag.ids.type.count * DType.f32.size + others
    return program
  }

  private struct Bag {
    let table, ids, weights, sums: Tensor

    init(_ trace: Trace, _ size: Size) {
      let (bags, rows) = (size(65536, small: 12), size(32, small: 5))
      table = trace.input("param/table", .f32(size(4 << 20, small: 50), size(128, small: 32)))
      ids = trace.input("input/ids", .i64(bags, rows))
      weights = trace.input("input/weights", .f32(bags, rows))
      sums = weights.contract(table.rows(ids), "bk,bkd->bd")
    }

    var lookedUpBytes: Int { ids.type.count * table.extent(1) * DType.f32.size }
  }
}
