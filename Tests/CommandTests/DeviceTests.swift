import Compiler
import Foundation
import IR
import Runtime
import Testing

/// What the tools say of devices, and what they need to start.
@Suite("devices") struct DeviceTests {
  @Test("lists the processor, GPUs and CUDA's libraries, or says why there are none")
  func devices() throws {
    let text = try Command.millrace(["devices"])
    #expect(text.status == 0)
    #expect(text.output.hasPrefix("cpu 0: "))
    for library in ["driver: ", "NVRTC: ", "cuBLASLt: "] { #expect(text.output.contains("\n" + library)) }
    let json = try JSON(parsing: try Command.millrace(["devices", "--json"]).output, file: "devices")
    let devices = try json.required("devices").array()
    let cpu = try #require(devices.first)
    #expect(try cpu.required("copy_bytes_per_second").double() > 1e8)
    #expect(try cpu.required("memory_bytes").int() > 1 << 28)
    #expect((json["no_gpu"] == nil) == (devices.count > 1))
  }

  @Test(
    "without a GPU every tool says so in one sentence", .enabled(if: !CompileTarget.cuda.isAvailable, "a GPU is there"),
    arguments: ["millrace", "ir-dump", "model-bench"])
  func absence(tool: String) throws {
    let scratch = try Scratch()
    let program = try scratch.file("add.ir", "func @add(%x: f32[2]) -> f32[2] {\n  %0 = add %x, %x : f32[2]\n  return %0\n}\n")
    let arguments = [
      "millrace": ["check", scratch.folder, "--backend", "cuda"], "ir-dump": ["run", program, "--backend", "cuda"],
      "model-bench": ["topk", "--device", "cuda"],
    ]
    let run = try Command.run(tool, arguments[tool] ?? [])
    #expect(run.status == 1)
    #expect(run.output.isEmpty)
    #expect(run.errors.hasPrefix("error: ") && run.errors.split(separator: "\n").count == 1, "\(run.errors)")
  }

  @Test("nothing of CUDA is linked", arguments: ["millrace", "ir-dump", "model-bench"])
  func libraries(tool: String) throws {
    let libraries = try Command.run("ldd", [Command.folder + "/" + tool], in: "/usr/bin")
    #expect(libraries.output.contains("libc.so"))
    for name in ["libcuda", "nvrtc", "cublas"] { #expect(!libraries.output.contains(name)) }
    #if !LLVM
      for name in ["LLVM", "openblas"] { #expect(!libraries.output.contains(name)) }
    #endif
  }

  @Test("amounts of memory are read with their units, and refused otherwise")
  func limits() throws {
    let scratch = try Scratch()
    let refused = try Command.millrace(["check", scratch.folder, "--device-memory-limit", "6 apples"])
    #expect(refused.status == 64)
    #expect(refused.errors.contains("'6 apples' is invalid for '--device-memory-limit <bytes>'"))
    let golden = Self.cases + "/hyper-static-2.safetensors"
    let small = try Command.millrace(["check", golden, "--backend", "cuda-emulated", "--device-memory-limit", "1KiB"])
    #expect(small.status == 1)
    #expect(small.output.contains("of memory on the emulated GPU, and the limit is 1.00 KiB"), "\(small.output)")
    let enough = try Command.millrace(["check", golden, "--backend", "cuda-emulated", "--device-memory-limit", "1.5GB"])
    #expect(enough.status == 0, "\(enough.output)")
  }

  private static let cases = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Cases").path
}
