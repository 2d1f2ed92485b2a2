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

  private var replaces: Bool {
    guard case .plus(_, let replaces) = kind else { return false }
    return replaces
  }

  /// The layers of a language model, ready to be traced once.
  var layers: MemoryLayers {
    MemoryLayers(
      placements.enumerated().map { ($1, layer($0) { "memories.\($0)" }) }, replaceFeedForwards: replaces)
  }
}

/// The memories of one trace: what they have read and not yet added.
final class MemoryLayers {
  private let placed: [(place: MemoryChoice.Placement, layer: any MemoryLayer)]
  private let replaceFeedForwards: Bool
  private var waiting: [Int: [Tensor]] = [:]

  init(_ placed: [(MemoryChoice.Placement, any MemoryLayer)], replaceFeedForwards: Bool) {
    self.placed = placed
    self.replaceFeedForwards = replaceFeedForwards
  }

  /// The memory that takes the place of a block's feed-forward.
  func replacement(in block: Int) -> (any MemoryLayer)? {
    replaceFeedForwards ? placed.first { $0.place.from == block }?.layer : nil
  }

  /// Looks up what the memories that start in a block find for its normalised feed-forward input.
  func read(_ x: Tensor, in block: Int) {
    guard !replaceFeedForwards else { return }
    for (place, layer) in placed where place.from == block { waiting[place.to, default: []].append(layer(x)) }
  }

  /// The state after a block with what was found for it.
  func add(to state: Tensor, after block: Int, by scheme: some ResidualScheme) -> Tensor {
    (waiting.removeValue(forKey: block) ?? []).reduce(state) { scheme.add($1, to: $0) }
  }
}
