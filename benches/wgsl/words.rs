//! What a buffer holds.

/// 32-bit words, aligned as the CPU engines ask for it.
#[derive(Clone)]
pub(crate) struct Words {
    blocks: Vec<u128>,
    len: usize,
}

impl Words {
    pub(crate) fn zeros(len: usize) -> Self {
        Self { blocks: vec![0; len.div_ceil(4)], len }
    }

    pub(crate) fn u32(len: usize, word: impl Fn(usize) -> u32) -> Self {
        let mut words = Self::zeros(len);
        words.u32s_mut().iter_mut().enumerate().for_each(|(i, to)| *to = word(i));
        words
    }

    pub(crate) fn f32(len: usize, number: impl Fn(usize) -> f32) -> Self {
        Self::u32(len, |i| number(i).to_bits())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.blocks)[..self.len * 4]
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.blocks)[..self.len * 4]
    }

    pub(crate) fn u32s(&self) -> &[u32] {
        bytemuck::cast_slice(self.bytes())
    }

    pub(crate) fn u32s_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }

    pub(crate) fn f32s(&self) -> &[f32] {
        bytemuck::cast_slice(self.bytes())
    }

    pub(crate) fn f32s_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(self.bytes_mut())
    }
}
