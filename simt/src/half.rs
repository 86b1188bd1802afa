//! IEEE half precision, by its bits.

/// The nearest half float, ties to even; too large becomes infinite.
pub(crate) fn from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00;
    }
    // 65520 is the midpoint between the largest half and the next power of two.
    if magnitude >= 0x477f_f000 {
        return sign | 0x7c00;
    }
    if magnitude >= 0x3880_0000 {
        let rebased = magnitude - (112 << 23);
        return sign | round(rebased, 13) as u16;
    }
    // Below 2^-14 a half counts in steps of 2^-24; below half a step it is zero.
    let exponent = magnitude >> 23;
    if exponent < 102 {
        return sign;
    }
    let mantissa = (magnitude & 0x7f_ffff) | 0x80_0000;
    sign | round(mantissa, 126 - exponent) as u16
}

/// `value / 2^drop`, to the nearest, ties to even.
fn round(value: u32, drop: u32) -> u32 {
    let half = 1 << (drop - 1);
    let odd = (value >> drop) & 1;
    (value + half - 1 + odd) >> drop
}

/// The same value as an `f32`; every half float has one.
pub(crate) fn to_f32(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let exponent = u32::from(half >> 10) & 31;
    let mantissa = u32::from(half & 0x3ff);
    let magnitude = match exponent {
        0 => (mantissa as f32 * f32::from_bits(0x3380_0000)).to_bits(),
        31 => 0x7f80_0000 | mantissa << 13,
        _ => (exponent + 112) << 23 | mantissa << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// An `f32` rounded to what a half float can hold.
pub(crate) fn quantize(value: f32) -> f32 {
    to_f32(from_f32(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_survives_the_round_trip() {
        for bits in 0..=u16::MAX {
            let value = to_f32(bits);
            let back = from_f32(value);
            assert!(back == bits || value.is_nan() && to_f32(back).is_nan(), "{bits:#x} -> {back:#x}");
        }
    }

    #[test]
    fn rounding_goes_to_the_nearest_and_ties_to_even() {
        for bits in 0..0x7bff_u16 {
            let (low, high) = (to_f32(bits), to_f32(bits + 1));
            let middle = (low + high) / 2.0;
            let even = if bits % 2 == 0 { bits } else { bits + 1 };
            assert_eq!(from_f32(middle), even, "{bits:#x}");
            assert_eq!(from_f32(middle.next_down()), bits);
            assert_eq!(from_f32(middle.next_up()), bits + 1);
            assert_eq!(from_f32(-middle), even | 0x8000);
        }
        assert_eq!(from_f32(65_519.99), 0x7bff);
        assert_eq!(from_f32(65_520.0), 0x7c00);
        assert_eq!(from_f32(f32::INFINITY), 0x7c00);
        assert_eq!(from_f32(1e-10), 0);
    }
}
