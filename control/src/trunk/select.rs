//! In which order targets are tried: by priority, and by weight among equals (RFC 2782).

use std::hash::{BuildHasher, Hasher};

/// What is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Lower comes first.
    pub priority: u16,
    /// Share among those with the same priority.
    pub weight: u16,
}

/// Orders `items`. Among equals, each comes first with a probability in proportion to its weight,
/// over all keys; the same key gives the same order each time, so that a user's requests meet at
/// one target (RFC 3263 section 4.4 wants that of a proxy without state), and as much as possible
/// of it stays when an item comes or goes (weighted rendezvous hashing).
///
/// `rank` and `name` tell an item's rank and what it is recognised by.
pub fn order<T>(
    items: &mut [T],
    key: &str,
    rank: impl Fn(&T) -> Rank,
    name: impl Fn(&T) -> String,
) {
    items.sort_by(|a, b| {
        let (rank_a, rank_b) = (rank(a), rank(b));
        let score = |rank: Rank, item: &T| score(key, &name(item), rank.weight);
        rank_a
            .priority
            .cmp(&rank_b.priority)
            .then_with(|| score(rank_b, b).total_cmp(&score(rank_a, a)))
    });
}

/// Higher comes first. A weight of 0 has "a very small chance of being selected" (RFC 2782); where
/// all have it, they are equal.
fn score(key: &str, name: &str, weight: u16) -> f64 {
    // Fixed seeds: the order of a key survives a restart.
    let mut hasher = foldhash::fast::FixedState::with_seed(0x5269_6e67).build_hasher();
    hasher.write(key.as_bytes());
    hasher.write_u8(0xff);
    hasher.write(name.as_bytes());
    let uniform = (f64::from(u32::try_from(hasher.finish() >> 32).unwrap_or(0)) + 0.5)
        / (f64::from(u32::MAX) + 1.0);
    let weight = if weight == 0 {
        0.001
    } else {
        f64::from(weight)
    };
    -weight / uniform.ln()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn first(items: &[(&'static str, u16, u16)], key: &str) -> &'static str {
        ordered(items, key)[0]
    }

    fn ordered(items: &[(&'static str, u16, u16)], key: &str) -> Vec<&'static str> {
        let mut items = items.to_vec();
        let rank = |item: &(&str, u16, u16)| Rank {
            priority: item.1,
            weight: item.2,
        };
        order(&mut items, key, rank, |item| item.0.to_owned());
        items.into_iter().map(|item| item.0).collect()
    }

    #[test]
    fn d1_lower_priorities_come_first_whatever_their_weight() {
        let items = [("c", 30, 900), ("a", 10, 0), ("b", 20, 5)];
        for key in ["x", "y", "z"] {
            assert_eq!(ordered(&items, key), ["a", "b", "c"]);
        }
    }

    #[test]
    fn d1_among_equals_the_weight_is_the_share() {
        let items = [("a", 1, 60), ("b", 1, 20), ("c", 1, 20), ("d", 1, 0)];
        let mut shares: BTreeMap<&str, u32> = BTreeMap::new();
        for key in 0..10_000 {
            *shares
                .entry(first(&items, &format!("user{key}@a.test")))
                .or_default() += 1;
        }
        assert!((5_800..6_200).contains(&shares["a"]), "{shares:?}");
        assert!((1_800..2_200).contains(&shares["b"]), "{shares:?}");
        assert!((1_800..2_200).contains(&shares["c"]), "{shares:?}");
        assert!(
            shares.get("d").is_none_or(|share| *share < 10),
            "{shares:?}"
        );
    }

    #[test]
    fn d1_weights_of_nothing_are_equal() {
        let items = [("a", 1, 0), ("b", 1, 0)];
        let of_a = (0..1_000).filter(|key| first(&items, &key.to_string()) == "a");
        assert!((400..600).contains(&of_a.count()));
    }

    #[test]
    fn d1_a_user_stays_with_a_target_when_another_goes() {
        let all = [("a", 1, 1), ("b", 1, 1), ("c", 1, 1)];
        for key in 0..100 {
            let key = key.to_string();
            let chosen = first(&all, &key);
            let fewer: Vec<_> = all
                .iter()
                .filter(|item| item.0 == chosen || item.0 != ordered(&all, &key)[2])
                .copied()
                .collect();
            assert_eq!(first(&fewer, &key), chosen);
        }
    }
}
