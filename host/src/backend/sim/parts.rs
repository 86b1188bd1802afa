//! Links and cards that can be named.

use super::time::Time;

/// How bytes travel between host and device.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub(super) name: String,
    /// Bytes per second from host to device.
    pub(super) up: f64,
    /// Bytes per second from device to host.
    pub(super) down: f64,
    /// What each transfer takes beside its bytes.
    pub(super) latency: Time,
    /// Both directions at once.
    pub(super) duplex: bool,
}

/// What is behind the link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Card {
    pub(super) name: &'static str,
    pub(super) memory_bytes: u64,
    /// Bytes per second between the card and its memory.
    pub(super) bandwidth: f64,
}

/// Memory and its bandwidth as NVIDIA's public data sheets give them: H200 (SXM, 141 GB HBM3e, 4.8
/// TB/s), H100 (SXM5, 80 GB, 3.35 TB/s), A100 (SXM4 80 GB, 2,039 GB/s), GeForce RTX 4090 (24 GB
/// GDDR6X of 384 bits at 21 Gbit/s, 1,008 GB/s).
pub(super) const CARDS: [Card; 4] = [
    Card { name: "h200", memory_bytes: 141_000_000_000, bandwidth: 4.8e12 },
    Card { name: "h100", memory_bytes: 80_000_000_000, bandwidth: 3.35e12 },
    Card { name: "a100", memory_bytes: 80_000_000_000, bandwidth: 2.039e12 },
    Card { name: "4090", memory_bytes: 24_000_000_000, bandwidth: 1.008e12 },
];

/// Seconds for a transfer of a few bytes through the driver: 6 to 7 us are commonly reported for
/// `cudaMemcpy`. An assumption, as is every figure that no data sheet gives; both can be set.
pub(super) const LATENCY: f64 = 6e-6;
/// Seconds for an empty launch: 4 to 5 us are reported for CUDA (NVIDIA's developer forum, topic 68937).
pub(super) const LAUNCH: f64 = 4.5e-6;

/// `gen4x16` and the like: PCI Express of generation 3 to 5 with 1 to 16 lanes.
pub(super) fn link(name: &str) -> Option<Link> {
    let (generation, lanes) = name.strip_prefix("gen")?.split_once('x')?;
    // PCI Express Base Specification: transfers per second of a lane, 130 bits for each 128.
    let transfers = match generation {
        "3" => 8e9,
        "4" => 16e9,
        "5" => 32e9,
        _ => return None,
    };
    let lanes = [1.0, 2.0, 4.0, 8.0, 16.0].into_iter().find(|&n: &f64| n.to_string() == lanes)?;
    let raw = transfers * lanes * 128.0 / 130.0 / 8.0;
    // A packet carries 256 bytes, the usual maximum payload, in 20 to 28 more: the middle. Flow
    // control and skip sequences cost a little on top, which is left out.
    let rate = raw * 256.0 / (256.0 + 24.0);
    Some(Link { name: name.to_owned(), up: rate, down: rate, latency: Time::of(LATENCY), duplex: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_as_fast_as_their_packets_allow() {
        // From the table of physical limits: payload of 256 bytes, GB/s.
        for (name, least, most) in [("gen3x16", 14.2, 14.6), ("gen4x16", 28.4, 29.2), ("gen5x16", 56.8, 58.5)] {
            let rate = link(name).expect("a link").up / 1e9;
            assert!((least..=most).contains(&rate), "{name}: {rate}");
        }
        for name in ["gen2x16", "gen5", "gen5x3", "gen5x", "x16", "gen5x16.0", ""] {
            assert_eq!(link(name), None, "{name}");
        }
    }
}
