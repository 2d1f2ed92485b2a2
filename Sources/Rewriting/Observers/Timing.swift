import IR

extension PassManager.Report {
  /// What the passes took and did, as a table:
  ///
  ///      ms     %  pass
  ///     1.2  40.0  simplify              broadcast-later 3, fold 2
  public static func table(_ reports: [PassManager.Report]) -> String {
    let total = reports.reduce(0) { $0 + $1.seconds }
    let width = reports.map(\.pass.count).max() ?? 0
    var lines = ["        ms      %  pass"]
    for report in reports {
      let share = total > 0 ? report.seconds / total * 100 : 0
      let done = report.counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      let name = report.pass + String(repeating: " ", count: width - report.pass.count)
      lines.append("\(column(report.seconds * 1000, 10)) \(column(share, 6))  \(name)  \(done)".trimmingEnd)
    }
    lines.append("\(column(total * 1000, 10)) \(column(100, 6))  all")
    return lines.joined(separator: "\n") + "\n"
  }

  /// A number with one digit after the point, right in a column.
  private static func column(_ number: Double, _ width: Int) -> String {
    let tenths = Int((number * 10).rounded())
    let text = "\(tenths / 10).\(tenths % 10)"
    return String(repeating: " ", count: max(0, width - text.count)) + text
  }
}

extension String {
  fileprivate var trimmingEnd: String { String(reversed().drop { $0 == " " }.reversed()) }
}
