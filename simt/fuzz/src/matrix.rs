//! Matrices of every shape, with every operator, in every kind of memory.

use std::fmt::Write;

use crate::choice::Choices;
use crate::corner::Corner;

/// Columns of small whole numbers, so that nothing is rounded.
type Matrix = Vec<Vec<i32>>;

/// Writes the checks.
struct Writer {
    scalar: &'static str,
    choices: Choices<'static>,
    members: String,
    body: String,
    checks: usize,
}

/// The program for `f32` or `f16`.
pub(crate) fn corner(scalar: &'static str) -> Corner {
    let choices = Choices::from_seed(scalar.len() as u64 + u64::from(scalar == "f16"));
    let mut writer = Writer { scalar, choices, members: String::new(), body: String::new(), checks: 0 };
    for columns in 2..=4 {
        for rows in 2..=4 {
            writer.shape(columns, rows);
        }
    }
    let Writer { members, body, .. } = writer;
    let wgsl = format!(
        "{}struct All {{ {members} }}
@group(0) @binding(2) var<storage, read_write> buffer: All;
var<workgroup> shared_all: All;
var<private> own: All;
@compute @workgroup_size(1)
fn main() {{
    let zero = src[0];
    let one = src[1];
{body}}}
",
        if scalar == "f16" { "enable f16;\n" } else { "" }
    );
    Corner::new(&format!("matrices of {scalar}"), &wgsl)
}

impl Writer {
    fn matrix(&mut self, columns: usize, rows: usize) -> Matrix {
        (0..columns).map(|_| (0..rows).map(|_| self.choices.below(7) as i32 - 3).collect()).collect()
    }

    fn vector(&self, values: &[i32]) -> String {
        let list: Vec<String> = values.iter().map(|value| format!("{value}.0")).collect();
        format!("vec{}<{}>({})", values.len(), self.scalar, list.join(", "))
    }

    /// The matrix in WGSL; `one` keeps it from being evaluated early.
    fn literal(&self, matrix: &Matrix) -> String {
        let columns: Vec<String> = matrix.iter().map(|column| self.vector(column)).collect();
        let (size, rows) = (matrix.len(), matrix[0].len());
        format!("(mat{size}x{rows}<{0}>({1}) * {0}(one))", self.scalar, columns.join(", "))
    }

    /// A check of every element at once: each has a weight of its own.
    fn check(&mut self, expression: &str, right: &Matrix) {
        let (mut sum, mut weight, mut terms) = (0, 0, String::from("0.0"));
        for (c, column) in right.iter().enumerate() {
            for (r, value) in column.iter().enumerate() {
                weight += 1;
                sum += weight * value;
                let _ = write!(terms, " + f32(t[{c}][{r}]) * {weight}.0");
            }
        }
        let _ = writeln!(self.body, "    {{ let t = {expression}; ef({}u, {terms}, {sum}.0); }}", self.checks);
        self.checks += 1;
    }

    fn shape(&mut self, columns: usize, rows: usize) {
        let (a, b) = (self.matrix(columns, rows), self.matrix(columns, rows));
        let (left, right) = (self.matrix(2, rows), self.matrix(2, columns));
        let (name, scalar) = (format!("m{columns}{rows}"), self.scalar);
        let ty = format!("mat{columns}x{rows}<{scalar}>");
        let _ = write!(self.members, "{name}: {ty}, list{name}: array<{ty}, 2>, ");
        let (one, other) = (self.literal(&a), self.literal(&b));
        let _ = writeln!(self.body, "    var {name} = {one};");

        let pair = |f: &dyn Fn(usize) -> Vec<i32>| -> Matrix { (0..2).map(f).collect() };
        let (v, w) = ([self.vector(&right[0]), self.vector(&right[1])], [self.vector(&left[0]), self.vector(&left[1])]);
        let both = |size: usize, x: String, y: String| format!("mat2x{size}<{scalar}>({x}, {y})");
        let times = |vector: &[i32]| product(&a, &vec![vector.to_vec()]).swap_remove(0);
        let text = both(rows, format!("{name} * {}", v[0]), format!("{name} * {}", v[1]));
        self.check(&text, &pair(&|i| times(&right[i])));
        let text = both(columns, format!("{} * {name}", w[0]), format!("{} * {name}", w[1]));
        let dot = |x: &[i32], y: &[i32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<i32>();
        self.check(&text, &pair(&|i| a.iter().map(|column| dot(column, &left[i])).collect()));
        for size in 2..=4 {
            let factor = self.matrix(size, columns);
            let text = format!("{name} * {}", self.literal(&factor));
            self.check(&text, &product(&a, &factor));
        }
        let each = |f: &dyn Fn(i32, i32) -> i32| -> Matrix {
            a.iter().zip(&b).map(|(a, b)| a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()).collect()
        };
        self.check(&format!("{name} + {other}"), &each(&|a, b| a + b));
        self.check(&format!("{name} - {scalar}(2.0) * {other}"), &each(&|a, b| a - 2 * b));
        let turned = (0..rows).map(|r| a.iter().map(|column| column[r]).collect()).collect();
        self.check(&format!("transpose({name})"), &turned);

        // Through storage, workgroup and private memory, indexed at run time on the way.
        let mut moved = a.clone();
        moved[1][0] += 1;
        moved[0][1] -= 2;
        moved.swap(0, 1);
        let _ = writeln!(
            self.body,
            "    buffer.{name} = {name};
    buffer.{name}[one][zero] += 1.0;
    shared_all.{name} = buffer.{name};
    own.{name} = shared_all.{name};
    own.{name}[zero][one] -= 2.0;
    buffer.list{name}[one] = own.{name};
    let kept{name} = buffer.list{name}[one][zero];
    buffer.list{name}[one][zero] = buffer.list{name}[one][one];
    buffer.list{name}[one][one] = kept{name};"
        );
        self.check(&format!("buffer.list{name}[one]"), &moved);
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let rows = a[0].len();
    b.iter().map(|column| (0..rows).map(|r| a.iter().zip(column).map(|(a, b)| a[r] * b).sum()).collect()).collect()
}
