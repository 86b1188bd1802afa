//! The generator's state: names, what is in scope, leaves of expressions.

use std::collections::BTreeMap;

use crate::choice::Choices;
use crate::shared::Sharing;
use crate::ty::{BOOL, Class, Expr, Scalar, Shape, Ty, is_float};

/// What a generated module may use beyond WGSL that every device runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// 16- and 64-bit scalars.
    pub scalars: bool,
    /// Subgroup operations, whose results depend on the subgroup's size.
    pub subgroups: bool,
    /// Indices out of bounds, for which WGSL leaves a choice.
    pub wild: bool,
}

impl Features {
    /// What all devices agree on.
    pub const PORTABLE: Self = Self { scalars: false, subgroups: false, wild: false };
    /// What the engines of this project agree on.
    pub const ALL: Self = Self { scalars: true, subgroups: true, wild: true };
}

/// How often each construct was written.
pub type Counts = BTreeMap<&'static str, u64>;

/// Something with a name that can be read, and perhaps written.
#[derive(Clone, Debug)]
pub(crate) struct Var {
    /// The text that reaches it.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// Of the floats in it.
    pub(crate) class: Option<Class>,
    pub(crate) writable: bool,
    /// Whether it has an address to take.
    pub(crate) local: bool,
    /// Added to its first index: where a workgroup's part of a buffer begins.
    pub(crate) first: &'static str,
}

impl Var {
    pub(crate) fn value(name: String, shape: Shape, class: Class) -> Self {
        Self { name, shape, class: Some(class), writable: false, local: false, first: "" }
    }

    pub(crate) fn memory(name: impl Into<String>, shape: Shape, writable: bool) -> Self {
        Self { name: name.into(), shape, class: None, writable, local: false, first: "" }
    }
}

/// A structure of the module.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) members: Vec<(String, Shape)>,
}

/// A function of the module.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) args: Vec<Ty>,
    /// What its last argument points to.
    pub(crate) pointer: Option<Shape>,
    pub(crate) result: Ty,
    /// Statements that a call runs at most.
    pub(crate) cost: u64,
}

/// Statements that an invocation runs at most.
pub(crate) const MOST_COST: u64 = 3000;

#[derive(Debug)]
pub(crate) struct Gen<'a> {
    pub(crate) choices: Choices<'a>,
    pub(crate) features: Features,
    pub(crate) counts: Counts,
    pub(crate) structs: Vec<Struct>,
    pub(crate) functions: Vec<Function>,
    pub(crate) scope: Vec<Var>,
    /// How often the innermost loop's body runs at most.
    pub(crate) times: u64,
    /// Statements run so far at most, in the function being written.
    pub(crate) cost: u64,
    /// Words of output that an invocation has.
    pub(crate) slots: usize,
    /// Of each rounded result, how far two implementations may lie apart.
    pub(crate) tolerances: Vec<f64>,
    pub(crate) sharing: Sharing,
    names: usize,
    left: usize,
}

