extension ThreadMapping {
  /// How a thread does the lanes of a vector loop: `width` neighbouring ones, then those of its next turn.
  public struct LanePack: Hashable, Sendable {
    public var width: Int
    /// What is read before these lanes, and written after them, all of them at once.
    public var loads: [Access]
    public var stores: [Access]
    /// Of the loads, those whose elements for a team's next iteration come to shared memory while it does this one: where
    /// the elements of all lanes stand there, one after the other.
    public var ahead: [Access: Int] = [:]
    /// Turns of each thread, where they are written one by one, so that locals can live in registers.
    public var turns: Int?

    /// An element of a buffer, by its position in the loop.
    public struct Access: Hashable, Sendable {
      public var buffer: BufferID
      public var position: Position

      public init(_ buffer: BufferID, at position: Position) {
        self.buffer = buffer
        self.position = position
      }
    }

    public init(width: Int, loads: [Access] = [], stores: [Access] = [], turns: Int? = nil) {
      (self.width, self.loads, self.stores, self.turns) = (width, loads, stores, turns)
    }
  }
}
