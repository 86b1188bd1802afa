//! wharf.
