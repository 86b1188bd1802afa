//! Numbers as the command line writes them, as scalars of WGSL.

use half::f16;
use wharf_simt::Scalar;

/// The bytes of one scalar.
#[derive(Clone, Copy)]
pub(super) struct Bytes([u8; 8], pub(super) usize);

impl Bytes {
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.0[..self.1]
    }
}

impl FromIterator<u8> for Bytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> Self {
        let mut all = Self([0; 8], 0);
        for byte in bytes.into_iter().take(8) {
            all.0[all.1] = byte;
            all.1 += 1;
        }
        all
    }
}

/// The number that `text` says, where `scalar` can hold it. Integers may be hexadecimal.
pub(super) fn number(scalar: Scalar, text: &str) -> Option<Bytes> {
    let integer = || match text.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with(['+', '-'])),
        None => text.parse::<i128>().ok(),
    };
    Some(match scalar {
        Scalar::U32 => u32::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::I32 => i32::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::U16 => u16::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::I16 => i16::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::U64 => u64::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::I64 => i64::try_from(integer()?).ok()?.to_le_bytes().into_iter().collect(),
        Scalar::F16 => {
            let number = f16::from_f64(text.parse().ok()?);
            in_range(number.is_infinite(), text)?;
            number.to_le_bytes().into_iter().collect()
        }
        Scalar::F32 => {
            let number: f32 = text.parse().ok()?;
            in_range(number.is_infinite(), text)?;
            number.to_le_bytes().into_iter().collect()
        }
        Scalar::F64 => {
            let number: f64 = text.parse().ok()?;
            in_range(number.is_infinite(), text)?;
            number.to_le_bytes().into_iter().collect()
        }
        _ => return None,
    })
}

/// `inf` is infinite, `1e99` is too large.
fn in_range(is_infinite: bool, text: &str) -> Option<()> {
    (!is_infinite || !text.contains(|c: char| c.is_ascii_digit())).then_some(())
}

/// What `text` is, as [`number`] found that it is no `scalar`.
pub(super) fn refusal(scalar: Scalar, text: &str) -> String {
    let is_float = matches!(scalar, Scalar::F16 | Scalar::F32 | Scalar::F64);
    let what = if is_float && text.parse::<f64>().is_ok() { "out of the range of" } else { "no" };
    format!("{what} {scalar}")
}

/// The value of a pipeline override, or what is wrong with it. Those are finite in WGSL.
pub(super) fn override_value(scalar: Scalar, text: &str) -> Result<f64, String> {
    let value = match (scalar, text) {
        (Scalar::Bool, "true") => return Ok(1.0),
        (Scalar::Bool, "false") => return Ok(0.0),
        (Scalar::Bool, text) => text.parse().ok(),
        _ => number(scalar, text).and_then(|_| match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok().map(|n| n as f64),
            None => text.parse::<f64>().ok(),
        }),
    };
    value.filter(|value| value.is_finite()).ok_or_else(|| refusal(scalar, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_override_is_a_finite_number_of_its_type() {
        assert_eq!(override_value(Scalar::F32, "-1.5"), Ok(-1.5));
        assert_eq!(override_value(Scalar::U32, "0x10"), Ok(16.0));
        assert_eq!(override_value(Scalar::Bool, "true"), Ok(1.0));
        for (scalar, text, expected) in [
            (Scalar::F32, "1e99", "out of the range of f32"),
            (Scalar::F16, "65520", "out of the range of f16"),
            (Scalar::F32, "inf", "out of the range of f32"),
            (Scalar::F32, "true", "no f32"),
            (Scalar::U32, "1.5", "no u32"),
            (Scalar::U32, "-1", "no u32"),
            (Scalar::Bool, "yes", "no bool"),
        ] {
            assert_eq!(override_value(scalar, text), Err(expected.to_owned()), "{text}");
        }
    }
}
