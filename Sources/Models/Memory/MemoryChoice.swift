import DSL
import IR
import Runtime

/// The configured memories of a model: of one kind, one for each placement.
struct MemoryChoice: Sendable {
  enum Kind: Sendable {
    case productKey(ProductKeyOptions)
    /// Replaces the feed-forwards of its blocks, or stands beside them.
    case plus(ProductKeyOptions, replaces: Bool)
    case ultra(UltraMemoryOptions)
    /// Each layer reads the tables of so many along a ring of all.
    case second(UltraMemoryOptions, ring: Int)
  }

  /// Reads the normalised feed-forward input of one block, and adds to the state after another, or the same.
  struct Placement: Sendable, Hashable {
    var from, to: Int
  }

  let kind: Kind?
  let placements: [Placement]
  /// Whether UltraMem's singular vectors are renewed by every forward.
  let refreshes: Bool

  static let none = MemoryChoice(kind: nil, placements: [], refreshes: false)

  /// Memory `number` of as many as there are placements, or the only one of a block.
  func layer(_ number: Int, called name: (Int) -> String) -> any MemoryLayer {
    let count = max(1, placements.count)
    switch kind {
    case .none: preconditionFailure("only memories have placements")
    case .productKey(let options): return ProductKeyMemory(name(number), options)
    case .plus(let options, _): return MemoryPlus(name(number), tableOwner: name(0), options)
    case .ultra(let options): return UltraMemory(name(number), options, refreshes: refreshes)
    case .second(let options, let ring):
      let owners = (0..<ring).map { name((number + $0) % count) }
      return UltraMemory(name(number), options, refreshes: refreshes, tableOwners: owners)
    }
  }

}

// MARK: In a language model

extension MemoryChoice {
  private func layer(_ number: Int) -> any MemoryLayer { layer(number) { "memories.\($0)" } }

  private var replacesFeedForwards: Bool {
    guard case .plus(_, let replaces) = kind else { return false }
    return replaces
  }

  /// The memory that takes the place of a block's feed-forward.
  func replacement(in block: Int) -> (any MemoryLayer)? {
    guard replacesFeedForwards else { return nil }
    return placements.firstIndex { $0.from == block }.map { layer($0) }
  }

  /// What a memory found, until the block after which it is added.
  private struct Found {
    let place: Placement
    let output: Tensor
  }

  /// Looks up what the memories that start in a block find for its normalised feed-forward input.
  func read(_ x: Tensor, in block: Int) {
    guard !replacesFeedForwards else { return }
    for (number, place) in placements.enumerated() where place.from == block {
      let memory = layer(number)
      x.trace.record(Found(place: place, output: memory(x)))
    }
  }

  /// The state after a block, with what was found for it.
  func add(to state: Tensor, after block: Int, by scheme: some ResidualScheme) -> Tensor {
    let found = state.trace.records(of: Found.self).filter { $0.place.to == block }
    return found.reduce(state) { scheme.add($1.output, to: $0) }
  }
}