impl<'a> Gen<'a> {
    pub(crate) fn new(choices: Choices<'a>, features: Features, nodes: usize) -> Self {
        Self {
            choices,
            features,
            counts: Counts::new(),
            structs: Vec::new(),
            functions: Vec::new(),
            scope: Vec::new(),
            times: 1,
            cost: 0,
            slots: 0,
            tolerances: Vec::new(),
            sharing: Sharing::default(),
            names: 0,
            left: nodes,
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// A name that nothing else has.
    pub(crate) fn name(&mut self, prefix: &str) -> String {
        self.names += 1;
        format!("{prefix}_{}", self.names)
    }

    /// One of a table, counted.
    pub(crate) fn choose(&mut self, table: &[&'static str]) -> &'static str {
        let what = self.choices.pick(table);
        self.count(what);
        what
    }

    /// Whether an expression so deep may grow: the whole module has a budget of nodes.
    pub(crate) fn grows(&mut self, depth: u32) -> bool {
        self.left = self.left.saturating_sub(1);
        depth > 0 && self.left > 0 && !self.choices.spent()
    }

    pub(crate) fn scalar(&mut self) -> Scalar {
        use Scalar::{Bool, F16, F32, F64, I16, I32, I64, U16, U32, U64};
        if self.features.scalars && self.choices.chance(25) {
            return self.choices.pick(&[I64, U64, F16, F64, I16, U16]);
        }
        self.choices.pick(&[U32, I32, F32, Bool])
    }

    pub(crate) fn leaf_type(&mut self) -> Ty {
        let scalar = self.scalar();
        match self.choices.below(8) {
            0..5 => Ty::Scalar(scalar),
            5..7 => Ty::Vector(self.choices.pick(&[2, 3, 4]), scalar),
            _ => Ty::Matrix(self.choices.pick(&[2, 3, 4]), self.choices.pick(&[2, 3, 4])),
        }
    }

    pub(crate) fn shape_name(&self, shape: &Shape) -> String {
        match shape {
            Shape::Leaf(ty) => ty.name(),
            Shape::Array(of, n) => format!("array<{}, {n}>", self.shape_name(of)),
            Shape::Struct(index) => self.structs[*index].name.clone(),
        }
    }

    /// The scalars, vectors and matrices of a shape, as what follows the variable's name.
    pub(crate) fn leaves(&self, shape: &Shape) -> Vec<(String, Ty)> {
        let below = |prefix: String, of: &Shape| {
            let leaves = self.leaves(of).into_iter();
            leaves.map(move |(path, ty)| (prefix.clone() + &path, ty)).collect::<Vec<_>>()
        };
        match shape {
            Shape::Leaf(ty) => vec![(String::new(), *ty)],
            Shape::Array(of, n) => (0..*n).flat_map(|i| below(format!("[{i}]"), of)).collect(),
            Shape::Struct(index) => {
                let members = self.structs[*index].members.iter();
                members.flat_map(|(name, of)| below(format!(".{name}"), of)).collect()
            }
        }
    }

    /// Whether a value of this type lies somewhere in the shape.
    fn reaches(&self, shape: &Shape, want: Ty) -> bool {
        match shape {
            Shape::Leaf(ty) if *ty == want => true,
            Shape::Leaf(Ty::Vector(_, scalar)) => want == Ty::Scalar(*scalar),
            Shape::Leaf(Ty::Matrix(_, rows)) => {
                want == Ty::Vector(*rows, Scalar::F32) || want == Ty::Scalar(Scalar::F32)
            }
            Shape::Leaf(_) => false,
            Shape::Array(of, _) => self.reaches(of, want),
            Shape::Struct(index) => self.structs[*index].members.iter().any(|(_, of)| self.reaches(of, want)),
        }
    }

    /// An index below `n`, or (where that is allowed) any.
    fn index(&mut self, n: u32, depth: u32, wild: bool) -> String {
        if self.choices.chance(50) {
            return format!("{}u", self.choices.below(n as usize));
        }
        let scalar = self.choices.pick(&[Scalar::U32, Scalar::I32]);
        let index = self.runtime(Ty::Scalar(scalar), depth.saturating_sub(1).min(1)).text;
        self.count("index at run time");
        match (scalar, wild && self.features.wild && self.choices.chance(20)) {
            (_, true) => {
                self.count("index that may be out of bounds");
                index
            }
            (Scalar::U32, _) => format!("({index} % {n}u)"),
            _ => format!("(bitcast<u32>({index}) % {n}u)"),
        }
    }

    /// What follows a variable's name to get to a value of this type.
    fn path(&mut self, shape: &Shape, want: Ty, first: &str, depth: u32) -> String {
        match shape {
            Shape::Leaf(ty) if *ty == want => String::new(),
            Shape::Leaf(Ty::Vector(n, _)) => self.component(*n, depth),
            Shape::Leaf(Ty::Matrix(columns, rows)) => {
                self.count("column of a matrix");
                let column = format!("[{}]", self.index(*columns, depth, true));
                let component =
                    if want == Ty::Scalar(Scalar::F32) { self.component(*rows, depth) } else { String::new() };
                column + &component
            }
            Shape::Leaf(_) => String::new(),
            Shape::Array(of, n) => {
                // Beyond a workgroup's part of a buffer lies another's.
                let index = self.index(*n, depth, first.is_empty());
                format!("[{first}{index}]{}", self.path(of, want, "", depth))
            }
            Shape::Struct(at) => {
                let fitting: Vec<usize> = (0..self.structs[*at].members.len())
                    .filter(|&i| self.reaches(&self.structs[*at].members[i].1, want))
                    .collect();
                let (name, of) = self.structs[*at].members[self.choices.pick(&fitting)].clone();
                self.count("member of a structure");
                format!(".{name}{}", self.path(&of, want, "", depth))
            }
        }
    }

    fn component(&mut self, n: u32, depth: u32) -> String {
        if self.choices.chance(30) {
            self.count("component by index");
            return format!("[{}]", self.index(n, depth, true));
        }
        self.count("component by name");
        format!(".{}", self.choices.pick(&["x", "y", "z", "w"][..n as usize]))
    }

    /// A variable in scope, narrowed to a value of this type.
    pub(crate) fn place(&mut self, want: Ty, depth: u32, fits: impl Fn(&Var) -> bool) -> Option<(String, Class)> {
        let found: Vec<usize> = (0..self.scope.len())
            .filter(|&i| fits(&self.scope[i]) && self.reaches(&self.scope[i].shape, want))
            .collect();
        if found.is_empty() {
            return None;
        }
        let var = self.scope[self.choices.pick(&found)].clone();
        let path = self.path(&var.shape, want, var.first, depth);
        Some((var.name + &path, var.class.unwrap_or(Class::tame(want.scalar()))))
    }

    /// A variable in scope that has exactly this shape.
    pub(crate) fn whole(&mut self, shape: &Shape, fits: impl Fn(&Var) -> bool) -> Option<Var> {
        let found: Vec<usize> = (0..self.scope.len())
            .filter(|&i| fits(&self.scope[i]) && self.scope[i].shape == *shape && self.scope[i].first.is_empty())
            .collect();
        if found.is_empty() { None } else { Some(self.scope[self.choices.pick(&found)].clone()) }
    }

    /// A variable, or a literal.
    pub(crate) fn leaf(&mut self, ty: Ty) -> Expr {
        if self.choices.chance(30) { self.literal(ty) } else { self.runtime(ty, 1) }
    }

    /// A value that no compiler knows.
    pub(crate) fn runtime(&mut self, ty: Ty, depth: u32) -> Expr {
        if depth > 0
            && self.choices.chance(80)
            && let Some((text, class)) = self.place(ty, depth, |_| true)
        {
            return Expr::new(text, ty, class);
        }
        let text = match (ty, ty.scalar()) {
            (Ty::Matrix(columns, rows), _) => {
                let column = self.runtime(Ty::Vector(rows, Scalar::F32), depth);
                let columns = vec![self.tame(column).text; columns as usize].join(", ");
                return Expr::new(format!("{}({columns})", ty.name()), ty, Class::tame(Scalar::F32));
            }
            (Ty::Vector(n, scalar), _) => {
                let one = self.runtime(Ty::Scalar(scalar), depth);
                return Expr::new(format!("vec{n}({})", one.text), ty, one.class);
            }
            (_, Scalar::Bool) => "(lane > 2u)".to_owned(),
            (_, Scalar::U32) => "lane".to_owned(),
            (_, scalar) if is_float(scalar) => return Expr::new(format!("{scalar}(lane % 8u)"), ty, Class::new(3, 0)),
            (_, scalar) => format!("{scalar}(lane)"),
        };
        Expr::new(text, ty, Class::UNIT)
    }

    /// A number written down.
    pub(crate) fn literal(&mut self, ty: Ty) -> Expr {
        if let Ty::Vector(n, scalar) = ty {
            let parts: Vec<String> = (0..n).map(|_| self.literal(Ty::Scalar(scalar)).text).collect();
            return Expr {
                constant: true,
                ..Expr::new(format!("vec{n}({})", parts.join(", ")), ty, Class::tame(scalar))
            };
        }
        if let Ty::Matrix(columns, rows) = ty {
            let column = Ty::Vector(rows, Scalar::F32);
            let parts: Vec<String> = (0..columns).map(|_| self.literal(column).text).collect();
            let text = format!("{}({})", ty.name(), parts.join(", "));
            return Expr { constant: true, ..Expr::new(text, ty, Class::tame(Scalar::F32)) };
        }
        self.count("literal");
        let (small, any) = (self.choices.below(12) as i64, i64::from(self.choices.word()));
        let edge = self.choices.chance(25);
        let number = |most: i64| if edge { any & most } else { small };
        let quarter = (small - 6) as f64;
        let text = match ty.scalar() {
            Scalar::U32 if small == 11 => "amount".to_owned(),
            Scalar::U32 => format!("{}u", number(0xffff_ffff)),
            Scalar::I32 => format!("i32({})", if edge { i64::from(any as i32) } else { small - 4 }),
            Scalar::U64 => format!("{}lu", number(0xffff_ffff)),
            Scalar::I64 => format!("i64({})", if edge { i64::from(any as i32) } else { small - 4 }),
            Scalar::U16 => format!("u16({})", number(0xffff)),
            Scalar::I16 => format!("i16({})", if edge { i64::from(any as i16) } else { small - 4 }),
            Scalar::F16 => format!("f16({:?})", quarter / 2.0),
            Scalar::F64 => format!("f64({:?})", quarter / 4.0),
            Scalar::F32 => format!("f32({:?})", quarter / 4.0),
            _ => if small % 2 == 0 { "false" } else { "true" }.to_owned(),
        };
        Expr { constant: true, ..Expr::new(text, ty, Class::tame(ty.scalar())) }
    }

    /// A condition.
    pub(crate) fn condition(&mut self, depth: u32) -> String {
        self.expr(BOOL, depth).text
    }
}
