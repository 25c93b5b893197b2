//! Which rows of a source have been written since a remembered snapshot.

/// What is remembered of a snapshot of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Every transaction below it is either seen or was rolled back. With epoch.
    pub xmin: u64,
    /// The next transaction. With epoch.
    pub xmax: u64,
    /// The cluster's identifier, if it tells.
    pub system: Option<String>,
}

/// The rows to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Window {
    /// All of them, and why.
    All(&'static str),
    /// Those written by this transaction or a later one.
    Since(u64),
}

/// Transactions that may lie between two refreshes. Numbers in rows have 32 bits and are compared as in
/// a circle; one eighth of half of it is left for those that begin while a refresh runs.
const FARTHEST: u64 = (1 << 31) - (1 << 28);

/// Whether a snapshot shows an older moment than one that was remembered: of a transaction that began to
/// read before, or of a standby that has restarted and has not caught up.
pub fn is_older(now: &Mark, remembered: &Mark) -> bool {
    now.system == remembered.system && now.xmax < remembered.xmax
}

/// The rows to fetch at a snapshot, given what was remembered of the last one.
pub fn window(remembered: Option<&Mark>, now: &Mark) -> Window {
    let Some(then) = remembered else { return Window::All("it is the first refresh") };
    if then.system != now.system {
        return Window::All("the source is another cluster than before");
    }
    if is_older(now, then) || now.xmax < then.xmin {
        return Window::All("the source has been set back");
    }
    if now.xmax - then.xmin > FARTHEST {
        return Window::All("too many transactions lie between");
    }
    Window::Since(then.xmin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mark(xmin: u64, xmax: u64) -> Mark {
        Mark { xmin, xmax, system: Some("7".to_owned()) }
    }

    /// What `age(row) <= age(since)` says at the source, whose next transaction is `next`.
    fn is_fetched(row: u64, since: u64, next: u64) -> bool {
        let age = |xid: u64| (next as u32).wrapping_sub(xid as u32) as i32;
        age(row) <= age(since)
    }

    #[test]
    fn the_first_and_a_foreign_snapshot_fetch_all() {
        assert!(matches!(window(None, &mark(1, 2)), Window::All(_)));
        let other = Mark { system: None, ..mark(5, 6) };
        assert!(matches!(window(Some(&mark(5, 6)), &other), Window::All(_)));
        assert!(matches!(window(Some(&mark(500, 600)), &mark(5, 6)), Window::All(_)));
        let far = mark(5 + FARTHEST + 2, 5 + FARTHEST + 2);
        assert!(matches!(window(Some(&mark(5, 6)), &far), Window::All(_)));
    }

    #[test]
    fn an_older_snapshot_of_the_same_cluster_is_told() {
        assert!(is_older(&mark(5, 8), &mark(5, 9)));
        assert!(!is_older(&mark(5, 9), &mark(5, 9)));
        assert!(!is_older(&Mark { system: None, ..mark(1, 2) }, &mark(5, 9)));
    }

    proptest! {
        #[test]
        fn nothing_written_since_is_missed(
            xmin in 3u64..1 << 40, between in 0u64..FARTHEST, back in 0u64..1 << 30, ahead in 0u64..1000,
        ) {
            let now = mark(xmin + between, xmin + between + 1);
            let Window::Since(since) = window(Some(&mark(xmin, xmin + 5)), &now) else {
                return Err(TestCaseError::fail("in reach"));
            };
            let next = now.xmax + ahead;
            for row in [since, since + between / 2, now.xmax - 1] {
                prop_assert!(is_fetched(row, since, next));
            }
            // Old rows stay where they are, as long as they lie within half the circle.
            let old = since.saturating_sub(back + 1);
            if next - old < 1 << 31 {
                prop_assert!(!is_fetched(old, since, next));
            }
        }
    }
}
