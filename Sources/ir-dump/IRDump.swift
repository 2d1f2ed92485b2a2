import ArgumentParser
import Foundation
import IR

/// Shows, runs and explains programs at every step of their compilation.
@main struct IRDump: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ir-dump", abstract: "Show, run and explain programs at every step of their compilation.",
    subcommands: [Show.self, Run.self, Explain.self, Bisect.self, ShowConnections.self, ListPasses.self, ListOps.self])

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

/// Prints to standard error.
func printNote(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }
