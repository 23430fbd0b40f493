import datetime
import logging
import random
import time
import uuid
from zoneinfo import ZoneInfo

from promptflow.core import tool

logger = logging.getLogger(__name__)


@tool
def clock() -> dict:
    before = time.perf_counter()
    now = datetime.datetime.now(datetime.timezone.utc)
    logger.warning("it is %s", now)
    summer = datetime.datetime(2024, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin"))
    random.seed(7)
    return {
        "this century": 2024 <= now.year < 2100,
        "summer": summer.isoformat(),
        "uuid": len(str(uuid.uuid4())),
        "random": random.randint(1, 1000),
        "forward": time.perf_counter() >= before,
    }
