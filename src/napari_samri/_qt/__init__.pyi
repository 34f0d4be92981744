from .scripting import start_session

__all__ = ["start_session"]
