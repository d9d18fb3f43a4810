"""Run another script, then go on until standard input ends: linger SCRIPT [ARGUMENT ...]."""

import runpy
import sys

sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("done", flush=True)
sys.stdin.read()
