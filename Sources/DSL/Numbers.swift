#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The natural logarithm of a number of the model's own text (not of a tensor).
func naturalLogarithm(_ value: Double) -> Double { log(value) }
