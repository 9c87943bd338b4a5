//! How much each part does.

/// The whole benchmark, or a short form of it, which shows that each part runs and takes seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Short,
}

impl Extent {
    pub(crate) fn of<T>(self, whole: T, short: T) -> T {
        match self {
            Self::Whole => whole,
            Self::Short => short,
        }
    }
}
