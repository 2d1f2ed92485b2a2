import IR
import Testing

@Suite("bf16 and f16") struct SmallFloatTests {
  @Test("every bf16 is a float and back")
  func everyBFloat16() {
    for bits in UInt16.min...UInt16.max {
      let value = BFloat16(bits: bits)
      // A signalling NaN becomes a quiet one.
      let wanted = value.float.isNaN ? bits | 0x40 : bits
      if BFloat16(value.float).bits != wanted { Issue.record("\(bits)") }
    }
  }

  @Test("every f16 is a float and back")
  func everyHalf() {
    for bits in UInt16.min...UInt16.max {
      let value = Half(bits: bits)
      if value.float.isNaN {
        #expect(Half(value.float).float.isNaN)
      } else if Half(value.float).bits != bits {
        Issue.record("\(bits)")
      }
    }
  }

  @Test("rounding goes to the nearest, ties to even, from every midpoint")
  func rounding() {
    for bits in UInt16.min..<0x7c00 {
      let (low, high) = (Half(bits: bits), Half(bits: bits + 1))
      let above = bits == 0x7bff ? 65536 : high.float
      let middle = (low.float + above) / 2
      let even = bits & 1 == 0 ? bits : bits + 1
      if Half(middle).bits != even || Half(middle.nextDown).bits != bits || Half(middle.nextUp).bits != bits + 1 {
        Issue.record("\(bits)")
      }
      if Half(-middle).bits != even | 0x8000 { Issue.record("-\(bits)") }
    }
    for bits in UInt16.min..<0x7f80 {
      let middle = Float(bitPattern: UInt32(bits) << 16 | 0x8000)
      let even = bits & 1 == 0 ? bits : bits + 1
      if BFloat16(middle).bits != even || BFloat16(middle.nextDown).bits != bits { Issue.record("\(bits)") }
      if BFloat16(Float(bitPattern: middle.bitPattern + 1)).bits != bits + 1 { Issue.record("\(bits)") }
    }
  }

  @Test("literals hold what their type can")
  func literals() {
    let floats = [0.1, -3e38, 70000, .nan, .infinity]
    let half = Literal(TensorType(.f16, [5]), floats: floats).doubles
    #expect(half[0] == Double(Half(0.1).float) && half[1] == -.infinity && half[2] == .infinity && half[3].isNaN)
    #expect(Literal(.f32(5), floats: floats).doubles[0] == 0.1)
    let integers: [Int64] = [-1, 256, 1 << 31, .min, 3]
    #expect(Literal(TensorType(.u8, [5]), integers: integers).integers == [255, 0, 0, 0, 3])
    #expect(Literal(TensorType(.i32, [5]), integers: integers).integers == [-1, 256, -1 << 31, 0, 3])
    #expect(Literal(TensorType(.bool, [5]), integers: integers).integers == [1, 1, 1, 1, 1])
    #expect(Literal(.i64(5), integers: integers).integers == integers)
    #expect(Literal(.f32(5), floats: floats).integers == [0, 0, 70000, 0, 0])
  }

  @Test("positions come in row-major order, and none of an empty shape")
  func positions() {
    #expect(Array(Positions(of: [2, 3])) == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]])
    #expect(Array(Positions(of: [])) == [[]])
    #expect(Array(Positions(of: [2, 0])) == [])
    let literal = Literal(.f32(2, 3)) { Double(10 * $0[0] + $0[1]) }
    #expect(Positions(of: [2, 3]).allSatisfy { literal[$0] == Double(10 * $0[0] + $0[1]) })
    #expect(literal.reshaped(to: [6]).doubles == literal.doubles)
  }
}
