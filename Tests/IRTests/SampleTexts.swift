/// Texts in canonical form that between them hold every construct of the format.
enum SampleTexts {
  static let functions = """
    func @mix(
      %blocks.0.attention/query-1.weight: f32[8, 4],
      %a: f32[4] donates 0,
      %0: rows<3>bf16[9, 2]
    ) -> (%out: f32[4], %"a b": f32[4, 4]) {
      %half, %1 = halves %blocks.0.attention/query-1.weight : f32[4, 4], f32[4, 4]
      %2 = tanh %a : f32[4]
      %3, %4 = region @"odd name" %2, %1 {rows = 4} : f32[4], f32[4, 4]
      %5 = launch @every %3 : f32[4]
      return %5, %4
    }

    func @"odd name"(%0: f32[4], %x: f32[4, 4]) -> (f32[4], f32[4, 4]) {
      return %0, %x
    }

    func @none() -> () {
      return
    }

    func @long(
      %a_rather_long_name_of_a_parameter: f32[128, 128],
      %another_rather_long_name_of_a_parameter: f32[128, 128],
      %third: f32[128, 128]
    ) -> f32[128, 128] {
      %0 = sigmoid %a_rather_long_name_of_a_parameter : f32[128, 128]
      return %third
    }

    """

  static let kernels = """
    kernel @every(
      in %h: f32[4096],
      in %ids: i64[64],
      in %half: bf16[64],
      out %y: f32[4096],
      workspace %w.0: f32[64],
      local %t: i32[16]
    ) {
      parallel i0 < 64 {
        v0 = %ids[i0]
        sum v1: f32
        max v2: i64
        any v3: bool
        serial i1 < 4 limit [i0 + 1] {
          vector i2 < 16 width 8 unroll 2 {
            v4 = %h[64*i0 + 16*i1 + i2]
            v1 sum= v4 * v4
            v3 any= v4 > 1.5
          }
          v2 max= [i0 - 3*i1 + 2]
        }
        if and(v0 >= 0i64, not(v3)) {
          store %y[64*v0 + (i0 + 1) % 64], %h[v0 if v0 < 4096i64] + 1.0
        }
        v5 = select(v0 == -5i64, fma(v1, 2.0, -0.0), round(v1 / (1e-06 + v1), bf16)) - (v1 - -inf) + nan
        v6 = bitcast(v5, i32)
        store %t[i0 % 16], shift_left(remainder(v6, 7i32), xor(-1i32, minimum(v6, or(v6, v6))))
        store %w.0[i0], power(maximum(exp(v5), sqrt(v1)), rsqrt(v1)) * convert(%t[i0 / 8 + 3*((4*i0 + 1) / 17)], f32)
        store %y[-i0 + 63], convert(v0 <= [-5*i0 + 7], f32) / %half[i0]
      }
      parallel i3 < 4 {
        product 16, 32, 8 rows [16*i3 + 1]: %y[512*i3; 32, 1] += %h[128*i3; 8, 1] * %w.0[0; 1, 8]
        product 16, 32, 8: %y[0; 32, 1] = %h[0; 8, 1] * %h[0; 1, 8]
      }
    }

    kernel @empty() {
    }

    """
}
