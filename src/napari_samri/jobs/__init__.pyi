from .ahead import run_ahead
from .child import Child, serve
from .detached import POLL_SECONDS, Job, Watch, list_jobs, new_job_folder, start_job
from .durations import duration
from .events import (
    Cancel,
    Event,
    Failed,
    Finished,
    Measured,
    Noted,
    Problem,
    Progressed,
    Started,
    Stopped,
    is_last,
    never,
)
from .folders import STATE_VARIABLE, state_dir
from .memory import keep_memory
from .report_file import reporting
from .wire import Message, encode_message, is_torn, read_message

__all__ = [
    "POLL_SECONDS",
    "STATE_VARIABLE",
    "Cancel",
    "Child",
    "Event",
    "Failed",
    "Finished",
    "Job",
    "Measured",
    "Message",
    "Noted",
    "Problem",
    "Progressed",
    "Started",
    "Stopped",
    "Watch",
    "duration",
    "encode_message",
    "is_last",
    "is_torn",
    "keep_memory",
    "list_jobs",
    "never",
    "new_job_folder",
    "read_message",
    "reporting",
    "run_ahead",
    "serve",
    "start_job",
    "state_dir",
]
