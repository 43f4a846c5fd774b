//! The users of a batch that are due, in the order in which workers read them.

/// Users are numbered in the order of their ids.
pub struct Due {
    users: Vec<User>,
    marked: usize,
    /// All users before this one are claimed.
    first: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum User {
    Free,
    /// A claim has locked the row and is being committed: readers still find the user due.
    Locked,
    Claimed,
}

impl Due {
    /// None of them is marked.
    pub fn new(users: usize) -> Self {
        Self { users: vec![User::Free; users], marked: 0, first: 0 }
    }

    /// The next users become due.
    pub fn mark(&mut self, count: usize) {
        self.marked = self.users.len().min(self.marked + count);
    }

    /// Whether all users are, or were, due.
    pub fn is_marked(&self) -> bool {
        self.marked == self.users.len()
    }

    /// The users that are due, and have been for the longest time.
    pub fn first(&mut self, count: usize) -> Vec<usize> {
        while self.first < self.marked && self.users[self.first] == User::Claimed {
            self.first += 1;
        }
        (self.first..self.marked).filter(|user| self.users[*user] != User::Claimed).take(count).collect()
    }

    /// Locks those of the users that are free. `None`: another claim has locked some of them, and is waited for.
    pub fn lock(&mut self, users: &[usize]) -> Option<Vec<usize>> {
        if users.iter().any(|user| self.users[*user] == User::Locked) {
            return None;
        }
        let free: Vec<usize> = users.iter().copied().filter(|user| self.users[*user] == User::Free).collect();
        for user in &free {
            self.users[*user] = User::Locked;
        }
        Some(free)
    }

    /// The claim is committed.
    pub fn claim(&mut self, users: &[usize]) {
        for user in users {
            self.users[*user] = User::Claimed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_read_in_order_and_claimed_once() {
        let mut due = Due::new(5);
        assert!(due.first(3).is_empty());
        due.mark(4);
        assert_eq!(due.first(3), [0, 1, 2]);
        let claimed = due.lock(&[1, 0]).expect("no other claim is in progress");
        assert_eq!((due.lock(&[2, 1]), due.first(3)), (None, vec![0, 1, 2]));
        due.claim(&claimed);
        assert_eq!((due.lock(&[2, 1]), due.first(3)), (Some(vec![2]), vec![2, 3]));
        due.mark(4);
        assert!(due.is_marked());
        assert_eq!(due.first(9), [2, 3, 4]);
    }
}
