#!/usr/bin/env bash
# Builds the image on this machine, without Docker and without a registry, and runs it on the
# embedded AWS: as workers, and as a main script in an image built FROM it. Needs root, buildah and
# debootstrap; if it skips, it says why.
#
#     RIOS_VER   RIOS's release, or an archive if it cannot be downloaded (default: 2.0.9)
#     SUITE      the suite of Debian or Ubuntu to build on (default: this machine's)
#     MIRROR     where debootstrap downloads it from; if debootstrap does not know the suite, with a
#                blank and the name of one of its scripts appended
#     OPTIONS    options for debootstrap (default on Ubuntu, whose GDAL is in universe:
#                --components=main,universe)
#     PYTHON     a Python with this package and its extra `local` (default: .venv/bin/python)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "image/check.sh: $*"; }
skip() { say "skipped: $*"; exit 0; }

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null ||
        skip "there is no $tool here (apt-get install buildah debootstrap)"
done
[ "$(id -u)" = 0 ] || skip "debootstrap must be run as root"
python=$(realpath --no-symlinks "${PYTHON:-.venv/bin/python}")
"$python" -c "import moto, rios_plugin_awsbatch.local" 2>/dev/null ||
    skip "$python does not have this package with its extra 'local' (make setup)"
rios=${RIOS_VER:-2.0.9}
release=https://github.com/ubarsc/rios/releases/download/rios-$rios/rios-$rios.tar.gz
[ -e "$rios" ] || curl --silent --fail --location --max-time 60 --output /dev/null "$release" ||
    skip "RIOS $rios cannot be downloaded; name an archive in RIOS_VER"
scripts=$(dirname "$python")
# shellcheck source=/dev/null
suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
# shellcheck source=/dev/null
[ "$(. /etc/os-release && echo "$ID")" = ubuntu ] && : "${OPTIONS:=--components=main,universe}"

work=$(mktemp -d /var/tmp/rios-image-check-XXXXXX)
finish() {
    awk -v work="$work/" 'index($2, work) == 1 { print $2 }' /proc/mounts | sort --reverse |
        xargs --no-run-if-empty umount
    rm -rf "$work"
}
trap finish EXIT
# Use a storage that is deleted at the end, and no namespaces, which containers forbid. The driver
# vfs works everywhere, but copies everything.
driver=vfs
mkdir "$work"/{lower,upper,scratch,merged}
overlay=lowerdir=$work/lower,upperdir=$work/upper,workdir=$work/scratch
if mount -t overlay overlay -o "$overlay" "$work/merged" 2>/dev/null; then
    umount "$work/merged"
    driver=overlay
fi
cat >"$work/storage.conf" <<EOF
[storage]
driver = "$driver"
graphroot = "$work/storage"
runroot = "$work/run"
EOF
export CONTAINERS_STORAGE_CONF=$work/storage.conf BUILDAH_ISOLATION=chroot

# In the build, pip uses the same index as on this machine.
"$python" - "$work" >"$work/options" <<'EOF'
import shutil, subprocess, sys
from pathlib import Path

work = Path(sys.argv[1])
listed = subprocess.check_output([sys.executable, "-m", "pip", "config", "list"], text=True)
pairs = [line.partition("=") for line in listed.splitlines()]
config = {name.rpartition(".")[2]: value.strip("'\"") for name, _, value in pairs}
names = ("index-url", "extra-index-url", "trusted-host", "proxy")
kept = {name: config[name] for name in names if name in config and "file:" not in config[name]}
mounts = {"/etc/pip.conf": work / "pip.conf"}
if "cert" in config:
    shutil.copy(config["cert"], work / "ca.crt")
    kept["cert"] = "/var/check-ca.crt"
    mounts[kept["cert"]] = work / "ca.crt"
lines = [f"{name} = {value}\n" for name, value in kept.items()]
(work / "pip.conf").write_text("[global]\n" + "".join(lines))
print(*(f"--volume {here}:{there}:ro" for there, here in mounts.items()))
EOF

say "a base image of $suite"
base=$(buildah from scratch)
# shellcheck disable=SC2086  # words
debootstrap --variant=minbase ${OPTIONS:-} "$suite" "$(buildah mount "$base")" ${MIRROR:-} \
    >"$work/debootstrap.log" 2>&1 ||
    { tail -5 "$work/debootstrap.log"; skip "debootstrap cannot make $suite"; }
buildah umount "$base" >/dev/null
buildah commit --quiet --rm "$base" localhost/rios-check-base >/dev/null

say "rios-awsbatch image build"
"$scripts/rios-awsbatch" image build --builder buildah --name rios --rios "$rios" \
    --base-image localhost/rios-check-base --options "$(cat "$work/options")" \
    --extra-packages "python3-yaml less" --pip-packages "humanize iniconfig>=2" \
    >"$work/build.log" 2>&1 ||
    { tail -40 "$work/build.log"; say "FAILED: the image cannot be built"; exit 1; }
