// swift-tools-version: 6.1
import Foundation
import PackageDescription

// LLVM's C headers and library are found through llvm-config: `LLVM_CONFIG=llvm-config-19 swift build` picks another.
func llvmConfig(_ argument: String) -> String? {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
  process.arguments = [Context.environment["LLVM_CONFIG"] ?? "llvm-config", argument]
  let output = Pipe()
  process.standardOutput = output
  process.standardError = FileHandle.nullDevice
  guard (try? process.run()) != nil else { return nil }
  let data = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  guard process.terminationStatus == 0 else { return nil }
  return String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
}

let llvmHeaders = llvmConfig("--includedir").map { ["-Xcc", "-I\($0)"] } ?? []
let llvmLibrary = llvmConfig("--libdir").map { ["-L\($0)"] } ?? []
let llvmName = "LLVM-" + (llvmConfig("--version")?.split(separator: ".").first.map(String.init) ?? "14")

// The notes, `.ir` files and fixtures that stand beside passes and tests are not sources.
func notes(under folder: String) -> [String] {
  let root = Context.packageDirectory + "/" + folder
  let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
  let kinds = [".md", ".ir", ".cu", ".py", ".npy", ".json", ".safetensors"]
  return all.filter { file in kinds.contains { file.hasSuffix($0) } }.sorted()
}

let settings: [SwiftSetting] = [
  .swiftLanguageMode(.v6), .enableUpcomingFeature("ExistentialAny"), .enableUpcomingFeature("MemberImportVisibility"),
]
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let whenLLVM = TargetDependencyCondition.when(traits: ["LLVM"])

// Suites by what they test; each may use the targets named here.
let suites: [(String, [Target.Dependency])] = [
  ("IRTests", ["IR", "Ops"]),
  ("OpsTests", ["IR", "Ops", "Runtime", "Compiler"]),
  ("RuntimeTests", ["IR", "Ops", "Runtime"]),
  ("LLVMTests", ["IR", "Ops", "Runtime", "Passes", "LLVMBackend"]),
  ("CUDATests", ["IR", "Ops", "Runtime", "Passes", "CUDABackend", "Compiler", "Models"]),
  ("DSLTests", ["IR", "Ops", "Runtime", "DSL", "Models"]),
  ("PassesTests", ["IR", "Ops", "Rewriting", "Passes", "Runtime", "Compiler", "DSL", "Models", "Training"]),
  ("FileTests", ["IR", "Ops", "Rewriting", "Passes", "Runtime", "CUDABackend", "Compiler"]),
  ("TrainingTests", ["IR", "Ops", "Passes", "Runtime", "DSL", "Models", "Compiler", "Training"]),
  ("CommandTests", ["CUDABackend", "IR", "Runtime", "Training", "millrace", "ir-dump", "model-bench"]),
]
let testTargets: [Target] = suites.filter {
  FileManager.default.fileExists(atPath: Context.packageDirectory + "/Tests/" + $0.0)
}.map { name, dependencies in
  .testTarget(
    name: name, dependencies: dependencies + ["TestSupport"], path: "Tests/" + name,
    exclude: notes(under: "Tests/" + name), swiftSettings: settings)
}

let package = Package(
  name: "Millrace",
  products: [
    .library(name: "Millrace", targets: ["DSL", "Models", "Compiler", "Training"]),
    .executable(name: "millrace", targets: ["millrace"]),
    .executable(name: "ir-dump", targets: ["ir-dump"]),
    .executable(name: "model-bench", targets: ["model-bench"]),
  ],
  traits: [
    .trait(name: "LLVM", description: "The CPU backend: compiles kernels with LLVM in this process."),
    .default(enabledTraits: ["LLVM"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
  ],
  targets: [
    .target(name: "IR", swiftSettings: settings),
    .target(name: "Ops", dependencies: ["IR"], swiftSettings: settings),
    .target(name: "Rewriting", dependencies: ["IR"], swiftSettings: settings),
    .target(
      name: "Passes", dependencies: ["IR", "Ops", "Rewriting"], path: "passes", exclude: notes(under: "passes"),
      swiftSettings: settings),
    .target(name: "CRuntime"),
    .target(name: "CLocaleData"),
    .target(
      name: "Runtime", dependencies: ["IR", "CRuntime"],
      // Without it the interpreter is ten times slower in debug builds, and so is every test that needs the truth.
      swiftSettings: settings + [.unsafeFlags(["-O"], .when(configuration: .debug))]),
    .systemLibrary(name: "CLLVM"),
    .systemLibrary(name: "COpenBLAS"),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"]), .yum(["zlib-devel"])]),
    .target(
      name: "LLVMBackend",
      dependencies: [
        "IR", "Runtime", .target(name: "CLLVM", condition: whenLLVM), .target(name: "COpenBLAS", condition: whenLLVM),
      ],
      swiftSettings: settings + [.unsafeFlags(llvmHeaders)],
      linkerSettings: [
        .unsafeFlags(llvmLibrary), .linkedLibrary(llvmName, .when(traits: ["LLVM"])),
        .linkedLibrary("openblas", .when(traits: ["LLVM"])),
      ]),
    .target(name: "CUDABackend", dependencies: ["IR", "Runtime", "CRuntime"], swiftSettings: settings),
    .target(name: "DSL", dependencies: ["IR", "Ops"], swiftSettings: settings),
    .target(name: "Models", dependencies: ["IR", "Ops", "DSL", "Runtime"], swiftSettings: settings),
    .target(
      name: "Compiler", dependencies: ["Passes", "Runtime", "LLVMBackend", "CUDABackend"], swiftSettings: settings),
    .target(
      name: "Training", dependencies: ["Ops", "DSL", "Models", "Compiler", "Runtime", "Passes", "CZlib"],
      swiftSettings: settings),
    .executableTarget(name: "millrace", dependencies: ["Training", "CLocaleData", arguments], swiftSettings: settings),
    .executableTarget(name: "ir-dump", dependencies: ["Training", "CLocaleData", arguments], swiftSettings: settings),
    .executableTarget(name: "model-bench", dependencies: ["Training", "CLocaleData", arguments], swiftSettings: settings),
    .target(
      name: "TestSupport", dependencies: ["IR", "Runtime", "CUDABackend"], path: "Tests/TestSupport", exclude: ["FakeCUDA"],
      swiftSettings: settings),
  ] + testTargets
)
