//! Lists of numbers as the kernel writes them: `0-3,7`.

use std::fmt;
use std::ops::RangeInclusive;

/// Numbers in ascending ranges that do not touch. They print as the kernel reads them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<RangeInclusive<u64>>);

impl Ranges {
    /// Reads `0-3,7`; `None` if it is something else. The empty list is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ranges = text.trim().split(',').filter(|part| !part.is_empty());
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (first.parse().ok()?, last.parse().ok()?);
            (first <= last).then_some(first..=last)
        };
        Some(ranges.map(range).collect::<Option<Vec<_>>>()?.into())
    }

    /// Is it one of them?
    #[must_use]
    pub fn contains(&self, number: u64) -> bool {
        self.0.iter().any(|range| range.contains(&number))
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.numbers().count()
    }

    /// Those of both.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let both = |a: &RangeInclusive<u64>| {
            let a = a.clone();
            let meet =
                move |b: &RangeInclusive<u64>| *a.start().max(b.start())..=*a.end().min(b.end());
            other.0.iter().map(meet)
        };
        let met: Vec<_> = self.0.iter().flat_map(both).collect();
        met.into()
    }

    /// Those of either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let all: Vec<_> = self.0.iter().chain(&other.0).cloned().collect();
        all.into()
    }

    /// Those that the other has not.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut left = self.0.clone();
        for taken in &other.0 {
            let cut = |range: RangeInclusive<u64>| {
                let below = *range.start()..=taken.start().saturating_sub(1).min(*range.end());
                let below = Some(below).filter(|_| range.start() < taken.start());
                let above = (*range.start()).max(taken.end().saturating_add(1))..=*range.end();
                let above = Some(above).filter(|_| range.end() > taken.end());
                below.into_iter().chain(above)
            };
            left = left.into_iter().flat_map(cut).collect();
        }
        left.into()
    }

    /// Each of them.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.0.iter().cloned().flatten()
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<RangeInclusive<u64>>> for Ranges {
    fn from(mut ranges: Vec<RangeInclusive<u64>>) -> Self {
        ranges.retain(|range| !range.is_empty());
        ranges.sort_by_key(|range| *range.start());
        let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if *range.start() <= last.end().saturating_add(1) => {
                    *last = *last.start()..=*last.end().max(range.end());
                }
                Some(_) | None => joined.push(range),
            }
        }
        Self(joined)
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let (first, last) = (range.start(), range.end());
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges(text: &str) -> Ranges {
        Ranges::parse(text).unwrap()
    }

    #[test]
    fn what_the_kernel_writes_is_read_and_printed_in_its_shortest_form() {
        for (text, printed) in [
            ("0-3,7\n", "0-3,7"),
            ("5,1-2,3", "1-3,5"),
            ("", ""),
            ("\n", ""),
            ("4-4", "4"),
        ] {
            assert_eq!(ranges(text).to_string(), printed, "{text:?}");
        }
        for text in ["a", "3-1", "1-", "-1", "1;2"] {
            assert_eq!(Ranges::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn operations_are_those_of_sets(
            a in prop::collection::vec((0_u64..40, 0_u64..8), 0..5),
            b in prop::collection::vec((0_u64..40, 0_u64..8), 0..5),
        ) {
            let of = |list: &[(u64, u64)]| -> Ranges {
                list.iter().map(|(first, more)| *first..=first + more).collect::<Vec<_>>().into()
            };
            let (a, b) = (of(&a), of(&b));
            let (and, or, without) = (a.and(&b), a.or(&b), a.without(&b));
            for number in 0..50 {
                let (in_a, in_b) = (a.contains(number), b.contains(number));
                prop_assert_eq!(and.contains(number), in_a && in_b);
                prop_assert_eq!(or.contains(number), in_a || in_b);
                prop_assert_eq!(without.contains(number), in_a && !in_b);
            }
            prop_assert_eq!(Ranges::parse(&or.to_string()), Some(or));
        }
    }
}
