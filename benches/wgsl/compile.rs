//! How long the kernels of the library take to compile: parsing and validating included.

use std::{collections::BTreeMap, time::Instant};

use wharf_simt::Module;

use crate::{Error, report::Report, simt};

const AT_MOST_MS: f64 = 10.0;

pub(crate) fn run(report: &Report, samples: usize) -> Result<(), Error> {
    let kernels = wharf_kernels::ALL.iter().flat_map(|spec| spec.kernels());
    let kernels: BTreeMap<&str, &str> = kernels.map(|kernel| (kernel.name(), kernel.wgsl())).collect();
    for (name, wgsl) in kernels {
        for engine in simt::engines() {
            let (mut seconds, mut label) = (Vec::new(), String::new());
            for _ in 0..samples {
                let start = Instant::now();
                let program = Module::new(wgsl)?.compile(name, &[], engine)?;
                seconds.push(start.elapsed().as_secs_f64());
                label = simt::label(&program);
            }
            report.time(&format!("compile {name}"), &label, &seconds, AT_MOST_MS);
        }
    }
    Ok(())
}
