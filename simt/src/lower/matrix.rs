//! Linear algebra, column after column.

use std::rc::Rc;

use naga::TypeInner;

use super::Lower;
use crate::ir::Reg;
use crate::layout::Scalar;

impl Lower<'_> {
    /// The linear-algebra product, where one side is a matrix and the other no scalar.
    pub(super) fn matrix_product(
        &mut self,
        scalar: Scalar,
        shapes: (&TypeInner, &TypeInner),
        (a, b): (&[Reg], &[Reg]),
    ) -> Option<Rc<[Reg]>> {
        use TypeInner::{Matrix, Vector};
        match shapes {
            (Matrix { columns, rows, .. }, Vector { .. }) => {
                Some(self.matrix_vector(scalar, a, b, *columns as usize, *rows as usize))
            }
            (Vector { .. }, Matrix { rows, .. }) => {
                Some(b.chunks(*rows as usize).map(|column| self.dot(scalar, a, column)).collect())
            }
            (Matrix { columns, rows, .. }, Matrix { rows: inner, .. }) => {
                let mut out = Vec::new();
                for column in b.chunks(*inner as usize) {
                    let product = self.matrix_vector(scalar, a, column, *columns as usize, *rows as usize);
                    out.extend_from_slice(&product);
                }
                Some(out.into())
            }
            _ => None,
        }
    }

    fn matrix_vector(
        &mut self,
        scalar: Scalar,
        matrix: &[Reg],
        vector: &[Reg],
        columns: usize,
        rows: usize,
    ) -> Rc<[Reg]> {
        (0..rows)
            .map(|row| {
                let line: Vec<Reg> = (0..columns).map(|column| matrix[column * rows + row]).collect();
                self.dot(scalar, &line, vector)
            })
            .collect()
    }

    pub(super) fn transpose(matrix: &[Reg], rows: usize) -> Rc<[Reg]> {
        let columns = matrix.len() / rows;
        (0..matrix.len()).map(|i| matrix[(i % columns) * rows + i / columns]).collect()
    }

    /// The determinant of a square matrix, by cofactors of its first row.
    pub(super) fn determinant(&mut self, scalar: Scalar, matrix: &[Reg], n: usize) -> Reg {
        if n == 1 {
            return matrix[0];
        }
        let mut sum: Option<Reg> = None;
        for column in 0..n {
            let minor = minor(matrix, n, column, 0);
            let part = self.determinant(scalar, &minor, n - 1);
            let term = self.mul(scalar, matrix[column * n], part);
            sum = Some(match sum {
                None => term,
                Some(sum) if column % 2 == 1 => self.sub(scalar, sum, term),
                Some(sum) => self.add(scalar, sum, term),
            });
        }
        sum.unwrap_or(matrix[0])
    }

    /// The inverse of a square matrix: its adjugate over its determinant.
    pub(super) fn inverse(&mut self, scalar: Scalar, matrix: &[Reg], n: usize) -> Rc<[Reg]> {
        let determinant = self.determinant(scalar, matrix, n);
        let mut out = Vec::new();
        for column in 0..n {
            for row in 0..n {
                // The adjugate is the transpose of the cofactors.
                let minor = minor(matrix, n, row, column);
                let part = self.determinant(scalar, &minor, n - 1);
                let part = if (row + column) % 2 == 1 { self.un(crate::ir::Unary::Negate, scalar, part) } else { part };
                out.push(self.div(scalar, part, determinant));
            }
        }
        out.into()
    }
}

/// The matrix without one column and one row.
fn minor(matrix: &[Reg], n: usize, column: usize, row: usize) -> Vec<Reg> {
    (0..n * n).filter(|at| at / n != column && at % n != row).map(|at| matrix[at]).collect()
}
