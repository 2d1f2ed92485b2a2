import ArgumentParser
import Foundation
import IR

/// Trains, samples, runs and checks models.
@main struct Millrace: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "millrace", abstract: "Train, sample, run and check models.",
    subcommands: [
      Train.self, Sample.self, Run.self, Check.self, LearnTokenizer.self, DemoCommand.self, Reproduce.self, Devices.self,
    ])

  /// Prints what is wrong as the compiler does, and ends with a code that says so.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let diagnostic as Diagnostic {
      FileHandle.standardError.write(Data("\(diagnostic)\n".utf8))
      Foundation.exit(1)
    } catch {
      exit(withError: error)
    }
  }
}
