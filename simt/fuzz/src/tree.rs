//! Program text as a tree of statements, so that statements can be dropped.

use std::fmt::Write;

/// A declaration or a statement.
#[derive(Clone, Debug)]
pub(crate) enum Stmt {
    /// May be dropped: what is left is still free of races and ends, if it is valid at all.
    Line(String),
    /// Stays: a barrier, a loop's step, a function's result.
    Fixed(String),
    /// A head, statements, a tail.
    Nest {
        /// `if x {`
        head: String,
        /// What stands between.
        body: Vec<Stmt>,
        /// `}`
        tail: String,
    },
}

impl Stmt {
    /// Statements between `head {` and `}`.
    pub(crate) fn nest(head: impl Into<String>, body: Vec<Self>) -> Self {
        Self::Nest { head: format!("{} {{", head.into()), body, tail: "}".into() }
    }
}

/// The text.
pub(crate) fn print(items: &[Stmt]) -> String {
    let mut out = String::new();
    write(items, 0, &mut out);
    out
}

fn write(items: &[Stmt], depth: usize, out: &mut String) {
    let line = |depth: usize, text: &str, out: &mut String| {
        let _ = writeln!(out, "{:1$}{text}", "", depth * 4);
    };
    for item in items {
        match item {
            Stmt::Line(text) | Stmt::Fixed(text) => line(depth, text, out),
            Stmt::Nest { head, body, tail } => {
                line(depth, head, out);
                write(body, depth + 1, out);
                // The first parts of an `else` chain have none.
                if !tail.is_empty() {
                    line(depth, tail, out);
                }
            }
        }
    }
}

/// How many pieces can be dropped.
pub(crate) fn pieces(items: &[Stmt]) -> usize {
    let own = |item: &Stmt| match item {
        Stmt::Line(_) => 1,
        Stmt::Fixed(_) => 0,
        Stmt::Nest { body, .. } => 1 + pieces(body),
    };
    items.iter().map(own).sum()
}

/// The tree without the pieces whose numbers (outer before inner, first before last) lie in `dropped`.
pub(crate) fn without(items: &[Stmt], dropped: &std::ops::Range<usize>) -> Vec<Stmt> {
    prune(items, dropped, &mut 0)
}

fn prune(items: &[Stmt], dropped: &std::ops::Range<usize>, next: &mut usize) -> Vec<Stmt> {
    let mut kept = Vec::new();
    for item in items {
        match item {
            Stmt::Fixed(_) => kept.push(item.clone()),
            Stmt::Line(_) => {
                if !dropped.contains(next) {
                    kept.push(item.clone());
                }
                *next += 1;
            }
            Stmt::Nest { head, body, tail } => {
                let gone = dropped.contains(next);
                *next += 1;
                if gone {
                    *next += pieces(body);
                } else {
                    let body = prune(body, dropped, next);
                    kept.push(Stmt::Nest { head: head.clone(), body, tail: tail.clone() });
                }
            }
        }
    }
    kept
}
