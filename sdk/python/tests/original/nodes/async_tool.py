import asyncio

from promptflow.core import tool


@tool
async def async_tool(items: list) -> list:
    async def double(item):
        await asyncio.sleep(0.001)
        return item * 2

    return await asyncio.gather(*(double(item) for item in items))
