import ArgumentParser
import CUDABackend
import Foundation
import IR
import Runtime
import Training

/// `millrace devices`: what programs can run on here.
struct Devices: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the processor and the GPUs, with memory, bandwidth and features, and CUDA's libraries.",
    discussion: "Bandwidth is that of a large copy, bytes read and bytes written, measured now.")

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let list = try DeviceList()
    print(json ? list.json.text(pretty: true) : list.text)
  }
}
