import IR
import Ops
import Rewriting

extension Pattern {
  static let selectRules: [Pattern] = [knownCondition, sameChoices, negatedCondition]

  /// `true ? x : y → x`
  private static let knownCondition = Pattern("known-condition", on: Select.self) { match, rewriter throws(NoMatch) in
    guard let condition = rewriter.constant(match[0]) else { throw NoMatch("the condition is not known") }
    return condition.integer != 0 ? match[1] : match[2]
  }

  /// `c ? x : x → x`
  private static let sameChoices = Pattern("same-choices", on: Select.self) { match, rewriter throws(NoMatch) in
    try rewriter.require(match[1] == match[2], "two values to choose from")
    return match[1]
  }

  /// `not c ? x : y → c ? y : x`
  private static let negatedCondition = Pattern("negated-condition", on: Select.self) { match, rewriter throws(NoMatch) in
    let not = try rewriter.definition(of: match[0], as: Unary.self)
    return try rewriter.emit(Select(), not[0], match[2], match[1])
  }
}
