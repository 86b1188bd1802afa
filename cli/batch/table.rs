//! `wharf batch` for the eye.

use wharf_batch::{
    Failure, Placement, Report, When,
    compare::Comparison,
    overlap::{self, Stages},
};

use super::Expected;
use crate::output::{self, counted};

pub(super) fn of(report: &Report, comparison: Option<&Comparison>, expected: Option<&Expected>) -> String {
    let Report { answer, rows, seconds, .. } = report;
    let last = report.last();
    let verdict = match expected {
        None => "not verified",
        Some(expected) => match (expected.is_met(report), expected.is_published) {
            (true, true) => "as TPC-H publishes it",
            (false, true) => "NOT what TPC-H publishes",
            (true, false) => "as the host computes it",
            (false, false) => "NOT what the host computes",
        },
    };
    let mut text = format!("revenue   {answer} ({} taken, {verdict})\n", counted(answer.rows_taken, "row"));
    text += &format!("device    {} ({}), {}\n", last.device, last.device_name, last.form);
    text += &format!("source    {}\n", report.source);
    text += &match report.is_simulated() {
        true => format!("rows      {rows}; the simulation took {seconds:.3} s\n"),
        false => format!("rows      {rows} in {seconds:.3} s, {:.2} million rows/s\n", report.rows_per_s() / 1e6),
    };
    let moved = |bytes: u64, rates: [Option<f64>; 2], path: wharf::Path, shares: bool| {
        let rate = match rates {
            [_, Some(alone)] if shares => {
                format!("{alone:.2} GB/s alone (in the run done together with other messages)")
            }
            [Some(in_run), Some(alone)] => format!("{in_run:.2} GB/s ({alone:.2} alone)"),
            _ if !path.is_copied() => "no copy".to_owned(),
            [Some(in_run), None] => format!("{in_run:.2} GB/s"),
            _ => "in pieces too small for a bandwidth".to_owned(),
        };
        let label = if last.simulated { ", simulated" } else { "" };
        format!("{:.3} MB, {rate}, {path}{label}", bytes as f64 / 1e6)
    };
    let up = [last.gbytes_per_s_up(), report.gbytes_per_s_up_alone()];
    let down = [last.gbytes_per_s_down(), report.gbytes_per_s_down_alone()];
    text += &format!("up        {}\n", moved(last.bytes_up, up, last.path_up, last.shares_up));
    text += &format!("down      {}\n", moved(last.bytes_down, down, last.path_down, last.shares_down));
    text += &stages(report);
    text += &overlapped(report);
    text += &format!(
        "staging   {} at most, of {} allowed; {} of {}, {} in flight\n",
        output::bytes(report.peak_staging_bytes),
        output::bytes(report.memory_bytes),
        counted(report.batches, "batch"),
        counted(report.budget.rows as u64, "row"),
        report.budget.slots
    );
    if report.placements.len() > 1 {
        text += &placed(&report.placements);
    }
    if let Some(comparison) = comparison {
        text += &compared(comparison);
    }
    text
}

fn stages(report: &Report) -> String {
    let mut text = format!("stage     {:>12}{:>18}\n", "busy s", "alone ms/batch");
    let last = report.last();
    for ((name, busy), solo) in Stages::NAMES.iter().zip(last.busy.each()).zip(report.solo.each()) {
        let clock = match *name {
            "upload" if last.shares_up => "  busy together with other stages",
            "download" if last.shares_down => "  busy together with other stages",
            _ if !last.simulated => "",
            "fill" | "merge" => "  measured on this host",
            _ => "  simulated",
        };
        // Where the device failed before they were taken there are none.
        let alone = if report.solo.sum() == 0.0 { "-".to_owned() } else { format!("{:.4}", solo * 1e3) };
        text += &format!("  {name:<8}{busy:>12.4}{alone:>18}{clock}\n");
    }
    text
}

fn overlapped(report: &Report) -> String {
    let judged = &report.overlap;
    let bound = judged.bound.map(|bound| format!("; bound by {bound}")).unwrap_or_default();
    if let Some(Failure { device, error, .. }) = report.failures.iter().find(|f| f.when == When::AfterTheRun) {
        return format!(
            "overlap   not measured: {device} failed after the run, when stages were timed alone: {error}\n"
        );
    }
    match (judged.efficiency, judged.times_ideal) {
        // Figures that are none help nobody: what they say, and what to do, does.
        (Some(_), Some(times_ideal)) if judged.is_impossible() => format!(
            "overlap   no measure: the run took {:.3} s, and its batches, timed alone after it, give an ideal of {:.3} s; \
             the machine was slower then, as it is under other work: run again to measure\n",
            times_ideal * judged.ideal_seconds,
            judged.ideal_seconds
        ),
        (Some(efficiency), Some(times_ideal)) => format!(
            "overlap   efficiency {efficiency:.2} ({}), {times_ideal:.2}x the ideal {:.3} s; one after the other {:.3} s{bound}\n",
            judged.note().unwrap_or("1 is ideal, 0 is none"),
            judged.ideal_seconds,
            judged.serial_seconds
        ),
        _ if report.placements.len() > 1 => {
            "overlap   not measured: the run changed its device or its batches\n".to_owned()
        }
        _ if report.is_simulated() => format!(
            "overlap   not measured; simulated: {:.3} s where all overlaps that can, {:.3} s one after the other{bound}\n",
            judged.ideal_seconds, judged.serial_seconds
        ),
        _ if report.batches < overlap::FEWEST_BATCHES => {
            format!("overlap   not measured: {}\n", counted(report.batches, "batch"))
        }
        _ => "overlap   none is possible: all stages share one engine\n".to_owned(),
    }
}

/// What ran where, where that is more than one line's worth.
fn placed(placements: &[Placement]) -> String {
    let mut text = "placement\n".to_owned();
    for Placement { device, form, rows, batches, rows_per_batch, busy, simulated, ended, .. } in placements {
        text += &format!(
            "  {device:<10} {} of {}, {}, {form}",
            counted(*batches, "batch"),
            counted(*rows_per_batch as u64, "row"),
            counted(*rows, "row")
        );
        if *batches > 0 {
            text += &format!(", {:.4} s up, {:.4} s in kernels, {:.4} s down", busy.upload, busy.kernel, busy.download);
        }
        text += if *simulated { ", simulated" } else { "" };
        text += &ended.as_ref().map_or_else(|| "; to the end\n".to_owned(), |why| format!("; then {why}\n"));
    }
    text
}

fn compared(c: &Comparison) -> String {
    let line = |name: &str, seconds: f64| {
        let rate = if seconds > 0.0 { c.rows as f64 / seconds / 1e6 } else { 0.0 };
        format!("  {name:<24}{:>10.3} ms{rate:>12.1} million rows/s\n", seconds * 1e3)
    };
    let mut text =
        format!("compare   columns in memory to answer, {} rows, medians of {}\n", c.rows, c.ours.samples.len());
    text += &line(&format!("wharf on {}", c.device), c.ours.median);
    text += &line("plain loop, one thread", c.serial.median);
    text += &line("plain loop, rayon", c.rayon.median);
    let agree = if c.agree { "the same answer" } else { "DIFFERENT answers" };
    text + &format!("  {:.2}x the plain loop, {:.2}x rayon, {agree}\n", c.times_serial, c.times_rayon)
}
