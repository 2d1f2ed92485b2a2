import IR
import Testing

/// The first line in which two texts differ, with both readings; `nil` where they are equal.
func firstDifference(_ got: String, _ wanted: String) -> String? {
  if got == wanted { return nil }
  let (got, wanted) = (got.split(separator: "\n", omittingEmptySubsequences: false), wanted.split(separator: "\n", omittingEmptySubsequences: false))
  let number = zip(got, wanted).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? min(got.count, wanted.count)
  func line(_ lines: [Substring]) -> Substring { number < lines.count ? lines[number] : "<end>" }
  return "line \(number + 1):\n  got    \(line(got))\n  wanted \(line(wanted))"
}

@Suite("round trips") struct RoundTripTests {
  @Test("canonical text is printed as it was read", arguments: ["functions", "kernels"])
  func canonicalText(name: String) throws {
    let text = name == "functions" ? SampleTexts.functions : SampleTexts.kernels
    let module = try Module(parsing: text, ops: SampleOps.table)
    #expect(firstDifference(module.text(), text) == nil)
  }
}
