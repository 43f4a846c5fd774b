//! How instances keep out of each other's way: one calculation per user at a time, and wake-ups for work that
//! another instance has recorded. Only this room knows Redis, and without Redis everything here still works
//! within one process: locks and wake-ups only save work and time.

mod address;
mod channels;
mod instance;
mod lock;
mod redis_link;
mod wakeups;

pub use address::{InvalidRedisAddress, RedisAddress, Sentinels};
pub use channels::Channel;
pub use instance::Instance;
pub use lock::{Busy, RedisLockConfig, RedisUserLock, UserGuard, UserLocks, UserTurn};
pub use redis::RedisError;
pub use redis_link::RedisLink;
pub use wakeups::Wakeups;
