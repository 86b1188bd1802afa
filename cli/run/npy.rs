//! NumPy's `.npy` files: little-endian, C order, one scalar type.
//!
//! Source: NumPy, "numpy.lib.format", versions 1.0 and 2.0.

use wharf_simt::Scalar;

const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// An array as the file has it.
#[derive(Debug, PartialEq)]
pub(crate) struct Array<'a> {
    pub(crate) scalar: Scalar,
    pub(crate) shape: Vec<u64>,
    pub(crate) data: &'a [u8],
}

/// What is wrong with a file.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    #[error("not a .npy file")]
    Magic,
    #[error("version {0}.{1} of .npy, 1.0 and 2.0 are read")]
    Version(u8, u8),
    #[error("truncated .npy file: the header needs {needs} bytes, {has} are there")]
    ShortHeader { needs: u64, has: u64 },
    #[error(".npy header without a readable {0}")]
    Header(&'static str),
    #[error("element type `{0}`, little-endian u2, i2, u4, i4, u8, i8, f2, f4 and f8 are read")]
    Type(String),
    #[error("Fortran order, C order is read: save np.ascontiguousarray(a)")]
    Fortran,
    #[error(".npy data of {has} bytes, its shape needs {needs}")]
    Size { needs: u64, has: u64 },
}

const TYPES: [(&str, Scalar); 9] = [
    ("u2", Scalar::U16),
    ("i2", Scalar::I16),
    ("u4", Scalar::U32),
    ("i4", Scalar::I32),
    ("u8", Scalar::U64),
    ("i8", Scalar::I64),
    ("f2", Scalar::F16),
    ("f4", Scalar::F32),
    ("f8", Scalar::F64),
];

/// Reads a file's bytes.
pub(crate) fn read(bytes: &[u8]) -> Result<Array<'_>, Error> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Error::Magic)?;
    let short = |needs: usize| Error::ShortHeader { needs: needs as u64, has: bytes.len() as u64 };
    let [major, minor, rest @ ..] = rest else { return Err(short(10)) };
    let (len, rest) = match (major, rest) {
        (1, [a, b, rest @ ..]) => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        (2, [a, b, c, d, rest @ ..]) => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        (1 | 2, _) => return Err(short(12)),
        _ => return Err(Error::Version(*major, *minor)),
    };
    let header = rest.get(..len).ok_or_else(|| short(bytes.len() - rest.len() + len))?;
    let header = std::str::from_utf8(header).map_err(|_| Error::Header("text"))?;
    let scalar = scalar(header)?;
    match after(header, "fortran_order").ok_or(Error::Header("fortran_order"))? {
        text if text.starts_with("False") => {}
        text if text.starts_with("True") => return Err(Error::Fortran),
        _ => return Err(Error::Header("fortran_order")),
    }
    let shape = shape(header).ok_or(Error::Header("shape"))?;
    let data = &rest[len..];
    let elements = shape.iter().try_fold(1_u64, |n, &side| n.checked_mul(side));
    let needs = elements.and_then(|n| n.checked_mul(scalar.bytes().into())).unwrap_or(u64::MAX);
    if needs != data.len() as u64 {
        return Err(Error::Size { needs, has: data.len() as u64 });
    }
    Ok(Array { scalar, shape, data })
}

/// What stands behind `'key':` in the header's dictionary.
fn after<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let at = quoted.iter().find_map(|quoted| Some(header.find(quoted)? + quoted.len()))?;
    Some(header[at..].trim_start().strip_prefix(':')?.trim_start())
}

fn scalar(header: &str) -> Result<Scalar, Error> {
    let text = after(header, "descr").ok_or(Error::Header("descr"))?;
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let Some(quote) = quote else { return Err(Error::Type("a structure".to_owned())) };
    let name = text[1..].split(quote).next().unwrap_or_default();
    let plain = name.strip_prefix(['<', '=']).unwrap_or(name);
    let found = TYPES.iter().find(|(known, _)| *known == plain);
    found.map(|&(_, scalar)| scalar).ok_or_else(|| Error::Type(name.to_owned()))
}

fn shape(header: &str) -> Option<Vec<u64>> {
    let inner = after(header, "shape")?.strip_prefix('(')?.split_once(')')?.0;
    let sides = inner.split(',').map(str::trim).filter(|side| !side.is_empty());
    sides.map(|side| side.parse().ok()).collect()
}

/// A whole file of version 1.0. `None` where NumPy has no such scalar.
pub(crate) fn write(scalar: Scalar, shape: &[u64], data: &[u8]) -> Option<Vec<u8>> {
    let (name, _) = TYPES.iter().find(|(_, known)| *known == scalar)?;
    let sides: String = shape.iter().map(|side| format!("{side}, ")).collect();
    let sides = if shape.len() > 1 { sides.trim_end_matches(", ") } else { sides.trim_end() };
    let mut header = format!("{{'descr': '<{name}', 'fortran_order': False, 'shape': ({sides}), }}");
    // The data begins at a multiple of 64 bytes, and the header ends with a line feed.
    let before = MAGIC.len() + 4;
    let padded = (before + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', padded - before - header.len() - 1));
    header.push('\n');
    let len = u16::try_from(header.len()).expect("a shape of a few sides");
    Some([&MAGIC[..], &[1, 0], &len.to_le_bytes(), header.as_bytes(), data].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for shape in [vec![], vec![0], vec![3], vec![2, 3], vec![1, 3, 2]] {
            let n = shape.iter().product::<u64>() as usize * 4;
            let data: Vec<u8> = (0..n as u8).collect();
            let file = write(Scalar::F32, &shape, &data).expect("NumPy has f4");
            assert_eq!((file.len() - n) % 64, 0);
            assert_eq!(read(&file), Ok(Array { scalar: Scalar::F32, shape, data: &data }));
        }
    }

    #[test]
    fn numpys_own_spelling_is_read_in_both_versions() {
        let header = b"{'descr': '<u4', 'fortran_order': False, 'shape': (2,), }     \n";
        let data = [1, 0, 0, 0, 2, 0, 0, 0];
        let one = [&MAGIC[..], &[1, 0], &(header.len() as u16).to_le_bytes(), header, &data].concat();
        let two = [&MAGIC[..], &[2, 0], &(header.len() as u32).to_le_bytes(), header, &data].concat();
        let expected = Array { scalar: Scalar::U32, shape: vec![2], data: &data };
        assert_eq!(read(&one).as_ref(), Ok(&expected));
        assert_eq!(read(&two).as_ref(), Ok(&expected));
    }

    #[test]
    fn every_prefix_of_a_file_is_an_error() {
        let file = write(Scalar::I32, &[4], &[7; 16]).expect("NumPy has i4");
        for end in 0..file.len() {
            assert!(read(&file[..end]).is_err(), "{end} bytes");
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let file = |descr: &str, order: &str| {
            let header = format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': (1,), }}\n");
            [&MAGIC[..], &[1, 0], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &[0; 4]].concat()
        };
        assert_eq!(read(&file("'>f4'", "False")), Err(Error::Type(">f4".to_owned())));
        assert_eq!(read(&file("[('a', '<f4')]", "False")), Err(Error::Type("a structure".to_owned())));
        assert_eq!(read(&file("'<f4'", "True")), Err(Error::Fortran));
        assert_eq!(read(&file("'<f8'", "False")), Err(Error::Size { needs: 8, has: 4 }));
        assert_eq!(read(b"\x93NUMPY\x09\0"), Err(Error::Version(9, 0)));
    }
}
