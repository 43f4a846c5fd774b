//! What Redis tells: messages by channel, and recoveries, for those who listen.

use tokio::sync::{broadcast, watch};

/// Messages that a listener may leave unread.
const UNREAD: usize = 1024;

/// A channel of messages. Versions that run side by side share them, so their names stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// A user's lock has been released. The message is the user's id.
    Released,
    /// There is work for idle workers.
    Due,
}

impl Channel {
    /// All channels.
    pub const ALL: [Self; 2] = [Self::Released, Self::Due];

    /// Its name in Redis.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Released => "job_recommendation_lock:released",
            Self::Due => "job_recommendation_queue:due",
        }
    }
}

/// What the listeners of a channel hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisEvent {
    Message(String),
    /// Redis answers again, or on a new connection. Messages in between are lost.
    Recovered,
}

/// Those who listen. A message wakes the listeners of its channel only: every run of every instance causes one.
#[derive(Debug)]
pub struct Listeners {
    released: broadcast::Sender<RedisEvent>,
    due: broadcast::Sender<RedisEvent>,
    recoveries: watch::Sender<()>,
}

impl Default for Listeners {
    fn default() -> Self {
        let channel = || broadcast::Sender::new(UNREAD);
        Self { released: channel(), due: channel(), recoveries: watch::Sender::new(()) }
    }
}

impl Listeners {
    /// Messages of the channel and recoveries, from now on.
    pub fn events(&self, channel: Channel) -> broadcast::Receiver<RedisEvent> {
        self.of(channel).subscribe()
    }

    /// Changes with each recovery from now on.
    pub fn recoveries(&self) -> watch::Receiver<()> {
        self.recoveries.subscribe()
    }

    /// Passes on a message of the channel with this name in Redis.
    pub fn message(&self, channel: &str, message: String) {
        if let Some(channel) = Channel::ALL.into_iter().find(|known| known.name() == channel) {
            // An error means that no task listens.
            let _ = self.of(channel).send(RedisEvent::Message(message));
        }
    }

    /// Tells all that Redis answers again.
    pub fn recovered(&self) {
        for channel in Channel::ALL {
            let _ = self.of(channel).send(RedisEvent::Recovered);
        }
        self.recoveries.send_replace(());
    }

    fn of(&self, channel: Channel) -> &broadcast::Sender<RedisEvent> {
        match channel {
            Channel::Released => &self.released,
            Channel::Due => &self.due,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::broadcast::error::TryRecvError;

    use super::*;

    #[test]
    fn a_message_wakes_the_listeners_of_its_channel_only_and_a_recovery_all() {
        let listeners = Listeners::default();
        let mut released = listeners.events(Channel::Released);
        let mut due = listeners.events(Channel::Due);
        let mut recoveries = listeners.recoveries();

        listeners.message(Channel::Released.name(), "7".into());
        assert_eq!(released.try_recv(), Ok(RedisEvent::Message("7".into())));
        assert_eq!(due.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(recoveries.has_changed().ok(), Some(false));

        listeners.recovered();
        assert_eq!(released.try_recv(), Ok(RedisEvent::Recovered));
        assert_eq!(due.try_recv(), Ok(RedisEvent::Recovered));
        assert_eq!(recoveries.has_changed().ok(), Some(true));
        recoveries.mark_unchanged();

        listeners.message("of another service", "7".into());
        assert_eq!(released.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(due.try_recv(), Err(TryRecvError::Empty));
    }
}
