import os

# Before grpc is loaded: its core writes lines of its own to the log. What it has to say is in the errors of calls.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
