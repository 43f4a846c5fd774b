//! The weight of a token: the rarer it is, the more it says.

/// The information, in quarters of a bit, of a token that occurs `having` times in `listings` listings:
/// `4 · log2(1 + listings / (having + 0.5))`, rounded down, at least 1.
///
/// The coarse steps are intended: a few new listings must not change all users' scores. Only operations with results
/// that IEEE 754 defines exactly are used, and no logarithm, so that every machine gets the same weight.
pub fn weight(having: usize, listings: usize) -> u32 {
    let mut ratio = 1.0 + listings as f64 / (having as f64 + 0.5);
    let mut quarters = 0;
    while ratio >= 2.0 {
        ratio /= 2.0;
        quarters += 4;
    }
    for step in [2, 1] {
        ratio *= ratio;
        if ratio >= 2.0 {
            ratio /= 2.0;
            quarters += step;
        }
    }
    quarters.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_tokens_weigh_more() {
        assert_eq!(weight(1_000_000, 1_000_000), 3);
        assert!(weight(1_000, 1_000_000) > weight(100_000, 1_000_000));
        assert_eq!(weight(0, 0), 1);
        for having in [0, 3, 50, 700, 9_000] {
            let exact = 4.0 * (1.0 + 10_000.0 / (f64::from(having) + 0.5)).log2();
            let quarters = f64::from(weight(having as usize, 10_000));
            assert!(exact - quarters < 1.0 + 1e-9 && quarters <= exact, "{having}");
        }
    }

    #[test]
    fn a_few_listings_more_change_nothing_for_most_tokens() {
        let moved =
            (0..1_000).filter(|&df| weight(df * 100, 1_000_000) != weight(df * 100, 1_000_500)).count();
        assert!(moved < 10, "{moved}");
    }
}
