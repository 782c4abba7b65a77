import os

# Before grpc is loaded, because its core logs errors by itself. The errors of calls contain the same information.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
