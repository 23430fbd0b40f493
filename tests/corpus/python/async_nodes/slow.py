import asyncio

from promptflow.core import tool


@tool
async def slow(seconds: float) -> str:
    done = []

    async def worker(name, pause):
        await asyncio.sleep(pause)
        done.append(name)

    await asyncio.wait_for(asyncio.gather(worker("b", seconds * 2), worker("a", seconds)), timeout=5)
    return "+".join(done)
