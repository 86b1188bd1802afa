//! Kernels as data. Nothing here runs anything.
//!
//! WGSL is the only declaration: bindings, element types, access, workgroup size and parameters are
//! reflected from it ([`Kernel::module`]). A kernel may add a CUDA twin and a native CPU twin.
#![expect(unsafe_code, reason = "whoever adds a twin or drops checks vouches for it")]

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use wharf_simt::{Entry, Module};

use crate::{
    error::{Error, Result},
    native::Native,
    uniform::Shape,
};

mod plan;

pub use plan::{Operand, Plan, Scratch, Step};

/// A kernel: one WGSL entry point and its twins.
///
/// Library kernels are `static`s made with the `const` methods; users' kernels come from
/// [`Kernel::from_wgsl`].
pub struct Kernel {
    name: Cow<'static, str>,
    wgsl: Cow<'static, str>,
    ptx: Option<&'static str>,
    cuda: Option<&'static str>,
    native: Option<Native>,
    grid: Grid,
    needs: &'static [Need],
    linear: bool,
    trusted: bool,
    number: OnceLock<u64>,
    lasting_name: OnceLock<&'static Arc<str>>,
    module: OnceLock<Result<Arc<Module>>>,
    shape: OnceLock<Shape>,
}

/// How many workgroups a launch has when the caller does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grid {
    /// The caller says it.
    Explicit,
    /// As many workgroups in x as cover the elements of a storage binding.
    Elements {
        /// The binding's name.
        of: &'static str,
        /// Elements that one workgroup covers.
        per_group: u32,
    },
    /// Like [`Grid::Elements`], but never more than `most` workgroups: the kernel strides. And never
    /// none: what it says of an empty input is written too.
    Strided {
        /// The binding's name.
        of: &'static str,
        /// Elements that one workgroup covers in one stride.
        per_group: u32,
        /// The most workgroups that are started.
        most: u32,
    },
    /// Workgroups in x and y that cover a rectangle whose sides are uniform `u32` parameters.
    Rectangle {
        /// The parameter that is the rectangle's width (x).
        width: &'static str,
        /// The parameter that is the rectangle's height (y).
        height: &'static str,
        /// Width and height that one workgroup covers.
        tile: [u32; 2],
    },
    /// Always this many.
    Fixed([u32; 3]),
}

impl Grid {
    /// The uniform `u32` parameter that a launch takes from the length of a binding, where the kernel has it and nobody
    /// gives it: see [`Grid::counted`].
    pub const COUNT: &'static str = "n";

    /// The storage binding whose elements it counts, if it counts any: as many as it has is the parameter
    /// [`Grid::COUNT`] where a launch is not given that.
    ///
    /// ```
    /// use wharf::Grid;
    ///
    /// assert_eq!(Grid::Elements { of: "x", per_group: 64 }.counted(), Some("x"));
    /// assert_eq!(Grid::Fixed([1, 1, 1]).counted(), None);
    /// ```
    pub fn counted(self) -> Option<&'static str> {
        match self {
            Self::Elements { of, .. } | Self::Strided { of, .. } => Some(of),
            Self::Explicit | Self::Rectangle { .. } | Self::Fixed(_) => None,
        }
    }

    /// Workgroups in x, y and z; `None` where the caller says them. `elements` gives those of the storage binding of
    /// this name, `parameter` the value of a uniform `u32` parameter. Where there is a parameter [`Grid::COUNT`], it
    /// counts in the place of a binding's elements.
    ///
    /// ```
    /// use wharf::Grid;
    ///
    /// let grid = Grid::Elements { of: "x", per_group: 64 };
    /// let groups = grid.groups(|_| Ok(1000), |_| Err("there is none"));
    /// assert_eq!(groups, Ok(Some([16, 1, 1])));
    /// ```
    ///
    /// # Errors
    /// Those of the two functions, but for that of the count, which need not be there. A side or a part of 0
    /// counts as 1.
    pub fn groups<E>(
        self,
        elements: impl FnOnce(&str) -> Result<u64, E>,
        parameter: impl Fn(&str) -> Result<u32, E>,
    ) -> Result<Option<[u32; 3]>, E> {
        let covering = |of, per_group: u32| {
            let n = elements(of)?;
            let n = parameter(Self::COUNT).map_or(n, u64::from);
            Ok(u32::try_from(n.div_ceil(per_group.max(1).into())).unwrap_or(u32::MAX))
        };
        Ok(Some(match self {
            Self::Explicit => return Ok(None),
            Self::Fixed(groups) => groups,
            Self::Elements { of, per_group } => [covering(of, per_group)?, 1, 1],
            Self::Strided { of, per_group, most } => [covering(of, per_group)?.clamp(1, most.max(1)), 1, 1],
            Self::Rectangle { width, height, tile: [x, y] } => {
                [parameter(width)?.div_ceil(x.max(1)), parameter(height)?.div_ceil(y.max(1)), 1]
            }
        }))
    }
}

