"""The guide's application, as printed."""

from fastapi import FastAPI

app = FastAPI(title="Ledger API")


@app.get("/health")
def health():
    return {"status": "ok"}


@app.get("/v1/hello")
def hello(name: str = "ops"):
    return {"message": f"hello, {name}"}
