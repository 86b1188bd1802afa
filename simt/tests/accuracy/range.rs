//! Intervals, with an operation for each of WGSL's, as wide as WGSL lets it be.

/// Where a result may lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Whether it is one of `f16`.
    pub(crate) half: bool,
}

impl Range {
    pub(crate) fn new(low: f64, high: f64, half: bool) -> Self {
        Self { low, high, half }
    }

    pub(crate) fn constant(self, value: f64) -> Self {
        Self::new(value, value, self.half)
    }

    /// The distance of neighbours at a number, subnormal ones as far apart as the smallest normal ones: they may be
    /// taken for zero.
    pub(crate) fn ulp(self, at: f64) -> f64 {
        let (digits, least) = if self.half { (10, -14) } else { (23, -126) };
        let exponent = if at == 0.0 { least } else { (at.abs().log2().floor() as i32).max(least) };
        2_f64.powi(exponent - digits)
    }

    pub(crate) fn absolute(self, error: f64) -> Self {
        Self { low: self.low - error, high: self.high + error, ..self }
    }

    pub(crate) fn ulps(self, n: f64) -> Self {
        Self { low: self.low - n * self.ulp(self.low), high: self.high + n * self.ulp(self.high), ..self }
    }

    /// To a neighbour; what is subnormal may become zero.
    pub(crate) fn rounded(self) -> Self {
        let Self { low, high, half } = self.flushed().ulps(1.0);
        let most = if half { 65504.0 } else { f64::from(f32::MAX) };
        // What is too large may be infinite, and whatever follows from that.
        let up = if high > most { f64::INFINITY } else { high };
        let down = if low < -most { f64::NEG_INFINITY } else { low };
        Self { low: down.min(most), high: up.max(-most), half }
    }

    pub(crate) fn flushed(self) -> Self {
        let least = if self.half { 2_f64.powi(-14) } else { 2_f64.powi(-126) };
        let (mut low, mut high) = (self.low, self.high);
        if low > 0.0 && low < least {
            low = 0.0;
        }
        if high < 0.0 && high > -least {
            high = 0.0;
        }
        Self { low, high, ..self }
    }

    /// A function that grows, or falls, all along the interval.
    pub(crate) fn monotonic(self, f: impl Fn(f64) -> f64) -> Self {
        let (a, b) = (f(self.low), f(self.high));
        Self { low: a.min(b), high: a.max(b), ..self }
    }

    pub(crate) fn corners(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let all = [f(self.low, other.low), f(self.low, other.high), f(self.high, other.low), f(self.high, other.high)];
        if all.iter().any(|x| x.is_nan()) {
            return Self { low: f64::NEG_INFINITY, high: f64::INFINITY, ..self };
        }
        Self {
            low: all.iter().copied().fold(f64::INFINITY, f64::min),
            high: all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            ..self
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        self.corners(other, |a, b| a + b).rounded()
    }

    pub(crate) fn minus(self, other: Self) -> Self {
        self.corners(other, |a, b| a - b).rounded()
    }

    pub(crate) fn times(self, other: Self) -> Self {
        self.corners(other, |a, b| a * b).rounded()
    }

    pub(crate) fn over(self, other: Self) -> Self {
        if other.low <= 0.0 && other.high >= 0.0 {
            return Self { low: f64::NEG_INFINITY, high: f64::INFINITY, ..self };
        }
        self.corners(other, |a, b| a / b).flushed().ulps(2.5)
    }

    pub(crate) fn inverse_sqrt(self) -> Self {
        Self { low: self.low.max(0.0), ..self }.monotonic(|x| 1.0 / x.sqrt()).ulps(2.0)
    }

    pub(crate) fn sqrt(self) -> Self {
        if self.high <= 0.0 {
            return self.constant(0.0);
        }
        let inverse = self.inverse_sqrt();
        let mut result = self.constant(1.0).over(inverse);
        if self.low <= 0.0 {
            result.low = 0.0;
        }
        result
    }

    pub(crate) fn exp(self) -> Self {
        let error = self.exp_ulps();
        self.monotonic(f64::exp).flushed().ulps(error)
    }

    pub(crate) fn exp2(self) -> Self {
        let error = self.exp_ulps();
        self.monotonic(f64::exp2).flushed().ulps(error)
    }

    pub(crate) fn exp_ulps(self) -> f64 {
        let least = if self.half { 1.0 } else { 3.0 };
        least + 2.0 * self.low.abs().max(self.high.abs())
    }

    pub(crate) fn logarithm(self, f: impl Fn(f64) -> f64) -> Self {
        let exact = Self { low: self.low.max(0.0), ..self }.monotonic(f);
        let near_one = exact.absolute(if self.half { 2_f64.powi(-7) } else { 2_f64.powi(-21) });
        let elsewhere = exact.ulps(3.0);
        match (self.low < 0.5 || self.high > 2.0, self.high >= 0.5 && self.low <= 2.0) {
            (true, true) => Self::new(near_one.low.min(elsewhere.low), near_one.high.max(elsewhere.high), self.half),
            (true, false) => elsewhere,
            _ => near_one,
        }
    }

    pub(crate) fn ln(self) -> Self {
        self.logarithm(f64::ln)
    }

    pub(crate) fn log2(self) -> Self {
        self.logarithm(f64::log2)
    }

    pub(crate) fn atan_ulps(self) -> f64 {
        if self.half { 5.0 } else { 4096.0 }
    }

    pub(crate) fn atan2(self, x: Self) -> Self {
        let error = self.atan_ulps();
        self.corners(x, f64::atan2).ulps(error)
    }

    pub(crate) fn circle(self, f: impl Fn(f64) -> f64) -> Self {
        Self { low: f(self.low), high: f(self.low), ..self }.absolute(if self.half {
            2_f64.powi(-7)
        } else {
            2_f64.powi(-11)
        })
    }

    /// The worse of two bounds.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), ..self }
    }

    /// Whether a result is allowed. What may be too large for its type may be anything.
    pub(crate) fn holds(self, result: f32) -> bool {
        let most = if self.half { 65504.0 } else { f64::from(f32::MAX) };
        let open = self.low.is_nan() || self.high.is_nan() || self.low < -most || self.high > most;
        open || (self.low..=self.high).contains(&f64::from(result))
    }
}
