import Compiler
import IR
import Models
import Passes
import Rewriting
import Runtime
import Testing

@Suite("scratch") struct Scratch {
  @Test func show() throws {
    let text = #"{"architecture": "block", "block": {"kind": "residual-site", "width": 1024, "residual": {"kind": "hyper", "rate": 4}}}"#
    let program = try Program(Configuration(JSON(parsing: text, file: "config")))
    var forward = try program.trace(inputs: ["streams": .f32(8, 256, 4, 1024)])
    forward.name = "forward"
    let floats = forward.parameters.indices.filter { forward.type(of: forward.parameters[$0]).dtype.isFloat }
    let gradient = try forward.differentiated(
      named: "gradient", from: .cotangents(results: [0]), withRespectTo: Array(floats))
    for f in [forward, gradient] {
      let module = Module(functions: [f])
      let cpu = try CPUProgram(module, entry: f.name)
      print("passes", cpu.passSeconds, "code", cpu.codeSeconds, cpu.statistics)
      for i in cpu.parameters.indices {
        cpu.withParameter(i) { m in
          let p = m.bindMemory(to: Float.self)
          for j in p.indices { p[j] = Float((j &* 2654435761) % 1000) / 1000 - 0.5 }
        }
      }
      for _ in 0..<3 { cpu.run() }
      for _ in 0..<3 {
        let t = cpu.profile()
        print(t.map { "\($0.kernel): \(Int($0.seconds * 1e6))us" }.joined(separator: "  "))
      }
    }
  }
}