/// How long a storage binding must at least be, from the launch's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// The binding's name.
    pub binding: &'static str,
    /// Uniform `u32` parameters whose product is the number of elements.
    pub product: &'static [&'static str],
    /// Elements for each workgroup of the launch, where the length depends on their number.
    pub per_group: Option<u32>,
}

impl Need {
    /// As many elements as the product of these parameters.
    pub const fn product(binding: &'static str, of: &'static [&'static str]) -> Self {
        Self { binding, product: of, per_group: None }
    }

    /// So many elements for each workgroup.
    pub const fn per_group(binding: &'static str, elements: u32) -> Self {
        Self { binding, product: &[], per_group: Some(elements) }
    }
}

impl Kernel {
    /// A library kernel: `name` is also the WGSL entry point and the CUDA function.
    pub const fn new(name: &'static str, wgsl: &'static str) -> Self {
        Self {
            name: Cow::Borrowed(name),
            wgsl: Cow::Borrowed(wgsl),
            ptx: None,
            cuda: None,
            native: None,
            grid: Grid::Explicit,
            needs: &[],
            linear: false,
            trusted: false,
            number: OnceLock::new(),
            lasting_name: OnceLock::new(),
            module: OnceLock::new(),
            shape: OnceLock::new(),
        }
    }

    /// A user's kernel: the only compute entry point of this WGSL.
    ///
    /// # Errors
    /// [`Error::Build`] with line and column where it does not parse or validate, or uses what
    /// compute kernels here may not; [`Error::Argument`] where it has no or several entry points.
    pub fn from_wgsl(wgsl: impl Into<Cow<'static, str>>) -> Result<Self> {
        Self::from_wgsl_entry(wgsl, None)
    }

    /// Like [`Kernel::from_wgsl`], for a named entry point.
    ///
    /// # Errors
    /// As [`Kernel::from_wgsl`]; [`Error::Argument`] where there is no entry point of that name.
    pub fn from_wgsl_entry(wgsl: impl Into<Cow<'static, str>>, entry: Option<&str>) -> Result<Self> {
        let wgsl = wgsl.into();
        let module = parse(entry.unwrap_or("WGSL"), &wgsl)?;
        let names = || module.entries().iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
        let name = match (entry, module.entries()) {
            (_, []) => return Err(Error::argument("WGSL", "has no @compute entry point")),
            (None, [only]) => only.name.clone(),
            (None, _) => {
                return Err(Error::argument("entry", format!("several entry points, name one of: {}", names())));
            }
            (Some(name), all) if all.iter().any(|e| e.name == name) => name.to_owned(),
            (Some(name), _) => {
                return Err(Error::argument(format!("entry `{name}`"), format!("not there, there is: {}", names())));
            }
        };
        let kernel = Self { name: Cow::Owned(name), wgsl, ..Self::new("", "") };
        let _ = kernel.module.set(Ok(Arc::new(module)));
        Ok(kernel)
    }

    /// Adds the CUDA twin as PTX text. Its parameters are: pointers of the storage bindings in
    /// order, their lengths in elements (`unsigned int`) in the same order, then the scalar members
    /// of the uniform binding in order.
    ///
    /// # Safety
    /// The function does what the WGSL does, and touches nothing beyond the lengths it is given.
    #[must_use]
    pub const unsafe fn with_ptx(mut self, ptx: &'static str) -> Self {
        self.ptx = Some(ptx);
        self
    }

    /// Adds the CUDA twin as source, with the same parameters: it is compiled where NVRTC is found
    /// at run time, and only where there is no PTX.
    ///
    /// # Safety
    /// As [`Kernel::with_ptx`].
    #[must_use]
    pub const unsafe fn with_cuda(mut self, source: &'static str) -> Self {
        self.cuda = Some(source);
        self
    }

