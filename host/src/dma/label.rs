//! What messages are called: as their sender says, else a launch as its kernel.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use crate::kernel::Kernel;

/// What one message is called. It goes with it from place to place, so that a launch whose sender says nothing
/// must not count owners on its way: its kernel's name is found only by whoever tells of it.
#[derive(Debug, Clone, Default)]
pub(crate) enum Label {
    #[default]
    None,
    /// Its sender's word.
    User(Arc<str>),
    /// Its kernel's [name](Kernel::lasting_name).
    Kernel(&'static Arc<str>),
}

impl Label {
    /// The kernel's name where the sender has said nothing.
    pub(crate) fn or_name_of(&mut self, kernel: &Kernel) {
        if matches!(self, Self::None) {
            *self = Self::Kernel(kernel.lasting_name());
        }
    }

    /// The word, for whoever is told of the message and keeps it.
    pub(crate) fn told(&self) -> Option<Arc<str>> {
        self.text().cloned()
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        self.text().map(|text| &**text)
    }

    fn text(&self) -> Option<&Arc<str>> {
        match self {
            Self::None => None,
            Self::User(label) => Some(label),
            Self::Kernel(name) => Some(name),
        }
    }

    /// The sender's word, for drivers: they have the kernels' names with the kernels.
    pub(super) fn of_user(&self) -> Option<Arc<str>> {
        if let Self::User(label) = self { Some(label.clone()) } else { None }
    }
}

/// Texts that are kept. With more they are all forgotten: labels that are made anew for each message are
/// not worth keeping.
const MOST: usize = 1024;

/// The users' labels of one device: a message that is called as an earlier one was shares its text.
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

    #[test]
    fn a_kernels_name_stands_in_where_the_sender_has_said_nothing() {
        static SCALE: Kernel = Kernel::new("scale", "");
        let mut own = Label::User("mine".into());
        own.or_name_of(&SCALE);
        assert_eq!((own.told().as_deref(), own.of_user().as_deref()), (Some("mine"), Some("mine")));
        let mut none = Label::None;
        assert_eq!(none.told(), None);
        none.or_name_of(&SCALE);
        assert_eq!((none.told().as_deref(), none.of_user()), (Some("scale"), None));
        let told = || none.told().expect("it has one");
        assert!(Arc::ptr_eq(&told(), &told()), "told of twice, the text is there once");
        assert!(std::ptr::eq(SCALE.lasting_name(), Kernel::new("scale", "other").lasting_name()));
    }
}
