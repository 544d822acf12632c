"""An application that says which release and which process answers."""

import asyncio
import os
from pathlib import Path

from fastapi import FastAPI

app = FastAPI()
release = Path(__file__).with_name("RELEASE").read_text().strip()


@app.get("/health")
async def health(wait_ms: int = 0):
    await asyncio.sleep(wait_ms / 1000)
    return {"status": "ok", "release": release, "worker": os.getpid()}
