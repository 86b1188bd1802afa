//! Exits to where control goes anyway: a `return` at the end of the function, a `break` at that of a clause.
//!
//! naga ends every branch at a function's end by a `return` of its own. Without those such a branch is not
//! one that parts the workgroup for good.

use std::collections::HashSet;

use super::{Label, Node};

/// Drops each exit that leaves nothing out, and opens each scope that nothing exits.
pub(crate) fn exits(body: &mut Vec<Node>) {
    list(body, &mut Vec::new(), &mut HashSet::new());
}

/// `ends` are the scopes that end where this list does; `left` become those that something exits.
fn list(nodes: &mut Vec<Node>, ends: &mut Vec<Label>, left: &mut HashSet<Label>) {
    while let Some(Node::Exit(label)) = nodes.last()
        && ends.contains(label)
    {
        nodes.pop();
    }
    let last = nodes.len().saturating_sub(1);
    let mut kept = Vec::with_capacity(nodes.len());
    for (index, mut node) in nodes.drain(..).enumerate() {
        let mut none = Vec::new();
        let ends = if index == last { &mut *ends } else { &mut none };
        match &mut node {
            Node::If { accept, reject, .. } => {
                list(accept, ends, left);
                list(reject, ends, left);
            }
            Node::Scope { label, body } => {
                ends.push(*label);
                list(body, ends, left);
                ends.pop();
                if !left.contains(label) {
                    kept.append(body);
                    continue;
                }
            }
            // Behind its last node comes its first.
            Node::Loop { body, .. } => list(body, &mut Vec::new(), left),
            Node::Exit(label) => {
                left.insert(*label);
            }
            Node::Inst(_) | Node::Barrier { .. } => {}
        }
        kept.push(node);
    }
    *nodes = kept;
}

#[cfg(test)]
mod tests {
    use naga::Span;

    use super::*;

    fn scope(label: Label, body: Vec<Node>) -> Node {
        Node::Scope { label, body }
    }

    fn branch(accept: Vec<Node>, reject: Vec<Node>) -> Node {
        Node::If { cond: 0, accept, reject }
    }

    /// A list in short: `{label ...}`, `(accept|reject)`, `[loop]`, `label` for an exit.
    fn spell(nodes: &[Node]) -> String {
        let of = |node: &Node| match node {
            Node::If { accept, reject, .. } => format!("({}|{})", spell(accept), spell(reject)),
            Node::Scope { label, body } => format!("{{{label} {}}}", spell(body)),
            Node::Loop { body, .. } => format!("[{}]", spell(body)),
            Node::Exit(label) => label.to_string(),
            Node::Inst(_) | Node::Barrier { .. } => "-".into(),
        };
        nodes.iter().map(of).collect::<Vec<_>>().join(" ")
    }

    fn without(mut nodes: Vec<Node>) -> String {
        exits(&mut nodes);
        spell(&nodes)
    }

    #[test]
    fn exits_at_the_end_go() {
        let both = branch(vec![Node::Exit(0)], vec![scope(1, vec![branch(vec![Node::Exit(1)], vec![Node::Exit(0)])])]);
        assert_eq!(without(vec![scope(0, vec![both])]), "(|(|))");
    }

    #[test]
    fn exits_that_leave_something_out_stay() {
        let early = branch(vec![Node::Exit(0)], vec![]);
        let late = branch(vec![], vec![Node::Exit(0)]);
        assert_eq!(without(vec![scope(0, vec![early, late])]), "{0 (0|) (|)}");
    }

    #[test]
    fn a_loop_does_not_end_where_its_body_does() {
        let body = vec![scope(1, vec![branch(vec![Node::Exit(0)], vec![Node::Exit(1)])])];
        let around = vec![scope(0, vec![Node::Loop { body, at: Span::default() }])];
        assert_eq!(without(around), "{0 [(0|)]}");
    }
}
