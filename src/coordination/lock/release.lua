-- Compare-and-delete: only the owner's token releases the lock. A message on the channel wakes waiters; an account
-- without the right to publish still releases (pcall), and waiters poll.
-- KEYS[1] lock key, ARGV[1] token, ARGV[2] channel, ARGV[3] user id. Returns 1 if the key was deleted.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('DEL', KEYS[1])
    redis.pcall('PUBLISH', ARGV[2], ARGV[3])
    return 1
end
return 0