    /// Adds the native CPU twin.
    #[must_use]
    pub const fn with_native(mut self, native: Native) -> Self {
        self.native = Some(native);
        self
    }

    /// Says how many workgroups a launch has.
    #[must_use]
    pub const fn with_grid(mut self, grid: Grid) -> Self {
        self.grid = grid;
        self
    }

    /// Says how long its bindings must be: checked at launch, so that no twin reads or writes beyond
    /// them.
    #[must_use]
    pub const fn with_needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    /// Says that the kernel reads its workgroup's number as `id.y * num_workgroups.x + id.x`, so
    /// that a launch over the device's limit in x may be folded into y.
    #[must_use]
    pub const fn with_linear_ids(mut self) -> Self {
        self.linear = true;
        self
    }

    /// Says that every index is proven in range, so that wgpu need not check it.
    ///
    /// # Safety
    /// For buffers of the lengths that [`Kernel::with_needs`] asks for, no invocation indexes beyond a
    /// binding or an array, whatever the data, and every loop ends.
    #[must_use]
    pub const unsafe fn with_proven_indices(mut self) -> Self {
        self.trusted = true;
        self
    }

    /// The name: entry point in WGSL, function in CUDA, what errors print.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The WGSL source.
    pub fn wgsl(&self) -> &str {
        &self.wgsl
    }

    /// The CUDA twin as PTX text.
    pub fn ptx(&self) -> Option<&'static str> {
        self.ptx
    }

    /// The CUDA twin as source.
    pub fn cuda(&self) -> Option<&'static str> {
        self.cuda
    }

    /// The native CPU twin.
    pub fn native(&self) -> Option<Native> {
        self.native
    }

    /// How many workgroups a launch has when the caller does not say.
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// How long its bindings must be.
    pub fn needs(&self) -> &'static [Need] {
        self.needs
    }

    /// A number that no other kernel of this process has.
    pub(crate) fn number(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        *self.number.get_or_init(|| NEXT.fetch_add(1, Relaxed))
    }

    /// The name as messages are called by it. It lasts as long as the process, once for all kernels that have it, so
    /// that a message need not count who holds it.
    pub(crate) fn lasting_name(&self) -> &'static Arc<str> {
        static KNOWN: Mutex<BTreeSet<&'static Arc<str>>> = Mutex::new(BTreeSet::new());
        self.lasting_name.get_or_init(|| {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let name = Arc::<str>::from(self.name());
            known.get(&name).copied().unwrap_or_else(|| {
                let name: &'static Arc<str> = Box::leak(Box::new(name));
                known.insert(name);
                name
            })
        })
    }

    /// Whether a launch may be folded into y; see [`Kernel::with_linear_ids`].
    pub fn has_linear_ids(&self) -> bool {
        self.linear
    }

    /// Whether every index is proven in range.
    pub fn has_proven_indices(&self) -> bool {
        self.trusted
    }

    /// The parsed and reflected source; parsed once.
    ///
    /// # Errors
    /// [`Error::Build`] where the source does not parse or validate.
    pub fn module(&self) -> Result<&Arc<Module>> {
        self.module.get_or_init(|| parse(&self.name, &self.wgsl).map(Arc::new)).as_ref().map_err(Clone::clone)
    }

    /// The reflected entry point: bindings in order, workgroup size, overrides.
    ///
    /// # Errors
    /// As [`Kernel::module`]; [`Error::Argument`] where the source has no entry point of this name.
    pub fn entry(&self) -> Result<&Entry> {
        self.module()?
            .entries()
            .iter()
            .find(|e| e.name == self.name)
            .ok_or_else(|| Error::argument(self.name.as_ref(), "the WGSL has no entry point of this name"))
    }

    /// What it takes; found out once.
    pub(crate) fn shape(&self) -> Result<&Shape> {
        match self.shape.get() {
            Some(shape) => Ok(shape),
            None => {
                let entry = self.entry()?;
                Ok(self.shape.get_or_init(|| Shape::of(entry)))
            }
        }
    }
}

fn parse(name: &str, wgsl: &str) -> Result<Module> {
    Module::new(wgsl).map_err(|e| Error::Build {
        kernel: name.to_owned(),
        log: e.to_string(),
        source: Some(Arc::new(e)),
    })
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kernel").field("name", &self.name).field("grid", &self.grid).finish_non_exhaustive()
    }
}
