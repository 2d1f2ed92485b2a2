/// How the stages of a kernel are spread over the threads of a GPU: all that an emitter of CUDA text would otherwise
/// have to decide. Made by `map-to-threads`.
///
/// A *team* of threads does one iteration of a stage. Each of its threads runs the scalar code, so that all of them
/// know every variable; one of them, the leader, does the stores of that code. The lanes of a vector loop are dealt
/// out to the team: thread `t` of `T` does the lanes `t`, `t + T`, `t + 2T`, ….
public struct ThreadMapping: Hashable, Sendable {
  public var stages: [Stage]
  /// Inputs and outputs that may be one memory with each other, as those that a program updates in place.
  public var overlapping: Set<BufferID>

  public init(stages: [Stage], overlapping: Set<BufferID> = []) {
    self.stages = stages
    self.overlapping = overlapping
  }

  /// The place of a statement: its number in the body of the stage's loop, then in the body of that statement, ….
  public typealias Path = [Int]

  public struct Stage: Hashable, Sendable {
    /// Threads that do one iteration together: the whole block, or a power of two up to 32 of them.
    public var team: Int
    public var teamsPerBlock: Int
    /// Where `blocks · teamsPerBlock` is less than the iterations, each team does several, in rounds.
    public var blocks: Int
    /// Where the locals live that the stage uses.
    public var places: [BufferID: Place]
    /// The team waits for all its threads before these statements.
    public var waits: Set<Path>
    /// What the threads of a team have in these accumulators, each for its lanes, becomes one after these statements.
    public var combinations: [Path: [Variable]]
    /// How the vector loops are done in which a thread does more than one lane at a time.
    public var packs: [Path: LanePack]
    /// How products are cut up.
    public var tiles: [Path: ProductTile]
    /// The product of which each block does one tile, instead of all of it; what stands around it every block does.
    public var divided: Path?
    /// Statements around a divided product that only the block of its first tile does, for they store.
    public var onlyFirstTile: Set<Path>
    /// Scalar code that the first warp of a block does for all, by the places of its first statements.
    public var sections: [Path: Section] = [:]
    /// How many turns the compiler is to write out of loops that have many.
    public var unrolling: [Path: Int] = [:]
    /// The stage as a library does it, where there is one; the rest of the mapping is how to do without.
    public var library: LibraryProduct?
    /// Bytes of the shared memory of a block, and of global memory for the locals of all blocks.
    public var sharedBytes: Int
    public var scratchBytes: Int
    /// An estimate of a thread's registers, and of the blocks that a multiprocessor then has room for.
    public var registers = 0
    public var residentBlocks = 1

    public init(
      team: Int, teamsPerBlock: Int, blocks: Int, places: [BufferID: Place] = [:], waits: Set<Path> = [],
      combinations: [Path: [Variable]] = [:], packs: [Path: LanePack] = [:], tiles: [Path: ProductTile] = [:], divided: Path? = nil,
      onlyFirstTile: Set<Path> = [], library: LibraryProduct? = nil, sharedBytes: Int = 0, scratchBytes: Int = 0
    ) {
      self.team = team
      self.teamsPerBlock = teamsPerBlock
      self.blocks = blocks
      self.places = places
      self.waits = waits
      self.combinations = combinations
      self.packs = packs
      self.tiles = tiles
      self.divided = divided
      self.onlyFirstTile = onlyFirstTile
      self.library = library
      self.sharedBytes = sharedBytes
      self.scratchBytes = scratchBytes
    }

    public var threads: Int { team * teamsPerBlock }
    public var residentThreads: Int { residentBlocks * threads }
    /// Blocks that a multiprocessor must have room for: a thread gets no more registers than they leave. Tiles of products
    /// take what they need, and so does what needs few: that it finds room goes without saying, and code that is told nothing
    /// serves grids of any size.
    public var leastResidentBlocks: Int { tiles.isEmpty && registers > Self.fewRegisters ? residentBlocks : 1 }
    private static let fewRegisters = 48
    /// Whether a team needs no more than its warp to wait and to combine; else it is the block.
    public var isPartOfWarp: Bool { team <= 32 && team & (team - 1) == 0 }
    /// Bytes at the start of shared memory through which a block of several warps combines accumulators: two areas
    /// used in turn, in each a slot a warp for as many accumulators as are combined at once.
    public var combinationBytes: Int {
      if isPartOfWarp { return 0 }
      return 2 * (combinations.values.map(\.count).max() ?? 0) * warps * 8
    }
    public var warps: Int { (threads + 31) / 32 }
    /// Vector loops with loads ahead, by their places.
    public var loopsAhead: [Path] {
      packs.filter { !$0.value.ahead.isEmpty }.keys.sorted { $0.lexicographicallyPrecedes($1) }
    }
    /// Shared memory starts at a multiple of so many bytes.
    public var sharedAlignment: Int { tiles.values.map(\.alignment).max() ?? 16 }
  }

  /// Some statements that the first warp does alone.
  public struct Section: Hashable, Sendable {
    public var count: Int
    /// The variables that all threads get from it, those of 8 bytes first.
    public var given: [Variable]
    /// Where in shared memory they stand, one after the other.
    public var at: Int

    public init(count: Int, given: [Variable], at: Int = 0) { (self.count, self.given, self.at) = (count, given, at) }

    public var bytes: Int { given.reduce(0) { $0 + $1.bytes } }
  }

  /// Where a local buffer lives.
  public enum Place: Hashable, Sendable {
    /// Each thread has all of it to itself.
    case thread
    /// Shared memory, from this byte on; the teams of a block have theirs one after the other, `stride` bytes apart.
    case shared(at: Int, stride: Int)
    /// Global memory, from this byte on; all teams have theirs one after the other, `stride` bytes apart.
    case scratch(at: Int, stride: Int)
    /// Registers of the team: each thread has the elements of its lanes, `width` of them in each of `turns`, of the planes
    /// that start at these elements.
    case registers(planes: [Int], turns: Int, width: Int)

    /// Whether each thread has it, or a part of it, to itself.
    public var isOfThread: Bool {
      switch self {
      case .thread, .registers: true
      case .shared, .scratch: false
      }
    }
  }
}
