//! Where the parts of a context lie that a packet needs: for caches, which can fetch them ahead of
//! it, all at once.

/// Is shown parts of a context. It learns where each lies and how large it is, and not what it
/// holds.
pub trait Visitor {
    /// One part.
    fn visit<T: ?Sized>(&mut self, part: &T);
}
