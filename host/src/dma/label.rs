//! The users' labels: a message that is called as an earlier one was shares its text.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

/// Texts that are kept. With more they are all forgotten: labels that are made anew for each message are
/// not worth keeping.
const MOST: usize = 1024;

/// The texts of one device.
#[derive(Debug, Default)]
pub(crate) struct Labels(Mutex<HashSet<Arc<str>>>);

impl Labels {
    pub(crate) fn intern(&self, text: &str) -> Arc<str> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(label) = known.get(text) {
            return label.clone();
        }
        if known.len() == MOST {
            known.clear();
        }
        let label: Arc<str> = text.into();
        known.insert(label.clone());
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_kept_once_and_not_all_are_kept() {
        let labels = Labels::default();
        assert!(Arc::ptr_eq(&labels.intern("x"), &labels.intern("x")));
        (0..2 * MOST).for_each(|i| drop(labels.intern(&i.to_string())));
        assert!(labels.0.lock().unwrap().len() <= MOST);
    }
}
