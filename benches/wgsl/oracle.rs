//! Whether an answer is right, found in another way than the kernels find it.

use crate::{plain, words::Words};

/// Judges the words of the answer after so many runs.
pub(crate) type Verify = Box<dyn Fn(&[u32], u32) -> Result<(), String>>;

/// Each word is exactly this one.
pub(crate) fn words(expected: impl Fn(usize, u32) -> u32 + 'static) -> Verify {
    Box::new(move |got, runs| {
        let wrong = got.iter().enumerate().find(|&(i, &word)| word != expected(i, runs));
        wrong.map_or(Ok(()), |(i, got)| Err(format!("word {i} is {got}, not {}", expected(i, runs))))
    })
}

/// Each f32 is exactly this number.
pub(crate) fn numbers(expected: impl Fn(usize, u32) -> f64 + 'static) -> Verify {
    words(move |i, runs| (expected(i, runs) as f32).to_bits())
}

/// The answer is the product of two square matrices of small integers: applied to a vector it gives what
/// they give one after the other (R. Freivalds, "Probabilistic machines can use less running time", 1977).
/// All sums stay below 2^53 and are exact.
pub(crate) fn product(a: Words, b: Words, n: usize) -> Verify {
    let random = |i: usize| f64::from((i as u32).wrapping_mul(0x9E37_79B9) >> 12);
    let vector: Vec<f64> = (0..n).map(random).collect();
    let apply = move |matrix: &[f32], to: &[f64]| -> Vec<f64> {
        matrix.chunks_exact(n).map(|row| row.iter().zip(to).map(|(m, v)| f64::from(*m) * v).sum()).collect()
    };
    let expected = apply(a.f32s(), &apply(b.f32s(), &vector));
    Box::new(move |got, _| {
        let got = apply(bytemuck::cast_slice(got), &vector);
        let wrong = got.iter().zip(&expected).position(|(got, expected)| got != expected);
        wrong.map_or(Ok(()), |row| Err(format!("row {row} of the product is wrong")))
    })
}

/// The iterations of the Mandelbrot set. Near its border they depend on whether multiplications and
/// additions are fused, which WGSL and OpenCL leave open: one point in a hundred may differ.
pub(crate) fn iterations(side: usize, dx: f32, dy: f32) -> Verify {
    let mut expected = vec![0; side * side];
    plain::mandelbrot(&mut expected, side, dx, dy);
    Box::new(move |got, _| {
        let differ = got.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        if differ > expected.len() / 100 {
            Err(format!("{differ} of {} points differ", expected.len()))
        } else {
            Ok(())
        }
    })
}

/// The accelerations of bodies, in f64. A sum of n terms, each of some 20 roundings, is off by at most
/// (n + 20) 2^-24 of the sum of magnitudes; twice that is allowed.
pub(crate) fn pulls(bodies: Words) -> Verify {
    let bodies: Vec<[f64; 4]> =
        bodies.f32s().chunks_exact(4).map(|b| std::array::from_fn(|i| f64::from(b[i]))).collect();
    let term = |place: &[f64; 4], other: &[f64; 4]| -> [f64; 3] {
        let way: [f64; 3] = std::array::from_fn(|i| other[i] - place[i]);
        let squared = way.iter().map(|w| w * w).sum::<f64>() + f64::from(0.01_f32);
        way.map(|w| w * other[3] / (squared * squared.sqrt()))
    };
    let mut expected = Vec::new();
    for place in &bodies {
        let (mut sum, mut size) = ([0.0; 3], [0.0; 3]);
        for term in bodies.iter().map(|other| term(place, other)) {
            for i in 0..3 {
                sum[i] += term[i];
                size[i] += term[i].abs();
            }
        }
        expected.push((sum, size));
    }
    let bound = 2.0 * (bodies.len() + 20) as f64 / f64::from(1 << 24);
    Box::new(move |got, _| {
        let got: &[f32] = bytemuck::cast_slice(got);
        for (body, (got, (sum, size))) in got.chunks_exact(4).zip(&expected).enumerate() {
            for i in 0..3 {
                let within = (f64::from(got[i]) - sum[i]).abs() <= bound * size[i];
                if !within {
                    return Err(format!("body {body} is pulled by {} along {i}, not {}", got[i], sum[i]));
                }
            }
        }
        Ok(())
    })
}

/// The keys by one digit of four bits, keys of the same digit in the order in which they were.
pub(crate) fn stable(keys: Words, shift: u32) -> Verify {
    let mut expected = keys.u32s().to_vec();
    expected.sort_by_key(|key| key >> shift & 15);
    words(move |i, _| expected[i])
}
