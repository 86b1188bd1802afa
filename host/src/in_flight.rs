//! What the compiler refuses: nobody touches a buffer that is in flight.
//!
//! This program goes as far as it may:
//!
//! ```
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//!
//! let data = vec![1; 4];
//! let ticket = device.upload(&x).send(data)?;
//! let data = ticket.wait().ok()?; // it comes back in the completion
//! assert_eq!(data[0], 1);
//!
//! let mut fill = device.upload(&x).reserve(4)?;
//! fill[0] = 2;
//! let ticket = fill.commit()?;
//! ticket.wait().ok()?;
//!
//! let back = vec![0; 4];
//! let ticket = device.download(&x).into(back)?;
//! let back = ticket.wait().ok()?;
//! assert_eq!(back[0], 2);
//!
//! let shared: std::sync::Arc<[u32]> = vec![3; 4].into();
//! let ticket = device.upload(&x).send(shared.clone())?;
//! assert_eq!(shared[0], 3); // nobody can write it, so all may read it
//! ticket.wait().ok()?;
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! Each of these goes a step further. A buffer that was sent is the message's:
//!
//! ```compile_fail,E0382
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//! let data = vec![1; 4];
//! let ticket = device.upload(&x).send(data)?;
//! assert_eq!(data[0], 1);
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! So is staging memory that was committed:
//!
//! ```compile_fail,E0382
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//! let mut fill = device.upload(&x).reserve(4)?;
//! let ticket = fill.commit()?;
//! fill[0] = 2;
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! And what a download writes:
//!
//! ```compile_fail,E0382
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//! let back = vec![0; 4];
//! let ticket = device.download(&x).into(back)?;
//! assert_eq!(back[0], 2);
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! A message cannot borrow, so nothing ends before it does:
//!
//! ```compile_fail,E0277
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//! let data = vec![1; 4];
//! let ticket = device.upload(&x).send(&data[..]);
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! A ticket has one completion:
//!
//! ```compile_fail,E0382
//! let device = wharf::Device::open("cpu")?;
//! let x = device.buffer::<u32>(4)?;
//! let ticket = device.download(&x).send()?;
//! let first = ticket.wait();
//! let second = ticket.wait();
//! # Ok::<(), wharf::Error>(())
//! ```
//!
//! And nobody adds a kind of buffer whose elements move when it is moved:
//!
//! ```compile_fail,E0277
//! struct Moves([u32; 4]);
//! impl wharf::HostBuffer<u32> for Moves {
//!     fn as_slice(&self) -> &[u32] {
//!         &self.0
//!     }
//! }
//! ```
