//! Statements that declare, assign, call and write output.

use crate::flow::Context;
use crate::generator::{Gen, MOST_COST, Var};
use crate::tree::Stmt;
use crate::ty::{Class, F32, Scalar, Shape, Ty};

pub(crate) const STATEMENTS: &[&str] = &[
    "let",
    "let of a whole",
    "var",
    "var without a value",
    "const",
    "assign",
    "compound assign",
    "increment",
    "assign whole",
    "pointer let",
    "phony assign",
    "block",
    "call statement",
    "pointer argument",
    "output",
    "rounded output",
];

impl Gen<'_> {
    /// Some statements, with a scope of their own.
    pub(crate) fn block(&mut self, most: usize, context: &Context) -> Vec<Stmt> {
        let outer = self.scope.len();
        let mut out = Vec::new();
        for _ in 0..=self.choices.below(most) {
            self.statement(context, &mut out);
        }
        self.scope.truncate(outer);
        out
    }

    /// One statement or a few that belong together.
    pub(crate) fn statement(&mut self, context: &Context, out: &mut Vec<Stmt>) {
        self.cost += self.times;
        if context.entry && self.shared_statement(out) {
            return;
        }
        let deeper = Context { depth: context.depth.saturating_sub(1), ..context.clone() };
        let pick =
            if context.depth == 0 || self.cost > MOST_COST { self.choices.below(16) } else { self.choices.below(26) };
        match pick {
            0 | 1 => self.declare_let(out),
            2 | 3 => self.declare_var(out),
            4..9 => self.assign(out),
            9 => self.assign_whole(out),
            10 => self.pointer(out),
            11 => self.call_statement(out),
            12 | 13 if context.entry => self.output(out),
            12 => self.small_statement(out),
            13 if context.depth == 0 => self.small_statement(out),
            13..16 => self.leave(context, out),
            16..19 => self.branch(&deeper, out),
            19 | 20 => self.switch(&deeper, out),
            21 | 22 => self.count_loop(&deeper, out),
            23 => self.while_loop(&deeper, out),
            24 => self.bare_loop(&deeper, out),
            _ => {
                self.count("block");
                out.push(Stmt::Nest { head: "{".into(), body: self.block(3, &deeper), tail: "}".into() });
            }
        }
    }

    fn declare_let(&mut self, out: &mut Vec<Stmt>) {
        let name = self.name("v");
        if self.choices.chance(20) {
            self.count("let of a whole");
            let shape = self.shape(2);
            let value = self.composite(&shape, 2);
            // A `let` of constants is a constant to naga; a variable between is not.
            let ty = self.shape_name(&shape);
            out.push(Stmt::Line(format!("var {name}_0: {ty} = {value}; let {name} = {name}_0;")));
            self.scope.push(Var::memory(name, shape, false));
            return;
        }
        let ty = self.leaf_type();
        let value = self.expr(ty, 4);
        // An override's value is not there yet when a `const` is.
        if value.constant && !value.text.contains("amount") {
            self.count("const");
            out.push(Stmt::Line(format!("const {name}: {} = {};", ty.name(), value.text)));
            return;
        }
        let value = if value.constant { self.runtime(ty, 1) } else { value };
        self.count("let");
        out.push(Stmt::Line(format!("let {name} = {};", value.text)));
        self.scope.push(Var::value(name, Shape::Leaf(ty), value.class));
    }

    fn declare_var(&mut self, out: &mut Vec<Stmt>) {
        let shape = self.shape(2);
        let name = self.name("v");
        let ty = self.shape_name(&shape);
        if self.choices.chance(25) {
            self.count("var without a value");
            out.push(Stmt::Line(format!("var {name}: {ty};")));
        } else {
            self.count("var");
            let value = self.composite(&shape, 3);
            out.push(Stmt::Line(format!("var {name}: {ty} = {value};")));
        }
        self.scope.push(Var { local: true, ..Var::memory(name, shape, true) });
    }

    /// The shape of a new variable.
    pub(crate) fn shape(&mut self, depth: u32) -> Shape {
        match self.choices.below(8) {
            0..4 => Shape::Leaf(self.leaf_type()),
            4 | 5 if depth > 0 => {
                let n = 1 + self.choices.below(4) as u32;
                Shape::Array(Box::new(self.shape(depth - 1)), n)
            }
            6 | 7 if !self.structs.is_empty() => Shape::Struct(self.choices.below(self.structs.len())),
            _ => Shape::Leaf(self.leaf_type()),
        }
    }

    /// A value of any shape.
    pub(crate) fn composite(&mut self, shape: &Shape, depth: u32) -> String {
        if let Shape::Leaf(ty) = shape {
            return self.tamed(*ty, depth).text;
        }
        if self.choices.chance(40)
            && let Some(var) = self.whole(shape, |_| true)
        {
            return var.name;
        }
        let name = self.shape_name(shape);
        let parts: Vec<String> = match shape {
            Shape::Array(of, n) => (0..*n).map(|_| self.composite(of, depth.min(1))).collect(),
            Shape::Struct(at) => {
                let members = self.structs[*at].members.clone();
                members.iter().map(|(_, of)| self.composite(of, depth.min(1))).collect()
            }
            Shape::Leaf(_) => Vec::new(),
        };
        format!("{name}({})", parts.join(", "))
    }

    fn assign(&mut self, out: &mut Vec<Stmt>) {
        let ty = self.leaf_type();
        let Some((place, _)) = self.place(ty, 2, |var| var.writable) else {
            return self.declare_var(out);
        };
        if matches!(ty, Ty::Scalar(Scalar::I32 | Scalar::U32)) && self.choices.chance(15) {
            self.count("increment");
            let op = self.choices.pick(&["++", "--"]);
            out.push(Stmt::Line(format!("{place}{op};")));
            return;
        }
        if matches!(ty.scalar(), Scalar::I32 | Scalar::U32) && self.choices.chance(35) {
            self.count("compound assign");
            let op = self.choices.pick(&["+=", "-=", "*=", "^=", "|=", "&=", "<<=", ">>=", "/=", "%="]);
            let value = if matches!(op, "<<=" | ">>=" | "/=" | "%=") {
                let operand = if op.len() == 3 { ty.of(Scalar::U32) } else { ty };
                self.runtime(operand, 1)
            } else {
                self.expr(ty, 3)
            };
            out.push(Stmt::Line(format!("{place} {op} {};", value.text)));
            return;
        }
        self.count("assign");
        let value = self.tamed(ty, 4);
        out.push(Stmt::Line(format!("{place} = {};", value.text)));
    }

    fn assign_whole(&mut self, out: &mut Vec<Stmt>) {
        let composite = |var: &Var| var.writable && !matches!(var.shape, Shape::Leaf(_)) && var.first.is_empty();
        let found: Vec<Var> = self.scope.iter().filter(|var| composite(var)).cloned().collect();
        if found.is_empty() {
            return self.declare_var(out);
        }
        let var = &found[self.choices.below(found.len())];
        self.count("assign whole");
        let value = self.composite(&var.shape, 2);
        out.push(Stmt::Line(format!("{} = {value};", var.name)));
    }

    /// A pointer to a variable or a part of it, to be used in its place.
    fn pointer(&mut self, out: &mut Vec<Stmt>) {
        let found: Vec<Var> = self.scope.iter().filter(|var| var.local).cloned().collect();
        if found.is_empty() {
            return self.declare_var(out);
        }
        let var = found[self.choices.below(found.len())].clone();
        let (path, shape) = match &var.shape {
            Shape::Array(of, n) => (format!("[{}]", self.choices.below(*n as usize)), (**of).clone()),
            Shape::Struct(at) => {
                let (name, of) = self.structs[*at].members[0].clone();
                (format!(".{name}"), of)
            }
            Shape::Leaf(_) => (String::new(), var.shape.clone()),
        };
        self.count("pointer let");
        let name = self.name("p");
        out.push(Stmt::Line(format!("let {name} = &{}{path};", var.name)));
        self.scope.push(Var::memory(format!("(*{name})"), shape, true));
    }

    fn call_statement(&mut self, out: &mut Vec<Stmt>) {
        let left = MOST_COST.saturating_sub(self.cost);
        let found: Vec<usize> =
            (0..self.functions.len()).filter(|&i| self.times * self.functions[i].cost < left).collect();
        if found.is_empty() {
            return self.assign(out);
        }
        let at = self.choices.pick(&found);
        let (types, pointer) = (self.functions[at].args.clone(), self.functions[at].pointer.clone());
        let mut args: Vec<String> = types.into_iter().map(|ty| self.tamed(ty, 2).text).collect();
        if let Some(shape) = pointer {
            let Some(var) = self.whole(&shape, |var| var.local && var.writable) else {
                return self.assign(out);
            };
            self.count("pointer argument");
            args.push(format!("&{}", var.name));
        }
        self.cost += self.times * self.functions[at].cost;
        self.count("call statement");
        let call = format!("{}({})", self.functions[at].name, args.join(", "));
        let ty = self.functions[at].result;
        if self.choices.chance(50) {
            let name = self.name("v");
            out.push(Stmt::Line(format!("let {name} = {call};")));
            self.scope.push(Var::value(name, Shape::Leaf(ty), Class::tame(ty.scalar())));
        } else {
            out.push(Stmt::Line(format!("{call};")));
        }
    }

    pub(crate) fn small_statement(&mut self, out: &mut Vec<Stmt>) {
        self.count("phony assign");
        let ty = self.leaf_type();
        let value = self.runtime(ty, 1);
        out.push(Stmt::Line(format!("_ = {};", value.text)));
    }

    /// A value that can be seen from outside.
    fn output(&mut self, out: &mut Vec<Stmt>) {
        if self.choices.chance(60) {
            self.count("rounded output");
            let value = self.real(3);
            let slot = self.tolerances.len();
            // Two implementations may err in opposite directions.
            self.tolerances.push(2.0 * value.error);
            out.push(Stmt::Line(format!("reals[flat * REALS + {slot}u] = {};", value.text)));
            return;
        }
        let scalar = self.scalar();
        let value = self.tamed(Ty::Scalar(scalar), 4);
        let value = if value.constant { self.runtime(value.ty, 1) } else { value };
        let value = self.tame(value);
        self.write_slot(&value.text, scalar, out);
    }

    /// Writes a scalar to the next word of output.
    pub(crate) fn write_slot(&mut self, text: &str, scalar: Scalar, out: &mut Vec<Stmt>) {
        self.count("output");
        let word = self.as_word(text, scalar);
        out.push(Stmt::Line(format!("out[flat * SLOTS + {}u] = {word};", self.slots)));
        self.slots += 1;
    }

    /// Writes every scalar that is in scope, so that nothing computed goes unseen.
    pub(crate) fn dump(&mut self, out: &mut Vec<Stmt>, most: usize) {
        let vars: Vec<Var> = self.scope.iter().filter(|var| var.first.is_empty()).cloned().collect();
        let written = self.slots;
        for var in vars.iter().rev() {
            for (path, ty) in self.leaves(&var.shape) {
                if self.slots - written >= most {
                    return;
                }
                let text = format!("{}{path}", var.name);
                match ty {
                    Ty::Scalar(scalar) => self.write_slot(&text, scalar, out),
                    Ty::Vector(n, scalar) => {
                        for component in &["x", "y", "z", "w"][..n as usize] {
                            self.write_slot(&format!("{text}.{component}"), scalar, out);
                        }
                    }
                    Ty::Matrix(columns, rows) => {
                        let last = format!("{text}[{}][{}]", columns - 1, rows - 1);
                        self.write_slot(&format!("{text}[0].y"), F32.scalar(), out);
                        self.write_slot(&last, F32.scalar(), out);
                    }
                }
            }
        }
    }
}
