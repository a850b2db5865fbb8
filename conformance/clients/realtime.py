"""Cases of /realtime/v1 by the PyPI package supabase. usage: realtime.py URL ANON_KEY SERVICE_KEY"""
import asyncio
import sys
import uuid

# The package that the client rests on is called as this file is.
sys.path.pop(0)

from supabase import acreate_client  # noqa: E402

url, anon_key, service_key = sys.argv[1:4]
WAIT_S = 15
cases = []


def case(run):
    cases.append(run)
    return run


async def joined(channel):
    done = asyncio.get_running_loop().create_future()

    def told(status, error):
        if not done.done():
            done.set_result((str(status), error))

    await channel.subscribe(told)
    status, error = await asyncio.wait_for(done, WAIT_S)
    assert "SUBSCRIBED" in status.upper(), (status, error)
    return channel


def inbox():
    queue = asyncio.Queue()
    return queue, queue.put_nowait


async def next_of(queue):
    return await asyncio.wait_for(queue.get(), WAIT_S)


async def person():
    client = await acreate_client(url, anon_key)
    email = f"{uuid.uuid4()}@example.com"
    answer = await client.auth.sign_up({"email": email, "password": "correct horse battery"})
    await client.realtime.set_auth(answer.session.access_token)
    return client, answer.user.id


@case
async def broadcast_4_4():
    name = f"room-{uuid.uuid4()}"
    one, two = await acreate_client(url, anon_key), await acreate_client(url, anon_key)
    queue, take = inbox()
    await joined(two.channel(name).on_broadcast("hi", take))
    speaker = await joined(one.channel(name))
    await speaker.send_broadcast("hi", {"n": 1})
    assert (await next_of(queue))["payload"] == {"n": 1}
    await one.realtime.close()
    await two.realtime.close()


@case
async def presence_4_6():
    name = f"lobby-{uuid.uuid4()}"
    one, two = await acreate_client(url, anon_key), await acreate_client(url, anon_key)
    queue, take = inbox()
    watcher = two.channel(name, {"config": {"presence": {"key": "ben", "enabled": True}, "broadcast": {}, "private": False}})
    await joined(watcher.on_presence_join(lambda key, *_: take(key)))
    ann = await joined(one.channel(name, {"config": {"presence": {"key": "ann", "enabled": True}, "broadcast": {}, "private": False}}))
    await ann.track({"at": "door"})
    assert await next_of(queue) == "ann"
    await one.realtime.close()
    await two.realtime.close()


@case
async def changes_4_7():
    ann, ann_id = await person()
    service = await acreate_client(url, service_key)
    queue, take = inbox()
    ready, told = inbox()
    channel = ann.channel(f"rows-{uuid.uuid4()}").on_postgres_changes("*", take, table="notifications", schema="public")
    await joined(channel.on_system(told))
    assert (await next_of(ready)).message == "Subscribed to PostgreSQL"
    row = {"user_id": ann_id, "title": "from Python", "message": "x"}
    await service.schema("public").table("notifications").insert(row).execute()
    change = await next_of(queue)
    assert change["data"]["record"]["title"] == "from Python", change
    await ann.realtime.close()


async def main():
    failed = 0
    for run in cases:
        try:
            await asyncio.wait_for(run(), 60)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
            failed += 1
            print(f"supabase-py: realtime: {run.__name__}: {type(error).__name__}: {error}")
    print(f"{len(cases) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.exit(asyncio.run(main()))
