//! Control flow. Whatever is written ends: loops count on a variable of their own.

use crate::generator::{Gen, Var};
use crate::tree::Stmt;
use crate::ty::{Class, I32, Shape, Ty, U32};

pub(crate) const FLOW: &[&str] = &[
    "if",
    "else",
    "else if",
    "switch",
    "several selectors",
    "default with selectors",
    "for",
    "while",
    "loop",
    "continuing",
    "break if",
    "break",
    "break of a switch",
    "continue",
    "continue in a switch",
    "return",
];

/// Where a statement stands.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    /// How deep statements may still nest.
    pub(crate) depth: u32,
    /// Whether `continue` may stand here.
    pub(crate) in_loop: bool,
    /// Whether the innermost thing to break out of is a loop.
    pub(crate) breaks_loop: bool,
    /// Whether it is a switch.
    pub(crate) breaks_switch: bool,
    /// What may be returned from here: nothing at all, no value, a value.
    pub(crate) returns: Option<Option<Ty>>,
    /// Whether this is the entry point, which has outputs.
    pub(crate) entry: bool,
}

impl Gen<'_> {
    /// Leaves a loop, a switch or the function, on a condition.
    pub(crate) fn leave(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        let mut ways: Vec<&'static str> = Vec::new();
        ways.extend(context.breaks_loop.then_some("break"));
        ways.extend(context.breaks_switch.then_some("break of a switch"));
        ways.extend(context.in_loop.then_some("continue"));
        ways.extend((context.in_loop && context.breaks_switch).then_some("continue in a switch"));
        ways.extend(context.returns.is_some().then_some("return"));
        if ways.is_empty() {
            return self.small_statement(out);
        }
        let way = self.choose(&ways);
        let text = match (way, context.returns) {
            ("return", Some(Some(ty))) => format!("return {};", self.tamed(ty, 2).text),
            ("return", _) => "return;".to_owned(),
            ("continue" | "continue in a switch", _) => "continue;".to_owned(),
            _ => "break;".to_owned(),
        };
        let cond = self.condition(3);
        out.push(Stmt::nest(format!("if {cond}"), vec![Stmt::Line(text)]));
    }

    pub(crate) fn branch(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.count("if");
        let cond = self.condition(3);
        let body = self.block(3, context);
        if !self.choices.chance(50) {
            out.push(Stmt::nest(format!("if {cond}"), body));
            return;
        }
        self.count("else");
        let mut rest = vec![Stmt::Nest { head: format!("if {cond} {{"), body, tail: String::new() }];
        if self.choices.chance(30) {
            self.count("else if");
            let cond = self.condition(2);
            let body = self.block(2, context);
            rest.push(Stmt::Nest { head: format!("}} else if {cond} {{"), body, tail: String::new() });
        }
        let body = self.block(3, context);
        rest.push(Stmt::Nest { head: "} else {".into(), body, tail: String::new() });
        rest.push(Stmt::Fixed("}".into()));
        out.push(Stmt::Nest { head: "{".into(), body: rest, tail: "}".into() });
    }

    pub(crate) fn switch(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.count("switch");
        let context = Context { breaks_loop: false, breaks_switch: true, ..context.clone() };
        let signed = self.choices.chance(40);
        let value = self.expr(if signed { I32 } else { U32 }, 3);
        let value = if value.constant { self.runtime(value.ty, 1) } else { value };
        let (head, suffix) = if signed {
            (format!("switch {} % 6i", value.text), "i")
        } else {
            (format!("switch {} % 6u", value.text), "u")
        };
        let mut clauses = Vec::new();
        let mut next = if signed { -2 } else { 0 };
        let default = self.choices.below(3);
        for i in 0..3 {
            let mut selectors: Vec<String> = Vec::new();
            for _ in 0..1 + self.choices.below(2) {
                selectors.push(format!("{next}{suffix}"));
                next += 1;
            }
            if selectors.len() > 1 {
                self.count("several selectors");
            }
            let body = self.block(2, &context);
            if i == default {
                let alone = self.choices.chance(50);
                if !alone {
                    self.count("default with selectors");
                }
                let head =
                    if alone { "default {".to_owned() } else { format!("case {}, default {{", selectors.join(", ")) };
                clauses.push(Stmt::Nest { head, body, tail: "}".into() });
            } else {
                clauses.push(Stmt::Nest { head: format!("case {}: {{", selectors.join(", ")), body, tail: "}".into() });
            }
        }
        out.push(Stmt::nest(head, clauses));
    }

    /// How often a loop runs at most, and the text that says how often it does.
    fn trips(&mut self) -> (u64, String) {
        let most = if self.times > 30 { 2 } else { 1 + self.choices.below(5) as u64 };
        let value = self.runtime(U32, 1);
        (most, format!("{} % {}u", value.text, most + 1))
    }

    /// The body of a loop; `name` counts its rounds and cannot be written.
    fn loop_body(&mut self, name: &str, most: u64, context: &Context) -> Vec<Stmt> {
        let context = Context { in_loop: true, breaks_loop: true, breaks_switch: false, ..context.clone() };
        let (outer, times) = (self.scope.len(), self.times);
        self.times *= most;
        self.scope.push(Var::value(name.to_owned(), Shape::Leaf(U32), Class::UNIT));
        let body = self.block(4, &context);
        self.scope.truncate(outer);
        self.times = times;
        body
    }

    pub(crate) fn count_loop(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.count("for");
        let (most, trips) = self.trips();
        let name = self.name("i");
        let body = self.loop_body(&name, most, context);
        let step = self.choices.pick(&["++", " += 1u"]);
        out.push(Stmt::nest(format!("for (var {name} = 0u; {name} < {trips}; {name}{step})"), body));
    }

    pub(crate) fn while_loop(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.count("while");
        let (most, trips) = self.trips();
        let name = self.name("i");
        let mut body = vec![Stmt::Fixed(format!("{name} -= 1u;"))];
        body.extend(self.loop_body(&name, most, context));
        let declared = Stmt::Fixed(format!("var {name} = {trips};"));
        let whole = Stmt::nest(format!("while {name} > 0u"), body);
        out.push(Stmt::Nest { head: "{".into(), body: vec![declared, whole], tail: "}".into() });
    }

    pub(crate) fn bare_loop(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.count("loop");
        let (most, trips) = self.trips();
        let name = self.name("i");
        let mut body = vec![Stmt::Fixed(format!("if {name} == 0u {{ break; }} {name} -= 1u;"))];
        body.extend(self.loop_body(&name, most, context));
        self.count("continuing");
        let inner =
            Context { depth: 0, in_loop: false, breaks_loop: false, breaks_switch: false, returns: None, entry: false };
        let mut last = Vec::new();
        if self.choices.chance(60) {
            let (outer, times) = (self.scope.len(), self.times);
            self.times *= most;
            self.statement(&inner, &mut last);
            self.times = times;
            self.scope.truncate(outer);
        }
        if self.choices.chance(50) {
            self.count("break if");
            let cond = self.condition(2);
            last.push(Stmt::Line(format!("break if {cond};")));
        }
        body.push(Stmt::nest("continuing", last));
        let declared = Stmt::Fixed(format!("var {name} = {trips};"));
        let whole = Stmt::nest("loop", body);
        out.push(Stmt::Nest { head: "{".into(), body: vec![declared, whole], tail: "}".into() });
    }
}
