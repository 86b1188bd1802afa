//! What may stand behind `--bind NAME=`: a file, a way to make numbers, or the numbers themselves.

use std::{path::PathBuf, str::FromStr};

use wharf_simt::Scalar;

/// Where a binding's contents come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Spec {
    /// Bytes in WGSL layout.
    Bin(PathBuf),
    /// A NumPy array.
    Npy(PathBuf),
    /// Packed little-endian scalars.
    Raw(PathBuf, Scalar),
    /// Zeroes.
    Zeros(Element, u64),
    /// Uninitialised.
    Fresh(Element, u64),
    /// 0, 1, 2, ..., components in order.
    Iota(Element, u64),
    /// SplitMix64 with this seed.
    Random(Element, u64, u64),
    /// Numbers in order.
    Values(Vec<String>),
}

/// A TYPE: a scalar, or a vector of some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) scalar: Scalar,
    /// Components; 1 for a scalar.
    pub(crate) size: u32,
}

/// What is wrong with a SPEC.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    #[error(
        "`{0}` is no SPEC: a file (.npy .f32 .u32 .i32 .bin), zeros:TYPE:N, fresh:TYPE:N, iota:TYPE:N, random:TYPE:N[:SEED] or value:V,V,..."
    )]
    Form(String),
    #[error("`{0}` is no TYPE: u32, i32, f32, f16, vecN<T> or atomic<T>")]
    Type(String),
    #[error("`{0}` is no {1}: a whole number from 0 to 2^64 - 1")]
    Number(String, &'static str),
}

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(spec) = made(text)? {
            return Ok(spec);
        }
        let path = PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("npy") => Ok(Self::Npy(path)),
            Some("bin") => Ok(Self::Bin(path)),
            Some("f32") => Ok(Self::Raw(path, Scalar::F32)),
            Some("u32") => Ok(Self::Raw(path, Scalar::U32)),
            Some("i32") => Ok(Self::Raw(path, Scalar::I32)),
            _ => Err(Error::Form(text.to_owned())),
        }
    }
}

/// The forms that begin with a word and a colon; `None` for anything else.
fn made(text: &str) -> Result<Option<Spec>, Error> {
    let Some((word, rest)) = text.split_once(':') else { return Ok(None) };
    if word == "value" {
        return Ok(Some(Spec::Values(rest.split(',').map(|v| v.trim().to_owned()).collect())));
    }
    if !["zeros", "fresh", "iota", "random"].contains(&word) {
        return Ok(None);
    }
    let form = || Error::Form(text.to_owned());
    let mut parts = rest.split(':');
    let element = parts.next().ok_or_else(form)?.parse()?;
    let n = number(parts.next().ok_or_else(form)?, "count")?;
    let seed = parts.next().map(|seed| number(seed, "seed")).transpose()?;
    if parts.next().is_some() || (seed.is_some() && word != "random") {
        return Err(form());
    }
    Ok(Some(match word {
        "zeros" => Spec::Zeros(element, n),
        "fresh" => Spec::Fresh(element, n),
        "iota" => Spec::Iota(element, n),
        _ => Spec::Random(element, n, seed.unwrap_or(0)),
    }))
}

fn number(text: &str, what: &'static str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::Number(text.to_owned(), what))
}

impl FromStr for Element {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Type(text.to_owned());
        let inner = |prefix: &str| text.strip_prefix(prefix)?.strip_prefix('<')?.strip_suffix('>');
        if let Some(name) = inner("atomic") {
            let scalar = scalar(name).filter(|s| matches!(s, Scalar::U32 | Scalar::I32)).ok_or_else(unknown)?;
            return Ok(Self { scalar, size: 1 });
        }
        for size in 2..=4 {
            if let Some(name) = inner(&format!("vec{size}")) {
                return Ok(Self { scalar: scalar(name).ok_or_else(unknown)?, size });
            }
        }
        Ok(Self { scalar: scalar(text).ok_or_else(unknown)?, size: 1 })
    }
}

fn scalar(name: &str) -> Option<Scalar> {
    [Scalar::U32, Scalar::I32, Scalar::F32, Scalar::F16].into_iter().find(|scalar| scalar.name() == name)
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.size {
            1 => write!(f, "{}", self.scalar),
            size => write!(f, "vec{size}<{}>", self.scalar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F32: Element = Element { scalar: Scalar::F32, size: 1 };

    #[test]
    fn every_form_is_understood() {
        let vec3 = Element { scalar: Scalar::U32, size: 3 };
        let atomic = Element { scalar: Scalar::I32, size: 1 };
        for (text, expected) in [
            ("zeros:f32:8", Spec::Zeros(F32, 8)),
            ("fresh:f32:0", Spec::Fresh(F32, 0)),
            ("iota:vec3<u32>:2", Spec::Iota(vec3, 2)),
            ("random:atomic<i32>:5", Spec::Random(atomic, 5, 0)),
            ("random:f32:5:42", Spec::Random(F32, 5, 42)),
            ("value:1, -2,0x3", Spec::Values(["1", "-2", "0x3"].map(str::to_owned).to_vec())),
            ("a/b.npy", Spec::Npy("a/b.npy".into())),
            ("x.bin", Spec::Bin("x.bin".into())),
            ("x.f32", Spec::Raw("x.f32".into(), Scalar::F32)),
            ("c:/x.i32", Spec::Raw("c:/x.i32".into(), Scalar::I32)),
        ] {
            assert_eq!(text.parse::<Spec>(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for text in ["", "x", "x.csv", "zeros", "zeros:f32", "zeros:f32:1:2", "iota:f32:1:2:3", "random:f32:1:2:3"] {
            assert!(matches!(text.parse::<Spec>(), Err(Error::Form(_))), "{text}");
        }
        for text in ["zeros:f64:1", "zeros:vec5<f32>:1", "zeros:atomic<f32>:1", "zeros:vec2<vec2<f32>>:1", "zeros::1"] {
            assert!(matches!(text.parse::<Spec>(), Err(Error::Type(_))), "{text}");
        }
        for text in ["zeros:f32:-1", "zeros:f32:x", "zeros:f32:99999999999999999999", "random:f32:1:"] {
            assert!(matches!(text.parse::<Spec>(), Err(Error::Number(..))), "{text}");
        }
    }
}
