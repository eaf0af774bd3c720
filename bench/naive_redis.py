"""The obvious ledger in Redis: one script for admitting a call, one for settling it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import chain
from time import time_ns

from redis.asyncio import Redis

from bench.ledger_load import LEASE_US
from bench.naive import BURST_US, INTERVAL_US, LIMIT, Call, RefusedError, call_of, ending

# KEYS: rate, call, due, three accounts. ARGV: id, created, expires, interval, burst, limit, three
# amounts, then the names and values of the call. Answers what is left of each account.
_ADMIT = """
local left = {}
for i = 1, 3 do
  local account = redis.call('HMGET', KEYS[3 + i], 'limit', 'settled', 'held')
  left[i] = (account[1] or ARGV[6]) - (account[2] or 0) - (account[3] or 0) - ARGV[6 + i]
  if left[i] < 0 then
    return 'budget'
  end
end
local tat = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), ARGV[2]) + ARGV[4]
if tat > ARGV[2] + ARGV[5] then
  return 'rate'
end
for i = 1, 3 do
  redis.call('HSETNX', KEYS[3 + i], 'limit', ARGV[6])
  redis.call('HINCRBY', KEYS[3 + i], 'held', ARGV[6 + i])
end
redis.call('SET', KEYS[1], string.format('%.17g', tat), 'PX', 120000)
redis.call('HSET', KEYS[2], unpack(ARGV, 10))
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
return left
"""

# KEYS: call, due, closed, three accounts. ARGV: id, closed, three amounts, three charges, then the
# names and values of the ending.
_SETTLE = """
if redis.call('HGET', KEYS[1], 'state') ~= 'held' then
  return 'closed'
end
for i = 1, 3 do
  redis.call('HINCRBY', KEYS[3 + i], 'held', -ARGV[2 + i])
  redis.call('HINCRBY', KEYS[3 + i], 'settled', ARGV[5 + i])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 9))
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
return 'settled'
"""


class NaiveRedis:
    """A :class:`~bench.ledger_load.Ledger` whose keys begin with *prefix*."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._prefix = prefix
        self._admit = client.register_script(_ADMIT)
        self._settle = client.register_script(_SETTLE)

    async def admit(self, caller: str, call_id: str) -> Call:
        now = time_ns() // 1_000
        call = call_of(caller, call_id, now)
        answer = await self._admit(
            keys=self._keys(f"rate:{caller}", f"call:{call_id}", "due", *_accounts(call)),
            args=[
                *(call_id, now, now + LEASE_US, INTERVAL_US, BURST_US, LIMIT),
                *(line.amount for line in call.lines),
                *chain.from_iterable(call.opening.items()),
            ],
        )
        if not isinstance(answer, list):
            raise RefusedError(answer)
        call.left.update(zip(_accounts(call), answer, strict=True))
        return call

    async def settle(self, admitted: Call) -> None:
        lines, now = admitted.lines, time_ns() // 1_000
        await self._settle(
            keys=self._keys(f"call:{admitted.id}", "due", "closed", *_accounts(admitted)),
            args=[
                *(admitted.id, now),
                *(line.amount for line in lines),
                *(line.charge for line in lines),
                *chain.from_iterable(ending(now).items()),
            ],
        )

    def _keys(self, *names: str) -> list[str]:
        return [f"{{{self._prefix}}}:{name}" for name in names]


def _accounts(call: Call) -> list[str]:
    return [line.account for line in call.lines]


@asynccontextmanager
async def naive_redis(url: str, prefix: str) -> AsyncGenerator[NaiveRedis, None]:
    """A ledger under *prefix*; its keys are deleted in the end."""
    async with Redis.from_url(url) as client:
        try:
            yield NaiveRedis(client, prefix)
        finally:
            await delete_keys(client, prefix)


async def delete_keys(client: Redis, prefix: str) -> None:
    """Delete every key of the ledger called *prefix*."""
    found: list[bytes] = []
    async for key in client.scan_iter(f"{{{prefix}}}:*", count=5_000):
        found.append(key)
        if len(found) >= 5_000:
            await client.unlink(*found)
            found.clear()
    if found:
        await client.unlink(*found)
