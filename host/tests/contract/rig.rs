//! A device under test, and what the contract needs of it beside.

use std::{
    thread,
    time::{Duration, Instant},
};

use wharf::{Buffer, Device, Kernel, Launch, Plan, Result, Ticket};

/// What one kind of device brings to the contract. Kernels are its own, because a device runs only what it
/// has a form of; all of them take `x`, which they read, and `y`, of `f32`, and a parameter `a`.
pub(crate) struct Rig {
    /// What [`Device::open`] opens.
    pub(crate) name: &'static str,
    /// A device with threads of its own.
    pub(crate) open: fn() -> Device,
    /// The same without: the caller drives it, where it can be driven so.
    pub(crate) by_hand: fn() -> Result<Device>,
    /// `y += a * x`.
    pub(crate) saxpy: &'static Kernel,
    /// That three times.
    pub(crate) thrice: &'static Plan,
    /// A launch that is accepted and then fails, and only it.
    pub(crate) fails: for<'a> fn(&'a Device, &Buffer<f32>, &Buffer<f32>) -> Launch<'a>,
    /// A device that can be kept busy.
    pub(crate) hold: fn() -> Held,
    /// How the receipt of a replay calls it.
    pub(crate) replay_form: &'static str,
    /// By how much fewer rounds are enough, where a message costs more.
    pub(crate) slower: usize,
}

impl Rig {
    pub(crate) fn open(&self) -> Device {
        (self.open)()
    }

    pub(crate) fn hold(&self) -> Held {
        (self.hold)()
    }

    pub(crate) fn rounds(&self, most: usize) -> usize {
        (most / self.slower).max(1)
    }

    /// `y += a * x`.
    pub(crate) fn add<'a>(&self, device: &'a Device, x: &Buffer<f32>, y: &Buffer<f32>, a: f32) -> Launch<'a> {
        device.launch(self.saxpy).bind(x).bind(y).arg("a", a)
    }

    pub(crate) fn fails<'a>(&self, device: &'a Device, x: &Buffer<f32>, y: &Buffer<f32>) -> Launch<'a> {
        (self.fails)(device, x, y)
    }
}

/// A device on which a launch stays for as long as the test likes, or for about a second where nothing can
/// let it go; and whose time passes when the test says so, where it does not by itself. (Under a simulated
/// device's own threads time stands still while nothing is under way: nothing is late there.)
pub(crate) struct Held {
    pub(crate) device: Device,
    /// `y += a * x`, with this `a`, once the door is open.
    stay: &'static Kernel,
    pub(crate) a: f32,
    /// Workgroups, where the kernel does not count them.
    groups: Option<[u32; 3]>,
    /// Closes and opens the door.
    close: Box<dyn Fn()>,
    open: Box<dyn Fn()>,
    /// Lets so much time pass on the device's clock.
    pass: Box<dyn Fn(Duration)>,
    /// What the launches of [`Held::busy`] read and write.
    pub(crate) gate: [Buffer<f32>; 2],
}

impl Held {
    pub(crate) fn new(device: Device, stay: &'static Kernel) -> Self {
        let buffer = |name| device.buffer_named::<f32>(1, name).expect("4 bytes");
        let gate = [buffer("weights"), buffer("sums")];
        let sleep: Box<dyn Fn(Duration)> = Box::new(thread::sleep);
        Self { device, stay, a: 1.0, groups: None, close: Box::new(|| ()), open: Box::new(|| ()), pass: sleep, gate }
    }

    /// With a door, and launches that know theirs by `a`.
    pub(crate) fn behind_a_door(mut self, a: f32, close: Box<dyn Fn()>, open: Box<dyn Fn()>) -> Self {
        (self.a, self.close, self.open) = (a, close, open);
        self
    }

    /// With a clock of its own.
    pub(crate) fn passing_by(mut self, pass: Box<dyn Fn(Duration)>) -> Self {
        self.pass = pass;
        self
    }

    /// With a kernel that does not count its workgroups.
    pub(crate) fn of_groups(mut self, groups: [u32; 3]) -> Self {
        self.groups = Some(groups);
        self
    }

    /// A launch that reads `gate[0]`, writes `gate[1]`, and stays: what uses `gate[1]` does not start.
    pub(crate) fn busy(&self) -> Ticket<()> {
        self.launch().run().expect("sent")
    }

    pub(crate) fn launch(&self) -> Launch<'_> {
        let [x, y] = &self.gate;
        self.launch_with(x, y)
    }

    /// The same with buffers of the test's own.
    pub(crate) fn launch_with<'a>(&'a self, x: &'a Buffer<f32>, y: &'a Buffer<f32>) -> Launch<'a> {
        (self.close)();
        let launch = self.device.launch(self.stay).bind(x).bind(y).arg("a", self.a);
        match self.groups {
            Some(groups) => launch.groups(groups),
            None => launch,
        }
    }

    /// Every launch that stays ends now or soon.
    pub(crate) fn release(&self) {
        (self.open)();
    }

    /// Lets so much time pass on the device's clock.
    pub(crate) fn pass(&self, time: Duration) {
        (self.pass)(time);
    }

    /// Waits until it is so, while the device goes on.
    pub(crate) fn until(&self, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !is_so() {
            assert!(Instant::now() < end, "it comes true within a minute");
            self.device.progress();
            (self.pass)(Duration::from_micros(100));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}
