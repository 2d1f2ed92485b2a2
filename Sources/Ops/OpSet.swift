import IR

/// Every op there is.
public enum OpSet {
  public static let all: [any TensorOp.Type] = [
    Unary.self, Binary.self, Compare.self, Select.self, Cast.self, DitheredCast.self, Constant.self, Iota.self,
    Broadcast.self, Reshape.self, Transpose.self, Slice.self, Pad.self, Concatenate.self, StopGradient.self, After.self,
    Reduce.self, ArgMax.self, CumulativeSum.self, Contract.self, GroupedContract.self, GroupedOuter.self,
    Attention.self, AttentionGradient.self,
    Gather.self, GatherElements.self, GatherSum.self, GatherDot.self,
    ScatterAdd.self, ScatterElements.self, ScatterRows.self, SegmentSum.self, TopK.self, Sort.self,
    TopMask.self, Nonzero.self,
    MakeRows.self, RowIDs.self, RowValues.self, ConcatenateRows.self, Densify.self, MergeRows.self,
    Random.self,
  ]

  /// The ops by name, for the parser.
  public static let table = OpTable(all)
}
