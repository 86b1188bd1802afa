//! Refuses text that nests too deep for a parser that calls itself.
//!
//! naga's front end, validator and writers recurse over expressions, blocks and types, and a deep text
//! ends the whole process by exhausting the stack. Here the depth is bounded from above by a look at the
//! tokens: brackets open one level each, and every operator since the last comma or statement may be one.

use crate::error::{Error, Location};

/// The most levels: far beyond hand-written code, far below a stack of 2 MiB.
pub(crate) const MOST: usize = 1000;

/// Checks that no statement nests deeper than [`MOST`].
pub(crate) fn check(wgsl: &str) -> Result<(), Error> {
    // Levels that each open bracket adds, the innermost last; the first is the module itself.
    let mut levels: Vec<usize> = vec![0];
    let mut total = 0;
    let mut block_ended = false;
    for (at, token) in tokens(wgsl) {
        let nested = levels.len() > 1;
        let top = levels.last_mut().expect("the module's own level stays");
        // A chain of `else if` nests; a block that no `else` follows ends its statement.
        let statement_ended = std::mem::replace(&mut block_ended, token == b"}") && token != b"else";
        let set = |top: &mut usize, total: &mut usize, value: usize| {
            *total = *total - *top + value;
            *top = value;
        };
        if statement_ended {
            set(top, &mut total, 1);
        }
        match token {
            // `x[0][0]` and `f()()` nest as operators do; blocks do not outlive their braces.
            b"(" | b"[" | b"{" => {
                let value = *top + usize::from(token != b"{");
                set(top, &mut total, value);
                levels.push(1);
                total += 1;
            }
            b")" | b"]" | b"}" if nested => total -= levels.pop().expect("more than one"),
            b";" | b"," => set(top, &mut total, 1),
            b"else" => {
                let value = *top + 1;
                set(top, &mut total, value);
            }
            [first, ..] if first.is_ascii_punctuation() && *first != b'_' => {
                let value = *top + 1;
                set(top, &mut total, value);
            }
            _ => {}
        }
        if total > MOST {
            let what = format!("nests more than {MOST} levels deep");
            return Err(Error::Limit { at: Location::of(naga::Span::from(at..wgsl.len()), wgsl), what });
        }
    }
    Ok(())
}

/// Words and single punctuation characters with their offsets, comments left out.
fn tokens(text: &str) -> impl Iterator<Item = (usize, &[u8])> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            let rest = &bytes[at.min(bytes.len())..];
            let start = at;
            match rest {
                [] => return None,
                [b'/', b'/', ..] => at += rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len()),
                [b'/', b'*', ..] => at += comment(rest),
                [first, ..] if is_word(*first) => {
                    let len = rest.iter().position(|&b| !is_word(b)).unwrap_or(rest.len());
                    at += len;
                    return Some((start, &rest[..len]));
                }
                [first, ..] => {
                    at += 1;
                    if first.is_ascii_punctuation() {
                        return Some((start, &rest[..1]));
                    }
                }
            }
        }
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// The length of the block comment that `rest` begins with; such comments nest.
fn comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_deep_is_refused_with_its_place() {
        let body = |inner: String| format!("@compute @workgroup_size(1)\nfn main() {{ {inner} }}");
        let n = 2 * MOST;
        for deep in [
            body(format!("let x = 1{};", "+1".repeat(n))),
            body(format!("let x = {}1{};", "(".repeat(n), ")".repeat(n))),
            body(format!("let x = {}true;", "!".repeat(n))),
            body(format!("{}{}", "{".repeat(n), "}".repeat(n))),
            body(format!("let x = a{};", "[0]".repeat(n))),
            body(format!("if a {{ }}{}", " else if a { }".repeat(n))),
            format!("var<private> x: {}u32{};", "array<".repeat(n), ",2>".repeat(n)),
        ] {
            match check(&deep) {
                Err(Error::Limit { at: Some(_), .. }) => {}
                other => panic!("{other:?}: {}", &deep[..80]),
            }
        }
    }

    #[test]
    fn what_is_long_but_flat_passes() {
        let list = vec!["-1.5"; 10_000].join(", ");
        let lines = "x += 1; if x > 3 { y = -x; } else { y = x; }\n if x == 3 && y == 4 { } else { }\n".repeat(900);
        let text = format!("/* /* ((((( */ */ // (((((\nconst a = array({list});\nfn f() {{ {lines} }}");
        assert_eq!(check(&text), Ok(()));
    }

    #[test]
    fn unbalanced_text_is_left_to_the_parser() {
        assert_eq!(check(")))}}]] /* never closed"), Ok(()));
        assert_eq!(check(""), Ok(()));
        assert_eq!(check("ä := (♥"), Ok(()));
    }
}
