import DSL
import IR
import Runtime

/// One memory, from `x` to `y`, and its penalty.
struct MemoryBlock: Architecture {
  private let width: Int
  private let memory: MemoryChoice

  init(_ fields: inout Fields, _ mode: Configuration.Mode) throws(Diagnostic) {
    width = try fields.size("width")
    let surroundings = MemorySurroundings(width: width, layers: nil, hidden: 4 * width, mode: mode)
    memory = try MemoryChoice(try fields.requiredFields("memory"), in: surroundings)
  }

  var inputs: [ProgramInput] { [ProgramInput("x", .f32, [.free("B"), .free("T"), .fixed(width)])] }

  func calibrations() throws(Diagnostic) -> [Calibration] { try memory.calibrations(width: width) { _ in "memory" } }

  func outputs(of inputs: [String: Tensor], in trace: Trace) -> [(name: String, tensor: Tensor)] {
    let layer = memory.layer(0) { _ in "memory" }
    let y = trace.at(#fileID, #line, #column) { layer(inputs.input("x")) }
    guard let penalty = MemoryPenalty.sum(in: trace) else { return [("y", y)] }
    return [("y", y), ("penalty", penalty)]
  }
}
