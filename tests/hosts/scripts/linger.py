"""Another script's work, and then more that takes long: linger SCRIPT [ARGUMENT ...]."""

import runpy
import sys

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("done", flush=True)
sys.stdin.read()
