//! Empty launches, many in flight.

use std::{collections::VecDeque, process::Command, time::Instant};

use wharf::{Device, Grid, Kernel, Ticket, native::Dispatch};

use crate::{Error, Size, Turns, met};

/// Launches in flight.
const WINDOW: usize = 256;

const COUNT: &str = "
@group(0) @binding(0) var<storage, read_write> count: array<u32>;
@compute @workgroup_size(1)
fn count_up() { count[0] += 1u; }";

fn count_up(dispatch: &mut Dispatch<'_>) {
    dispatch.args[0].write::<u32>()[0] += 1;
}

/// As empty as a kernel can be whose launches are counted.
pub(crate) static KERNEL: Kernel =
    Kernel::new("count_up", COUNT).with_native(count_up).with_grid(Grid::Fixed([1, 1, 1]));

pub(crate) fn run(size: Size) -> Result<(), Error> {
    let device = Device::open("cpu")?;
    device.prepare(&KERNEL)?;
    let launches = size.of(100, 50_000);
    let (mut ours, mut theirs) = (Turns::default(), Turns::default());
    let mut why_not = None;
    for turn in 0..=size.turns() {
        let count = device.buffer::<u32>(1)?;
        let mut tickets: VecDeque<Ticket<()>> = VecDeque::with_capacity(WINDOW);
        let begin = Instant::now();
        for _ in 0..launches {
            if tickets.len() == WINDOW {
                tickets.pop_front().expect("some").wait().ok()?;
            }
            tickets.push_back(device.launch(&KERNEL).bind(&count).run()?);
        }
        for ticket in tickets {
            ticket.wait().ok()?;
        }
        let each = begin.elapsed().as_secs_f64() * 1e6 / launches as f64;
        let ran = device.download(&count).wait()?[0];
        if ran as usize != launches {
            return Err(format!("{ran} launches ran of {launches}").into());
        }
        if turn > 0 || size == Size::Small {
            ours.0.push(each);
            match starpu(size) {
                Ok(peer) => theirs.0.push(peer),
                Err(e) => why_not = Some(e),
            }
        }
    }
    let ours_line = format!("launch: empty, submitted to reaped, {WINDOW} in flight: {ours} us");
    match why_not {
        Some(why_not) => println!("{ours_line} | StarPU skipped: {why_not}"),
        None => println!(
            "{ours_line} | StarPU's tasks_overhead, one worker, {theirs} us | ratio {:.2}, at most 0.5: {}",
            crate::ratio(&ours, &theirs),
            met(crate::ratio(&ours, &theirs) <= 0.5)
        ),
    }
    Ok(())
}

/// Microseconds that StarPU takes for a task, as its own example says.
fn starpu(size: Size) -> Result<f64, String> {
    const PLACES: [&str; 2] =
        ["/usr/lib/x86_64-linux-gnu/starpu/examples", "/usr/lib/aarch64-linux-gnu/starpu/examples"];
    let place = PLACES.iter().find(|place| std::fs::exists(format!("{place}/tasks_overhead")).unwrap_or(false));
    let place = place.ok_or("Debian's starpu-examples is not installed")?;
    // With more tasks its memory grows and a task costs ten times as much: this is its best.
    let output = Command::new(format!("{place}/tasks_overhead"))
        .args(["-i", &size.of(128, 1024).to_string()])
        .env("STARPU_NCPU", "1")
        .output()
        .map_err(|e| e.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.strip_prefix("Per task: "));
    let words = line.and_then(|line| line.split_whitespace().next()).ok_or("tasks_overhead says nothing per task")?;
    words.parse().map_err(|e| format!("`{words}`: {e}"))
}
