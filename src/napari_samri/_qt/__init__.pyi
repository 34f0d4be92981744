from .scripting import start_session as start_session
