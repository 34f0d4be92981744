"""Long work outside this process: messages, child processes. No torch, no Qt."""