grep ^Built "$work/build.log"

box=$(buildah from --pull-never localhost/rios:latest)
inside() { buildah run "$box" -- "$@"; }
entry() { buildah inspect --format '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}' "$1"; }

say "what is in it"
inside /usr/bin/python3 - <<'EOF'
import os, shutil
import humanize, iniconfig, numpy, osgeo.gdal_array, yaml
import rios.computemanager as manager
from rios.parallel import jobmanager
import rios_plugin_awsbatch

held = open("/usr/local/share/rios-awsbatch/constraints.txt").read().strip()
assert held == f"numpy=={numpy.__version__}", held
assert os.getuid() != 0, "the user is root"
assert os.access(".", os.W_OK) and shutil.which("less")
for base in (manager.ComputeWorkerManager, jobmanager.JobManager):
    assert base.__subclasses__()[-1].__module__.startswith("rios_plugin_awsbatch.hosts."), base
print(f"as user {os.getuid()}: RIOS finds the plugin in {rios_plugin_awsbatch.__path__[0]}; {held}")
EOF
inside pip install --quiet --dry-run "numpy>2.99" 2>/dev/null &&
    { say "FAILED: numpy can be replaced"; exit 1; }
# shellcheck disable=SC2046  # words
[ "$(inside $(entry "$box") sh -c 'echo the command')" = "the command" ]
# shellcheck disable=SC2046
inside $(entry "$box") --version
buildah inspect --type image localhost/rios:latest | "$python" -c '
import json, sys
layers = json.load(sys.stdin)["OCIv1"]["rootfs"]["diff_ids"]
print(f"{len(layers)} layers, the base image is one of them")'
du --summarize --bytes --total "$(buildah mount "$box")" |
    awk 'END { printf "%.0f MB in all\n", $1 / 1e6 }'

say "a main script in an image built FROM it"
mkdir "$work/main"
cp examples/ndvi_rios2.py rios_plugin_awsbatch/demo/scene/L7_ETMs.tif "$work/main"
cat >"$work/main/Dockerfile" <<'EOF'
FROM localhost/rios:latest
COPY ndvi_rios2.py L7_ETMs.tif ./
ENTRYPOINT ["/usr/bin/python3", "ndvi_rios2.py"]
EOF
buildah build --quiet --tag localhost/riosmain "$work/main" >/dev/null
main=$(buildah from --pull-never localhost/riosmain)

# Do what Batch does with an image: run its entry point, with the job's environment.
cat >"$work/start" <<'EOF'
#!/usr/bin/env bash
box=$1
shift
given=()
for name in $(compgen -e); do
    case $name in AWS_* | RIOS* | NO_PROXY | no_proxy) given+=(--env "$name=${!name}") ;; esac
done
exec buildah run "${given[@]}" "$box" -- "$@"
EOF
chmod +x "$work/start"
cat >"$work/definition.py" <<'EOF'
import os, sys
import boto3

boto3.client("batch", region_name=os.environ["RIOS_AWSBATCH_REGION"]).register_job_definition(
    jobDefinitionName="checkJobDefinition",
    type="container",
    retryStrategy={"attempts": 1},
    containerProperties={"image": "rios:latest", "vcpus": 1, "memory": 512, "command": sys.argv[1:],
                         "environment": [{"name": name, "value": os.environ[name]} for name in
                                         ("CONTAINERS_STORAGE_CONF", "BUILDAH_ISOLATION")]},
)
EOF
cat >"$work/job" <<EOF
#!/usr/bin/env bash
set -euo pipefail
"$python" "$work/definition.py" "$work/start" "$box" $(entry "$box")
export RIOS_AWSBATCH_JOB_DEFINITION=checkJobDefinition
"$work/start" "$main" $(entry "$main") L7_ETMs.tif ndvi.tif
EOF
chmod +x "$work/job"
"$scripts/rios-awsbatch" local --workers 2 -- "$work/job" >"$work/main.log" 2>&1 ||
    { cat "$work/main.log"; say "FAILED: the main script"; exit 1; }
grep "green pixels" "$work/main.log"
buildah run "$main" -- /usr/bin/python3 - <<'EOF'
import numpy as np
from osgeo import gdal

scene = gdal.Open("L7_ETMs.tif").ReadAsArray().astype(np.float32)
expected = (scene[3] - scene[2]) / np.maximum(scene[3] + scene[2], 1)
found = gdal.Open("ndvi.tif").ReadAsArray()
assert found.shape == expected.shape and (found == expected).all()
print(f"{found.size} pixels that workers in the image computed are the same as numpy's")
EOF
say "all is well"
